import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { once } from 'node:events'
import {
  brotliCompressSync,
  constants,
  createDeflate,
  deflateSync,
  gzipSync,
  inflateSync,
  zstdCompressSync,
} from 'node:zlib'
import { maskingSection } from '../config/masking.ts'
import { createMasking } from './masking.ts'
import type { MaskReport } from './masker.ts'

const config = maskingSection.parse({
  profiles: {
    pictures: { detectors: ['personal'], binary: 'pass' },
    fields: { keys: ['*_pin'] },
    paths: { paths: ['$.x'] },
  },
  max_buffered: '64KiB',
  max_decoded: '8MiB',
  max_expansion: 100,
})
const masking = createMasking(config)
const refused = { code: 'mask-unable' }

interface Sent {
  readonly type?: string
  readonly encodings?: readonly string[]
  readonly profiles?: readonly string[]
  readonly secrets?: readonly string[]
  readonly size?: number
}

async function send(input: string | Buffer, how: Sent): Promise<{ out: string; report: MaskReport }> {
  const bytes = Buffer.from(input as string)
  const size = how.size ?? 5
  async function* source(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const masker = masking.masker(how.profiles ?? ['secrets', 'personal'], { secrets: how.secrets ?? [] })
  const { body, report } = masker.body(source(), { type: how.type, encodings: how.encodings ?? [] })
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return { out: Buffer.concat(chunks).toString(), report: report() }
}

describe('P8: types of content', () => {
  const mail = '{"e":"ana@example.com"}'
  const clean = '{"e":"[masked:email]"}'
  for (const type of ['application/json', 'text/json', 'application/vnd.api+json', 'text/plain', undefined])
    test(`P8: JSON as ${type ?? 'no type'}`, async () => {
      const { out } = await send(mail, type === undefined ? {} : { type })
      assert.equal(out, clean)
    })

  test('P8: NDJSON, and a line that is no JSON does not spoil the next', async () => {
    const { out, report } = await send(`${mail}\n{"password": hunter2\n{"password":"hunter2"}\n${mail}`, {
      type: 'application/x-ndjson',
    })
    assert.equal(out, `${clean}\n{"password": [masked:secret]\n{"password":"[masked:secret]"}\n${clean}`)
    assert.deepEqual(report, { count: 4, kinds: ['email', 'secret'] })
  })

  test('P8: server-sent events, payload over several lines, other lines kept', async () => {
    const events = `: hi\r\nevent: x\r\ndata: {"e":\r\ndata: "ana@example.com"}\r\nid: 1\r\n\r\ndata:ana@example.com\n\ndata: ${mail}`
    const { out } = await send(events, { type: 'text/event-stream', size: 1 })
    assert.equal(out, events.replaceAll('ana@example.com', '[masked:email]'))
  })

  test('P8: an event goes out when it is complete', async () => {
    const masker = masking.masker(['personal'])
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.from('data: one\n\nda')
      await new Promise(() => undefined)
    }
    const { body } = masker.body(source(), { type: 'text/event-stream', encodings: [] })
    const first = await body[Symbol.asyncIterator]().next()
    assert.equal(String(first.value), 'data: one\n\n')
  })

  test('P8: forms by name and by value, the rest as it was written', async () => {
    const { out } = await send('a=%7e+b&password=hunter2&to=ana%40example.com%2C+x&empty=&flag', {
      type: 'application/x-www-form-urlencoded; charset=utf-8',
    })
    assert.equal(out, 'a=%7e+b&password=%5Bmasked%3Asecret%5D&to=%5Bmasked%3Aemail%5D%2C+x&empty=&flag')
  })

  for (const end of ['\r\n', '\n'])
    for (const size of [1, 7, 5000])
      test(`P8: multipart by part, line ends ${JSON.stringify(end)}, pieces of ${size}`, async () => {
        const lines = [
          'preamble',
          '--b c',
          'Content-Disposition: form-data; name="password"',
          '',
          'hunter2',
          '--b c',
          'Content-Disposition: form-data; name="doc"; filename="d.json"',
          'Content-Type: application/json',
          '',
          mail,
          '--b c',
          'Content-Disposition: form-data; name="note"',
          '',
          'mail ana@example.com',
          '--b',
          '--b c--',
          '',
        ]
        const text = lines.join(end)
        const { out } = await send(text, { type: 'multipart/form-data; boundary="b c"', size })
        assert.equal(
          out,
          text.replace('hunter2', '[masked:secret]').replaceAll('ana@example.com', '[masked:email]'),
        )
      })

  for (const [name, type, text] of [
    ['a binary type', 'image/png', 'x'],
    ['binary without a type', undefined, '\x89PNG\0\0'],
    ['another charset', 'text/plain; charset=utf-16', 'x'],
    ['UTF-16 by its mark', 'application/json', '\xff\xfe{\0'],
    ['UTF-16 without a mark', 'application/json', '{\0"\0'],
    ['text with binary in it', 'text/plain', 'abcdef\0gh'],
    ['multipart without a boundary', 'multipart/form-data', 'x'],
    [
      'a part in base64',
      'multipart/mixed; boundary=b',
      '--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYW5h\r\n--b--',
    ],
    ['a binary part', 'multipart/mixed; boundary=b', '--b\r\nContent-Type: image/png\r\n\r\nYW5h\r\n--b--'],
    ['a string over the limit', 'application/json', `{"a":"${'a'.repeat(70_000)}"}`],
    ['a line over the limit', 'text/plain', 'a'.repeat(70_000)],
    ['a form field over the limit', 'application/x-www-form-urlencoded', `a=${'a'.repeat(70_000)}`],
    ['an event over the limit', 'text/event-stream', `data: ${'a'.repeat(70_000)}`],
    ['JSON nested without end', 'application/json', '['.repeat(5000)],
  ] as const)
    test(`P8: ${name} is refused`, async () => {
      await assert.rejects(
        async () =>
          send(Buffer.from(text, 'latin1'), { ...(type === undefined ? {} : { type }), size: 4096 }),
        refused,
      )
    })

  test('P8: binary passes where every profile lets it, and still without a lent value', async () => {
    const how = { type: 'image/png', profiles: ['pictures'], secrets: ['sekret-value-1'] }
    assert.equal((await send('x\0y sekret-value-1 z', how)).out, 'x\0y [masked:creden z')
    await assert.rejects(async () => send('x', { ...how, profiles: ['pictures', 'secrets'] }), refused)
  })

  test('P8: a long line goes out in pieces, and values at the cuts are seen', async () => {
    const word = 'some words password= hunter2 4111 1111 1111 1111 ana@example.com and "token": "a b c" '
    const { out, report } = await send(word.repeat(4000), { type: 'text/plain', size: 4096 })
    const masked =
      'some words password= [masked:secret] [masked:payment-card] [masked:email] and "token": "[masked:secret]" '
    assert.equal(out, masked.repeat(4000))
    assert.equal(report.count, 16_000)
  })

  test('P8: a value beside white space stays found when the head arrives byte by byte', async () => {
    assert.equal(
      (await send(`\xef\xbb\xbf \n${mail}`, { type: 'text/plain', size: 1 })).out.slice(-22),
      clean,
    )
  })

  test('P8: after the JSON breaks, the value of the last key is known', async () => {
    const { out } = await send('{"password": hunter2, "x": "AKIAIOSFODNN7EXAMPLE"', {
      type: 'application/json',
    })
    assert.equal(out, '{"password": [masked:secret], "x": "[masked:aws-access-key-id]"')
  })

  test('P8: keys select values in text too, and paths refuse what only claims to be JSON', async () => {
    const how = { type: 'application/json', profiles: ['fields'] }
    const broken = '{"a": oops, "my_pin": "12 34", my_pin=5678}'
    assert.equal(
      (await send(broken, how)).out,
      '{"a": oops, "my_pin": "[masked:field]", my_pin=[masked:field]}',
    )
    await assert.rejects(async () => send(broken, { ...how, profiles: ['paths'] }), refused)
    assert.equal((await send(broken, { type: 'text/plain', profiles: ['paths'] })).out, broken)
  })

  test('P8: an escape that a chunk ends in is still an escape', async () => {
    const text = '{"a":"x\\\\\\" y\\\\","my_pin":"1","b":"\\u0022","c_pin":"2"}'
    for (let size = 1; size < 12; size++)
      assert.equal(
        (await send(text, { type: 'application/json', profiles: ['fields', 'paths'], size })).out,
        text.replace('"1"', '"[masked:field]"').replace('"2"', '"[masked:field]"'),
      )
  })

  test('P4: a lent value of several lines is found in text', async () => {
    const secret = 'first-line\nsecond-line\nthird'
    const { out } = await send(`a ${secret} b\nc ${secret}\n`, {
      type: 'text/plain',
      secrets: [secret],
      size: 4,
    })
    assert.equal(out, 'a [masked:credential] b\nc [masked:credential]\n')
  })

  test('P12: JSON goes out while it comes', async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.from('{"list":[1,2,3,"ana@example.com","un')
      await new Promise(() => undefined)
    }
    const { body } = masking.masker(['personal']).body(source(), { type: 'application/json', encodings: [] })
    const first = await body[Symbol.asyncIterator]().next()
    assert.equal(String(first.value), '{"list":[1,2,3,"[masked:email]",')
  })
})

