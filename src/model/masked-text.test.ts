import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { countMasked, sameButMasked } from './masked-text.ts'

test('what a mask hid may be anything; the rest must be equal', () => {
  const shown = { message: 'Call [masked:email] or [masked:email] now', tags: ['a'] }
  assert.ok(sameButMasked(shown, { tags: ['a'], message: 'Call ana@example.com or bo@example.com now' }))
  assert.ok(!sameButMasked(shown, { tags: ['a'], message: 'Call ana@example.com now' }))
  assert.ok(!sameButMasked(shown, { ...shown, tags: ['b'] }))
  assert.ok(!sameButMasked(shown, { ...shown, more: 1 }))
  assert.ok(!sameButMasked({ a: 1, ...shown }, shown))
  assert.ok(sameButMasked({ ...shown, modified: 1 }, { ...shown, modified: 2 }, new Set(['modified'])))
  assert.ok(sameButMasked({ key: '[masked:secret]' }, { key: 123 }))
  assert.ok(!sameButMasked({ key: 'x[masked:secret]' }, { key: 123 }))
  assert.equal(countMasked(shown), 2)
  assert.equal(countMasked({ card: '[masked:payment-card:1111]', plain: '[masked]' }), 1)
})

test('a text fits its own mask, wherever the parts stand', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'b', ' ') })
  fc.assert(
    fc.property(fc.array(fc.tuple(part, part)), part, (hidden, tail) => {
      const text = hidden.map(([before, secret]) => before + secret).join('') + tail
      const masked = hidden.map(([before]) => `${before}[masked:email]`).join('') + tail
      assert.ok(sameButMasked({ masked }, { masked: text }))
      assert.ok(sameButMasked({ masked: text }, { masked }))
    }),
  )
})

test('equal values are the same, and another number is not', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const copy = JSON.parse(JSON.stringify(value)) as unknown
      assert.ok(sameButMasked(JSON.parse(JSON.stringify(value)), copy))
      assert.ok(!sameButMasked({ value, n: 1 }, { value: copy, n: 2 }))
    }),
  )
})
