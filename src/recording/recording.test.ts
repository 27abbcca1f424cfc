import assert from 'node:assert/strict'
import { createHmac, hkdfSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  createHeader,
  derive,
  generateAgeKeyPair,
  hmac,
  openHeader,
  openPayload,
  PayloadSealer,
  recipientOf,
} from './age.ts'
import { bech32Decode, bech32Encode } from './bech32.ts'
import { decodeFrames, encodeFrame } from './frames.ts'

function seal(fileKey: Buffer, pieces: Buffer[]): Buffer {
  const sealer = new PayloadSealer(fileKey)
  const out = [sealer.nonce, ...pieces.flatMap(piece => sealer.update(piece))]
  return Buffer.concat([...out, sealer.final()])
}

test('a payload opens with its header and identity, whatever the pieces it came in', () => {
  const pair = generateAgeKeyPair()
  const { fileKey, header } = createHeader([pair.recipient])
  assert.equal(recipientOf(pair.identity), pair.recipient)
  for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
    const plain = Buffer.alloc(size, 'x')
    const sealed = seal(fileKey, [plain.subarray(0, size >> 1), plain.subarray(size >> 1)])
    assert.deepEqual(openPayload(openHeader(header, pair.identity), sealed), plain)
  }
})

test('HMAC and HKDF are those of the platform', () => {
  const key = fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes))
  const text = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
  fc.assert(
    fc.property(key, text, (secret, bytes) => {
      assert.deepEqual(hmac(secret, bytes), createHmac('sha256', secret).update(bytes).digest())
    }),
  )
  fc.assert(
    fc.property(key, key, fc.string(), (secret, salt, info) => {
      assert.deepEqual(derive(secret, salt, info), Buffer.from(hkdfSync('sha256', secret, salt, info, 32)))
    }),
  )
  assert.throws(() => hmac(Buffer.alloc(65), Buffer.alloc(0)), TypeError)
  const sealer = new PayloadSealer(Buffer.alloc(16, 7))
  assert.deepEqual(sealer.derive('a'), derive(Buffer.alloc(16, 7), sealer.nonce, 'a'))
})

test('P3: no changed, cut or swapped payload or header opens', () => {
  const pair = generateAgeKeyPair()
  const { fileKey, header } = createHeader([pair.recipient])
  const sealed = seal(fileKey, [Buffer.from('what was said')])
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const bad = Buffer.from(sealed)
    bad[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => openPayload(fileKey, bad))
  }
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(() => openPayload(fileKey, sealed.subarray(0, length)))
  }
  const text = header.toString()
  assert.throws(() => openHeader(Buffer.from(text.replace('X25519', 'X25518')), pair.identity))
  assert.throws(() => openHeader(header, generateAgeKeyPair().identity), /does not open/)
})

test('bech32 keeps bytes and refuses typing errors', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(50), (bytes, at) => {
      const text = bech32Encode('age', bytes)
      assert.deepEqual(bech32Decode('age', text), Buffer.from(bytes))
      const char = text[4 + at] ?? 'q'
      const typo = text.slice(0, 4 + at) + (char === 'q' ? 'p' : 'q') + text.slice(5 + at)
      assert.throws(() => bech32Decode('age', typo))
    }),
  )
})

test('frames come back as they went in, and a cut recording says so', () => {
  const frames = [
    { from: 'client', part: 'head', at: 0, bytes: Buffer.from('{}') },
    { from: 'upstream', part: 'body', at: 1234, bytes: Buffer.alloc(0) },
    { from: 'upstream', part: 'message', at: 99, bytes: Buffer.from('hello') },
  ] as const
  const bytes = Buffer.concat(frames.map(encodeFrame))
  assert.deepEqual(decodeFrames(bytes), frames)
  assert.throws(() => decodeFrames(bytes.subarray(0, bytes.length - 1)), /cut/)
  assert.throws(() => decodeFrames(Buffer.from([250, 0, 0])), /not a recording/)
})
