import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stillFits } from './schema-fit.ts'

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer' },
    mail: { type: 'string', format: 'email' },
    state: { enum: ['open', 'shut'] },
    short: { type: 'string', maxLength: 3 },
    list: { type: 'array', items: { $ref: '#/$defs/row' } },
    either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
  },
  $defs: { row: { type: 'object', properties: { note: { type: 'string' }, n: { type: 'number' } } } },
  additionalProperties: { type: ['string', 'null'] },
}

const cases: readonly [string, Record<string, unknown>, Record<string, unknown>, boolean][] = [
  ['nothing changed', { age: 4, mail: 'x' }, { age: 4, mail: 'x' }, true],
  ['a text', { name: 'ana', age: 4 }, { name: '[masked]', age: 4 }, true],
  ['a number became text', { age: 4 }, { age: '[masked]' }, false],
  ['a format', { mail: 'ana@example.com' }, { mail: '[email]' }, false],
  ['one of a few', { state: 'open' }, { state: '[masked]' }, false],
  ['longer than it may be', { short: 'abc' }, { short: '[masked]' }, false],
  ['in a list, by reference', { list: [{ note: 'a', n: 1 }] }, { list: [{ note: '[m]', n: 1 }] }, true],
  ['a number in a list, by reference', { list: [{ n: 1 }] }, { list: [{ n: '[m]' }] }, false],
  ['alternatives are not told', { either: 'a' }, { either: 'b' }, false],
  ['a member that is not named', { other: 'a' }, { other: '[m]' }, true],
  ['a name that was masked', { 'ana@example.com': 'a' }, { '[email]': 'a' }, false],
]

for (const [what, before, after, fits] of cases) {
  test(`${what}: ${fits ? 'still fits' : 'does not fit any more'}`, () => {
    assert.equal(stillFits(schema, before, after), fits)
  })
}

test('without a schema anything fits; a reference to elsewhere or to itself fits nothing', () => {
  assert.equal(stillFits(undefined, { a: 1 }, { a: 'x' }), true)
  for (const $ref of ['https://example.com/schema', '#/$defs/loop', '#/none']) {
    const at = { properties: { a: { $ref } }, $defs: { loop: { $ref: '#/$defs/loop' } } }
    assert.equal(stillFits(at, { a: 'b' }, { a: 'x' }), false, $ref)
  }
})
