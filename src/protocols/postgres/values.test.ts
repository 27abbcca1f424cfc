import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskingSection } from '../../config/masking.ts'
import { createMasking } from '../../masking/masking.ts'
import { maskValue } from './values.ts'

const json = { type: 114, format: 0 }
const masker = () => createMasking(maskingSection.parse({})).masker(['secrets'])
const seen = (text: string): string => String(maskValue(Buffer.from(text), json, masker()))

test('P8: a JSON value that repeats a key hides none of what it says', () => {
  for (const text of [
    '{"password":"hunter2-and-more","password":null}',
    '{"password":null,"password":"hunter2-and-more"}',
    '{"a":{"password":"hunter2-and-more"},"a":1}',
  ])
    assert.ok(!seen(text).includes('hunter2'), seen(text))
})

test('P8: a key behind escapes is the key that it is', () => {
  JSON.parse('{"first":1,"\\\\u0070as":2}')
  const masked = seen('{"first":1,"\\u0070assword":"hunter2-and-more"}')
  assert.ok(!masked.includes('hunter2'), masked)
  assert.equal(seen('{"n":12345678901234567890,"\\u0061":1}'), '{"n":12345678901234567890,"\\u0061":1}')
})
