import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newTrace, readTraceparent, traceFacts, writeTraceparent } from './trace.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test('a traceparent is read, and what is none is not', () => {
  assert.deepEqual(readTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId })
  assert.deepEqual(readTraceparent(`cc-${traceId}-${spanId}-01-what-comes-later`), { traceId, spanId })
  const none = [
    undefined,
    '',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01${'-'.repeat(300)}`,
  ]
  for (const text of none) assert.equal(readTraceparent(text), undefined, text)
})

test('what is sent on is read back as this action’s own place', () => {
  const mine = newTrace(traceId)
  assert.deepEqual(readTraceparent(writeTraceparent(mine)), mine)
  assert.equal(mine.traceId, traceId)
  const spans = new Set(Array.from({ length: 2000 }, () => newTrace().spanId))
  assert.equal(spans.size, 2000)
})

test('entries have the names of OpenTelemetry, and no parent where there is none', () => {
  assert.deepEqual(traceFacts({ traceId, spanId }), { trace_id: traceId, span_id: spanId })
  assert.equal(traceFacts({ traceId, spanId, parentId: spanId })['parent_id'], spanId)
})
