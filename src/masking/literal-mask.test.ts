import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { unescapeJson } from './escapes.ts'
import { createLiteralMask } from './literal-mask.ts'
import { compileLiterals } from './literals.ts'
import { createTally } from './tally.ts'

const secret = 'planted-7f3a9c1e/55d2'
const literals = compileLiterals([secret])

/** What comes out when the text arrives in pieces that end at these places. */
function masked(text: string, cuts: readonly number[]): { out: string; count: number } {
  const tally = createTally()
  const mask = createLiteralMask(literals, tally)
  const ends = [...cuts.map(cut => cut % (text.length + 1)).sort((a, b) => a - b), text.length]
  let at = 0
  let out = ''
  for (const end of ends) {
    out += mask.push(text.slice(at, end))
    at = end
  }
  return { out: out + mask.end(), count: tally.report().count }
}

const ways = [
  (each: string) => each,
  (each: string) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  (each: string) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`,
  (each: string) => (each === '/' ? '\\/' : each),
]
/** The secret with each character escaped or not, as chance has it. */
const spelled = fc
  .array(fc.nat(ways.length - 1), { minLength: secret.length, maxLength: secret.length })
  .map(choice =>
    secret
      .split('')
      .map((each, i) => ways[choice[i]!]!(each))
      .join(''),
  )
const piece = fc.oneof(
  fc.constantFrom(
    '\\',
    '\\\\',
    '\\u',
    '\\u00',
    '\\u0070',
    '\\n',
    '\\"',
    'u0070',
    'plan',
    'p',
    'planted-7f3a',
  ),
  fc.string({ maxLength: 12, unit: 'binary-ascii' }),
)
const cuts = fc.array(fc.nat(), { maxLength: 12 })

test('P4: a secret in any mixture of JSON escapes, in any pieces, never passes; lengths hold', () => {
  fc.assert(
    fc.property(
      fc.tuple(fc.array(piece), spelled, fc.array(piece)),
      cuts,
      ([before, spelling, after], at) => {
        // An odd backslash before it would make its first character another one.
        const text = `${before.join('')} "${spelling}${after.join('')}`
        const { out, count } = masked(text, at)
        assert.equal(out.length, text.length)
        assert.ok(count > 0)
        assert.ok(!out.includes(spelling) && !unescapeJson(out).bytes.includes(secret), out)
      },
    ),
  )
})

test('P8: what holds no secret passes unchanged, whatever the escapes and pieces', () => {
  fc.assert(
    fc.property(fc.array(piece), cuts, (pieces, at) => {
      const text = pieces.join('')
      assert.deepEqual(masked(text, at), { out: text, count: 0 })
    }),
  )
})

test('P12: an end is held back only while a value may begin there', () => {
  const mask = createLiteralMask(literals, createTally())
  assert.equal(mask.push('nothing here \\u0041'), 'nothing here \\u0041')
  assert.equal(mask.push('a'.repeat(1000)), 'a'.repeat(1000))
  assert.equal(mask.push(' \\u0070\\u00'), ' ')
  assert.equal(mask.push('41 over'), '\\u0070\\u0041 over')
})
