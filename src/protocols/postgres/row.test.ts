import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maskingSection } from '../../config/masking.ts'
import { createMasking } from '../../masking/masking.ts'
import { FrameError } from './codec.ts'
import { RowMask } from './masks.ts'
import { dataRow, readDataRow } from './messages.ts'
import { Row } from './row.ts'
import { maskValue, type ValuePlan } from './values.ts'

const masking = createMasking(maskingSection.parse({}))
const bytes = fc.oneof(
  fc.constant('ana@example.com'),
  fc.constant('4111111111111111'),
  fc.constant('{"email":"ana@example.com"}'),
  fc.constant('\\x616e61406578616d706c652e636f6d'),
  fc.constant('call ana@example.com\ufffd'),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const value = fc.option(
  fc.oneof(
    bytes.map(text => Buffer.from(text)),
    // No UTF-8, with what is found in it.
    bytes.map(text => Buffer.concat([Buffer.of(0xff, 0x20), Buffer.from(text)])),
    fc.uint8Array({ maxLength: 20 }).map(each => Buffer.from(each)),
  ),
)
// char, text, int4, int8, numeric, bytea, json, jsonb, uuid, text[], one that nobody knows
const types = fc.constantFrom(18, 25, 23, 20, 1700, 17, 114, 3802, 2950, 1009, 99_999)
const plan: fc.Arbitrary<ValuePlan> = fc.record({
  type: types,
  format: fc.constantFrom(0, 1),
  hides: fc.constantFrom(undefined, undefined, 'secret', ''),
})

test('P8: a row is masked as its values are one by one, whatever their types, formats and bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, plan), { maxLength: 6 }), cells => {
      const masker = masking.masker(['secrets', 'personal'])
      const plans = cells.map(([, each]) => each)
      const expected = cells.map(([each, own]) => (each === null ? null : maskValue(each, own, masker)))
      const counted = masker.takeReport()
      let nulls = 0
      const mask = new RowMask({ masker, nulled: () => nulls++ }, plans, [])
      const sent = dataRow(cells.map(([each]) => each))
      const row = new Row()
      row.read(sent)
      mask.apply(row)
      assert.deepEqual(readDataRow(row.message()), expected)
      assert.deepEqual(
        expected.map((_, index) => row.text(index)),
        expected.map(each => each?.toString('utf8') ?? null),
        'what is recorded is what was sent',
      )
      assert.equal(nulls, expected.filter((each, index) => each === null && cells[index]![0] !== null).length)
      assert.deepEqual(masker.takeReport(), counted)
    }),
    { numRuns: 500 },
  )
})

test('a row in which nothing was found goes on as the very bytes that came', () => {
  const row = new Row()
  const first = dataRow([Buffer.from('ana'), null, Buffer.alloc(0)])
  row.read(first)
  assert.deepEqual([row.count, row.text(0), row.text(1), row.text(2)], [3, 'ana', null, ''])
  assert.equal(row.message(), first)
  row.replace(0, null)
  row.replace(1, Buffer.from('x'))
  assert.deepEqual([row.text(0), row.text(1), row.value(2)?.length], [null, 'x', 0])
  assert.deepEqual(row.message(), dataRow([null, Buffer.from('x'), Buffer.alloc(0)]))
  const second = dataRow([Buffer.from('b')])
  row.read(second)
  assert.deepEqual([row.count, row.text(0), row.message() === second], [1, 'b', true])
  for (const cut of [second.subarray(0, -1), Buffer.concat([second, Buffer.of(0)]), second.subarray(0, 6)])
    assert.throws(() => row.read(cut), FrameError)
})
