import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cstring,
  FrameError,
  FrameReader,
  int32,
  message,
  PayloadReader,
  takeStartupPacket,
} from './codec.ts'
import {
  dataRow,
  formatOf,
  readBind,
  readDataRow,
  readParse,
  readReport,
  readRowDescription,
  writeReport,
} from './messages.ts'

const frames = fc.array(
  fc.record({ type: fc.constantFrom('Q', 'P', 'D', 'd', 'Z'), payload: fc.uint8Array({ maxLength: 300 }) }),
  { maxLength: 20 },
)

/** The bytes in pieces of the given sizes, over and over. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

test('P12: messages come out as they went in, however the stream was cut', () => {
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 5 }),
      (given, sizes) => {
        const sent = given.map(({ type, payload }) => message(type, Buffer.from(payload)))
        const reader = new FrameReader(() => 1000)
        const out: Buffer[] = []
        for (const piece of pieces(Buffer.concat(sent), sizes)) {
          reader.push(piece)
          for (
            let peeked = reader.peek(), each = reader.take();
            each !== undefined;
            peeked = reader.peek(), each = reader.take()
          ) {
            assert.equal(peeked, each.type)
            out.push(Buffer.from(each.bytes))
          }
        }
        assert.deepEqual(out, sent)
        assert.equal(reader.held, 0)
      },
    ),
  )
})

test('P12: a length over the cap is refused before its bytes are waited for', () => {
  const reader = new FrameReader(type => (type === 'Q' ? 100 : 10))
  reader.push(message('Q', Buffer.alloc(96)))
  assert.equal(reader.take()?.type, 'Q')
  reader.push(Buffer.concat([Buffer.from('Q'), int32(101)]))
  assert.throws(
    () => reader.take(),
    error => error instanceof FrameError && error.tooLong,
  )
  for (const length of [0, 3, -1]) {
    const broken = new FrameReader(() => 100)
    broken.push(Buffer.concat([Buffer.from('Z'), int32(length)]))
    assert.throws(() => broken.take(), FrameError)
  }
})

test('P6: no bytes make a reader of messages do anything but read or throw FrameError', () => {
  const readers = [readBind, readParse, readRowDescription, readDataRow, readReport]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...readers), (bytes, read) => {
      try {
        read(message('B', Buffer.from(bytes)))
      } catch (error) {
        assert.ok(error instanceof FrameError, String(error))
      }
    }),
  )
})

test('rows and reports are written as they were read', () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.uint8Array({ maxLength: 50 }).map(each => Buffer.from(each)),
  )
  fc.assert(
    fc.property(fc.array(value, { maxLength: 20 }), values => {
      assert.deepEqual(readDataRow(dataRow(values)), values)
    }),
  )
  const fields = new Map([
    ['S', 'ERROR'],
    ['C', '42501'],
    ['M', 'ünïcode'],
  ])
  assert.deepEqual(readReport(writeReport('E', fields)), fields)
})

test('formats are given for none, for all, or for each', () => {
  assert.deepEqual([formatOf([], 3), formatOf([1], 3), formatOf([0, 1], 1)], [0, 1, 1])
})

test('P12: the first packet is bounded, and waits until it is whole', () => {
  const packet = Buffer.concat([int32(196608), cstring('user'), cstring('x'), Buffer.of(0)])
  const whole = Buffer.concat([int32(packet.length + 4), packet])
  for (let cut = 0; cut < whole.length; cut++)
    assert.equal(takeStartupPacket(whole.subarray(0, cut)), undefined)
  assert.deepEqual(takeStartupPacket(Buffer.concat([whole, Buffer.from('rest')])), {
    packet,
    rest: Buffer.from('rest'),
  })
  for (const length of [0, 7, 10_001, -1]) assert.throws(() => takeStartupPacket(int32(length)), FrameError)
})

test('P6: a read beyond a payload throws, whatever it asks for', () => {
  const reader = new PayloadReader(Buffer.of(1, 2), 0)
  assert.throws(() => reader.int32(), FrameError)
  assert.throws(() => reader.textBytes(), FrameError)
  assert.throws(() => reader.bytes(-1), FrameError)
  assert.equal(reader.int16(), 258)
  reader.end()
})
