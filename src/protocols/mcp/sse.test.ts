import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sseEvent, type SseEvent, SseReader } from './sse.ts'

function read(parts: readonly Buffer[], limit = 10_000): SseEvent[] {
  const reader = new SseReader(limit)
  return parts.flatMap(part => reader.push(part))
}

/** Cut at these places. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map(each => each % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

test('P8: wherever a stream is cut, its events are the same: in a character, in CR LF, in a secret', () => {
  const line = fc.constantFrom(
    'data: sk_live_51Hsecret',
    'data:grüße 😀',
    'data',
    ': a comment',
    'id: 7',
    'event: other',
    'retry: 10',
    '',
    '',
  )
  const end = fc.constantFrom('\n', '\r\n', '\r')
  fc.assert(
    fc.property(
      fc.array(fc.tuple(line, end), { maxLength: 20 }),
      fc.array(fc.nat(400), { maxLength: 40 }),
      fc.boolean(),
      (lines, places, mark) => {
        const bytes = Buffer.from((mark ? '\uFEFF' : '') + lines.map(each => each.join('')).join(''))
        const whole = read([bytes])
        assert.deepEqual(read(cut(bytes, places)), whole)
        assert.deepEqual(read([...bytes].map(each => Buffer.from([each]))), whole)
      },
    ),
    { numRuns: 500 },
  )
})

test('a message of two bytes a time is read as it was written', () => {
  const text = JSON.stringify({ text: 'größer 😀 sk_live_51Hsecret' })
  const bytes = Buffer.from(sseEvent(text, 'a.1'))
  assert.deepEqual(
    read(
      cut(
        bytes,
        [...bytes.keys()].filter(i => i % 2 === 1),
      ),
    ),
    [{ event: 'message', data: text, id: 'a.1' }],
  )
})

test('P12: an event has a limit, however it is written', () => {
  const over = { code: 'upstream-invalid' }
  assert.throws(() => read([Buffer.from(`data: ${'x'.repeat(200)}`)], 100), over)
  assert.throws(() => read(Array<Buffer>(200).fill(Buffer.from('x')), 100), over)
  assert.throws(() => read([Buffer.from('data: 12345678\n'.repeat(20))], 100), over)
  assert.throws(() => read([Buffer.from('data\n'.repeat(200))], 100), over, 'lines without text')
  assert.throws(() => read([Buffer.from(`data: ${'ä'.repeat(30)}\n`.repeat(2))], 100), over, 'bytes')
  assert.equal(read([Buffer.from('data: 12345678\n\n'.repeat(200))], 100).length, 200)
})

test('attack: an id that can not stand in a header, or is endless, is none', () => {
  for (const id of ['a\0b', 'grüße', '\t', 'x'.repeat(1025), '']) {
    const reader = new SseReader(10_000)
    reader.push(Buffer.from(`id: good\ndata: 1\n\nid: ${id}\ndata: 2\n\n`))
    assert.equal(reader.lastId, id === '' ? undefined : 'good', JSON.stringify(id))
  }
})
