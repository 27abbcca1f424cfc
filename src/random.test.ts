import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freshBytes } from './random.ts'

test('bytes are given once, whole, and stay as they were given', () => {
  const given = Array.from({ length: 1000 }, () => freshBytes(16))
  const before = given.map(each => each.toString('hex'))
  assert.equal(new Set(before).size, 1000)
  assert.ok(before.every(each => each.length === 32))
  freshBytes(4096)
  assert.deepEqual(
    given.map(each => each.toString('hex')),
    before,
  )
  assert.equal(freshBytes(4096).length, 4096)
  assert.throws(() => freshBytes(4097), RangeError)
})
