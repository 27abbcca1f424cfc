import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { sha256 } from './sha256.ts'

test('a digest is the platform’s, for bytes and for text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'grapheme' })), input => {
      assert.deepEqual(sha256(input), createHash('sha256').update(input).digest())
    }),
  )
})
