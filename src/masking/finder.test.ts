import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maskingSection } from '../config/masking.ts'
import { createFinder } from './finder.ts'
import { compileLiterals } from './literals.ts'
import { compileRules } from './rules.ts'
import { createTally } from './tally.ts'

const secret = '0123456789abcdef0123456789abcdef'
const rules = compileRules(['secrets', 'personal'], maskingSection.parse({}), undefined)
const finder = createFinder(rules, compileLiterals([secret]), createTally())

/** Pieces that detectors begin at or turn on, so that values, halves of values and near misses come up. */
const pieces = [
  secret,
  'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8',
  'AKIAIOSFODNN7EXAMPLE',
  'abc8Q~abcdefghijklmnopqrstuvwxyz0123456',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  '-----BEGIN RSA PRIVATE KEY-----',
  'https://user:pa55word@example.com/',
  'Bearer abcdefghijk123456',
  'basic YW5hOnB3',
  'password=hunter2',
  'ana@example.com',
  '+1 415-555-2671',
  '4111 1111 1111 1111',
  '4111111111111111',
  'DE89370400440532013000',
  '123-45-6789',
  '192.168.10.20',
  '2001:db8::8a2e:370:7334',
  '2026-11-20T22:41:19',
  ' ',
  '-',
  '12',
  'x',
]
const text = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 6 })), {
  maxLength: 12,
})

test('P8: a look over the whole rules out nothing that a part of it holds', () => {
  fc.assert(
    fc.property(text, fc.nat(), fc.nat(), (parts, from, length) => {
      const whole = Buffer.from(parts.join('')).toString('latin1')
      const start = whole.length === 0 ? 0 : from % whole.length
      const part = whole.slice(start, start + (length % (whole.length + 1)))
      const lookout = finder.lookOver(whole)
      assert.deepEqual(finder.find(part, 'key', { lookout }), finder.find(part, 'key'))
    }),
    { numRuns: 3000 },
  )
})

test('a look over what holds nothing leaves little to search for', () => {
  const { detectors, literals } = finder.lookOver('nothing to see here, move along')
  assert.equal(literals, false)
  assert.ok(detectors.length < rules.detectors.length / 2)
})
