import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hasUnsafeMembers } from './json-members.ts'

test('a repeated member is found wherever it is and however it is spelled', () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":{"b":1,"c":[],"b":2}}',
    '[{"a":{}},{"a":[{"k":1,"k":1}]}]',
    '{"a\\"":1,"a\\"":2}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
  ]) {
    assert.equal(hasUnsafeMembers(text, 32), true, text)
  }
})

test('the same name in different objects, in values and in lists is no repetition', () => {
  for (const text of [
    '{"a":{"a":{"a":1}}}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":["b","b"],"b":1}',
    '"a"',
    '{}',
  ]) {
    assert.equal(hasUnsafeMembers(text, 32), false, text)
  }
})

test('what JSON.stringify writes never repeats; doubling any first member is found', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { minKeys: 1 }), value => {
      const text = JSON.stringify(value)
      assert.equal(hasUnsafeMembers(text, 64), false)
      const name = JSON.stringify(Object.keys(value)[0])
      assert.equal(hasUnsafeMembers(`{${name}:0,${text.slice(1)}`, 64), true)
    }),
  )
})

test('P12: depth is bounded', () => {
  assert.equal(hasUnsafeMembers('['.repeat(32) + ']'.repeat(32), 32), false)
  assert.equal(hasUnsafeMembers('['.repeat(33) + ']'.repeat(33), 32), true)
})