describe('P8: content encodings', () => {
  const text = `{"e":"ana@example.com","pad":"${'lorem ipsum '.repeat(200)}"}`
  const coders = {
    gzip: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
    zstd1: zstdCompressSync,
  }
  const type = 'application/json'

  for (const [name, encode] of Object.entries(coders)) {
    const whole = encode(Buffer.from(text))
    test(`P8: ${name} is undone`, async () => {
      const { out } = await send(whole, { type, encodings: [name.toUpperCase()], size: 3 })
      assert.equal(out, text.replace('ana@example.com', '[masked:email]'))
    })
    test(`P8: ${name} cut short is refused`, async () => {
      for (const cut of [1, 2, Math.floor(whole.length / 2), whole.length - 1])
        await assert.rejects(
          async () => send(whole.subarray(0, cut), { type, encodings: [name], size: 9 }),
          refused,
        )
    })
    test(`P8: ${name} that goes on after its end is refused`, async () => {
      for (const size of [3, whole.length, 100_000])
        await assert.rejects(
          async () => send(Buffer.concat([whole, Buffer.from('{"x":1}')]), { type, encodings: [name], size }),
          refused,
        )
    })
    test(`P8: ${name} of nothing is nothing`, async () => {
      assert.equal((await send('', { type, encodings: [name] })).out, '')
    })
  }

  test('P8: an unknown encoding, or too many, is refused from the head', () => {
    const masker = masking.masker(['secrets'])
    const none = (async function* (): AsyncGenerator<Buffer> {})()
    for (const encodings of [['compress'], ['gzip', 'x'], ['gzip', 'br', 'gzip', 'br'], ['constructor']])
      assert.throws(() => masker.body(none, { type, encodings }), refused)
  })

  test('P4: no part of a compressed body goes out that begins a lent value', async () => {
    const deflate = createDeflate()
    const parts: Buffer[] = []
    deflate.on('data', (part: Buffer) => parts.push(part))
    for (const text of ['some text, then sekret-', 'value-1 and more']) {
      deflate.write(text)
      await new Promise<void>(resolve => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    }
    deflate.end()
    await once(deflate, 'end')
    async function* source(): AsyncGenerator<Buffer> {
      yield* parts
    }
    const masker = masking.masker([], { secrets: ['sekret-value-1'] })
    const { body } = masker.body(source(), { type, encodings: ['deflate'] })
    const seen: Buffer[] = []
    await assert.rejects(async () => {
      for await (const chunk of body) seen.push(chunk)
    }, refused)
    const shown = inflateSync(Buffer.concat(seen), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
    assert.ok(!shown.includes('sekret'))
  })

  test('P12: a bomb is cut at the ratio and at the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(6 * 1024 ** 2, ' '))
    await assert.rejects(async () => send(bomb, { type, encodings: ['gzip'], size: 1000 }), refused)
    const nested = gzipSync(gzipSync(Buffer.alloc(32 * 1024 ** 2, ' ')))
    await assert.rejects(async () => send(nested, { type, encodings: ['gzip, gzip'], size: 1000 }), refused)
  })

  test('P12: leaving early ends the source', async () => {
    let ended = false
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield Buffer.from('{"a":"b"}\n')
      } finally {
        ended = true
      }
    }
    const { body } = masking.masker(['secrets']).body(source(), { type, encodings: [] })
    for await (const chunk of body) if (chunk.length > 0) break
    assert.equal(ended, true)
  })
})
