import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { GatewayError } from '../../errors.ts'
import { judgedBody } from './body.ts'
import { fakeGateway, literalMasker } from './fake-gateway.ts'
import { readJson } from './json.ts'
import { raw, requestText, stage } from './test-stage.ts'

const close = 'Connection: close'
const meta = { type: 'application/json', encodings: [] as string[], limit: 1000 }
const code = (expected: string) => (error: unknown) =>
  error instanceof GatewayError && error.code === expected

test('JSON that two parsers may read apart is not read', () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[{"x":{"b":1,"b":1}}]',
    '{"a":1',
    '\uFEFF{}',
    '{a:1}',
    '',
    'NaN',
  ]) {
    assert.equal(readJson(Buffer.from(text)), undefined, text)
  }
  assert.equal(readJson(Buffer.from([0x22, 0xff, 0x22])), undefined)
  assert.equal(readJson(Buffer.from('['.repeat(300) + ']'.repeat(300))), undefined)
  assert.deepEqual(readJson(Buffer.from('{"a":{"a":1},"b":["a","a"],"c":"\\"a\\":1,{"}'))?.value, {
    a: { a: 1 },
    b: ['a', 'a'],
    c: '"a":1,{',
  })
  assert.deepEqual(readJson(Buffer.from('"a"'))?.value, 'a')
})

test('bodies are judged decoded, whatever their encoding, up to the limit', async () => {
  const plain = Buffer.from('{"a":1}')
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(plain)],
    ['deflate', deflateSync(plain)],
    ['deflate', deflateRawSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['zstd', zstdCompressSync(plain)],
    ['zstd1', zstdCompressSync(plain)],
  ] as const) {
    assert.deepEqual((await judgedBody(bytes, { ...meta, encodings: [encoding] }))?.value, { a: 1 }, encoding)
  }
  const bomb = gzipSync(Buffer.alloc(100_000))
  await assert.rejects(judgedBody(bomb, { ...meta, encodings: ['gzip'] }), code('body-too-large'))
  await assert.rejects(judgedBody(plain, { ...meta, encodings: ['gzip'] }), code('invalid-request'))
  await assert.rejects(judgedBody(plain, { ...meta, encodings: ['compress'] }), code('unsupported-encoding'))
  const form = { ...meta, type: 'application/x-www-form-urlencoded' }
  assert.deepEqual(
    { ...((await judgedBody(Buffer.from('a=1&b=x+y'), form))?.value as object) },
    { a: '1', b: 'x y' },
  )
  assert.equal(await judgedBody(Buffer.from('a=1&a=2'), form), undefined)
})

test('a body that a rule reads is judged, bound to the digest, and its own bytes go on', async t => {
  const gateway = fakeGateway()
  gateway.demandsBody = true
  const bodies: unknown[] = []
  const digests: string[] = []
  gateway.decide = action => {
    bodies.push(action.content['body'])
    digests.push(action.digest())
    return {}
  }
  const { port, seen } = await stage(t, undefined, { gateway })
  const send = async (body: Buffer | string, ...headers: string[]): Promise<string> => {
    const bytes = Buffer.from(body)
    const head = requestText('POST /m?b=1&a=2', [`Content-Length: ${bytes.length}`, ...headers, close])
    return (await raw(port, head + bytes.toString('latin1'))).slice(9, 12)
  }
  const text = '{ "n": 12345678901234567890 }'
  assert.equal(await send(text), '200')
  assert.equal(await send(gzipSync(text), 'Content-Encoding: gzip'), '200')
  assert.equal(await send('{"a":1,"a":2}'), '200')
  assert.equal(await send(`${text} `), '200')
  assert.equal(await send(text), '200')
  assert.equal(seen[0]?.body, text)
  assert.equal(seen[1]?.body, gzipSync(text).toString('latin1'))
  assert.deepEqual(bodies.slice(0, 3), [JSON.parse(text), JSON.parse(text), undefined])
  assert.equal(new Set(digests).size, 4)
  assert.equal(digests[0], digests[4])
  assert.equal(await send('x'.repeat(1024 ** 2 + 1)), '413')
  assert.equal(await send('x', 'Content-Encoding: lzma'), '415')
})

test('P8: what policy masks on the way up reaches neither the upstream nor the record', async t => {
  const gateway = fakeGateway()
  gateway.maskers = profiles => literalMasker(profiles.includes('pii') ? ['ana@example.com'] : [])
  gateway.decide = () => ({ obligations: { mask: [], maskRequest: ['pii'], record: 'full', rateLimits: [] } })
  for (const demandsBody of [false, true]) {
    gateway.demandsBody = demandsBody
    const { port, seen } = await stage(t, undefined, { gateway })
    const body = '{"to":"ana@example.com"}'
    const line = 'POST /mail?cc=ana@example.com&x=1'
    await raw(
      port,
      requestText(line, [`Content-Length: ${body.length}`, 'X-To: ana@example.com', close], body),
    )
    assert.equal(seen.length, 1)
    assert.doesNotMatch(JSON.stringify(seen), /ana@example/)
    assert.equal(seen[0]?.body, '{"to":"[masked]"}')
    assert.match(seen[0]?.url ?? '', /^\/mail\?cc=%5Bmasked%5D&x=1$/)
    assert.doesNotMatch(Buffer.concat(gateway.frames.map(frame => frame.bytes)).toString(), /ana@example/)
    assert.equal(gateway.entries.at(-1)?.result?.masked?.count, 3)
  }
})
