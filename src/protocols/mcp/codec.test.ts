import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeHeaderValue, encodeHeaderValue, readMessage, writeMessage } from './codec.ts'
import { RpcError } from './rpc.ts'
import { SseReader, sseEvent } from './sse.ts'

const read = (text: string) => readMessage(Buffer.from(text))

test('a message that repeats a key, a batch, and what is no JSON-RPC is refused', () => {
  const wrong = [
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    '{"id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":{},"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    '{',
  ]
  for (const text of wrong) assert.throws(() => read(text), RpcError, text)
})

test('an integer that no double holds goes on as it came', () => {
  const text = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"id":1234567890123456789}}'
  const message = read(text)
  assert.equal(message.kind, 'request')
  assert.equal(writeMessage(message), text)
})

test('any value survives a header, and every header is plain ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), value => {
      const header = encodeHeaderValue(value)
      assert.match(header, /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/)
      assert.equal(decodeHeaderValue(header), value)
    }),
  )
})

test('events are the same however their bytes are cut, with any line end', () => {
  const text = [
    sseEvent('{"a":1}', '7'),
    ': note\r\n',
    'data: x\r\ndata: y\r\n\r\n',
    'id: 9\rdata: ü\r\r',
  ].join('')
  const whole = new SseReader(1000).push(Buffer.from(text))
  assert.deepEqual(
    whole.map(({ data, id }) => [data, id]),
    [
      ['{"a":1}', '7'],
      ['x\ny', '7'],
      ['ü', '9'],
    ],
  )
  const reader = new SseReader(1000)
  const cut = [...Buffer.from(text)].flatMap(byte => reader.push(Buffer.from([byte])))
  assert.deepEqual(cut, whole)
})

test('P12: an event that does not end is refused at its limit', () => {
  const reader = new SseReader(100)
  assert.throws(() => reader.push(Buffer.from(`data: ${'x'.repeat(200)}`)), /over 100 bytes/)
})
