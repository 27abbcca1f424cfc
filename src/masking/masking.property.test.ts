/**
 * Random documents with planted secrets, random escapes, splits and encodings: nothing planted survives in any form,
 * and everything else is byte for byte what it was.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { maskingSection } from '../config/masking.ts'
import { createMasking } from './masking.ts'

const masking = createMasking(maskingSection.parse({}))
const runs = { numRuns: 150 }

const planted = [
  'AKIAIOSFODNN7EXAMPLE',
  'ghp_' + 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8',
  'glpat-abcdefghij0123456789',
  'xoxb-123456789012-abcdefghijkl',
  'ddapp_abcdefghijklmnopqrstuvwxyz01234567',
  'pub0123456789abcdef0123456789abcdef',
  'ana@example.com',
  '4111 1111 1111 1111',
  'GB82 WEST 1234 5698 7654 32',
  '078-05-1120',
  '203.0.113.77',
  '+14155552671',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
  '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----',
]

const marker = /\[masked:[a-z0-9-]+\]/g

/** Words that hold nothing to be found, some beyond ASCII. */
const filler = fc.array(
  fc.constantFrom('plain', 'words', 'größe', '日本', '🙂', 'x y', 'a/b', '"q"', 'back\\slash', 'tab\t'),
  {
    maxLength: 4,
  },
)

interface Piece {
  readonly text: string
  readonly secret: string | undefined
}

const stringPiece: fc.Arbitrary<Piece> = fc
  .record({
    before: filler,
    secret: fc.option(fc.constantFrom(...planted), { nil: undefined }),
    after: filler,
  })
  .map(({ before, secret, after }) => ({
    text: [...before, ...(secret === undefined ? [] : [secret]), ...after].join(' '),
    secret,
  }))

/** Writes a JSON string, each character plainly or with an escape, as the numbers say. */
function writeString(text: string, dice: () => number): string {
  let out = '"'
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!
    const code = text.charCodeAt(index)
    const surrogate = code >= 0xd800 && code < 0xe000
    if (surrogate && dice() % 2 === 0) {
      const pair = [code, text.charCodeAt(++index)]
      out += pair.map(each => `\\u${each.toString(16)}`).join('')
    } else if (!surrogate && dice() % 4 === 0) out += `\\u${code.toString(16).padStart(4, '0')}`
    else if (character === '/' && dice() % 2 === 0) out += '\\/'
    else if (character === '"' || character === '\\' || code < 0x20)
      out += JSON.stringify(character).slice(1, -1)
    else if (surrogate) {
      // Both halves alike: half a pair alone is no character.
      out += text.slice(index, index + 2)
      index++
    } else out += character
  }
  return `${out}"`
}

const space = fc.constantFrom('', ' ', '\n', ' \t', '\r\n  ')
const scalar = fc.constantFrom(
  '0',
  '-1.50',
  '12345678901234567890',
  '1e5',
  '2.50E-3',
  'true',
  'false',
  'null',
  '-0',
)

type Node =
  | { readonly kind: 'string'; readonly piece: Piece }
  | { readonly kind: 'scalar'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'map'; readonly items: readonly (readonly [Piece, Node])[] }

const { node } = fc.letrec<{ node: Node }>(tie => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    stringPiece.map((piece): Node => ({ kind: 'string', piece })),
    scalar.map((text): Node => ({ kind: 'scalar', text })),
    fc.array(tie('node'), { maxLength: 4 }).map((items): Node => ({ kind: 'list', items })),
    fc
      .uniqueArray(fc.tuple(stringPiece, tie('node')), { maxLength: 4, selector: ([key]) => key.text })
      .map((items): Node => ({ kind: 'map', items })),
  ),
}))

interface Written {
  readonly text: string
  /** What must remain: the parts of the text around the planted values. */
  readonly secrets: number
}

function write(from: Node, dice: () => number, pad: () => string): Written {
  let secrets = 0
  const string = (piece: Piece): string => {
    if (piece.secret !== undefined) secrets++
    return writeString(piece.text, dice)
  }
  const go = (each: Node): string => {
    switch (each.kind) {
      case 'string':
        return string(each.piece)
      case 'scalar':
        return each.text
      case 'list':
        return `[${pad()}${each.items.map(go).join(`${pad()},${pad()}`)}${pad()}]`
      case 'map':
        return `{${pad()}${each.items.map(([key, value]) => `${string(key)}${pad()}:${pad()}${go(value)}`).join(`,${pad()}`)}${pad()}}`
    }
  }
  const text = `${pad()}${go(from)}${pad()}`
  return { text, secrets }
}

const document = fc.record({
  node,
  seed: fc.array(fc.nat(1000), { minLength: 50, maxLength: 200 }),
  pads: fc.array(space, { minLength: 7, maxLength: 7 }),
})

function written(from: { node: Node; seed: readonly number[]; pads: readonly string[] }): Written {
  let a = 0
  let b = 0
  return write(
    from.node,
    () => from.seed[a++ % from.seed.length]!,
    () => from.pads[b++ % from.pads.length]!,
  )
}

async function* split(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
    if (index > 5000) assert.fail('too many pieces')
  }
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const coders: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: bytes => gzipSync(bytes),
  deflate: bytes => deflateSync(bytes),
  'x-gzip': bytes => gzipSync(bytes),
  br: bytes => brotliCompressSync(bytes, { params: {} }),
  zstd: bytes => zstdCompressSync(bytes),
}
const encode = (text: string, applied: readonly string[]): Buffer =>
  applied.reduce<Buffer>((each, name) => coders[name]!(each), Buffer.from(text))
const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 })
const encodings = fc.array(fc.constantFrom(...Object.keys(coders)), { maxLength: 3 })

/** Every string of the JSON text, resolved, must be free of every planted value. */
function assertClean(text: string): void {
  const seen: string[] = [text]
  const value: unknown = JSON.parse(text, (key, each: unknown) => {
    seen.push(key)
    if (typeof each === 'string') seen.push(each)
    return each
  })
  seen.push(JSON.stringify(value))
  for (const secret of planted)
    for (const each of seen) assert.ok(!each.includes(secret), `${secret} survived`)
}

/** Puts the strings back: the text with every string that was planted in taken out must be the same on both sides. */
function skeleton(text: string, keep: (resolved: string) => boolean): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, raw => (keep(JSON.parse(raw) as string) ? raw : '""'))
}

describe('P8: masking of random JSON', () => {
  test('P8: no planted value survives any escape, split and encoding, and the rest keeps every byte', async () => {
    await fc.assert(
      fc.asyncProperty(document, sizes, encodings, async (from, cuts, applied) => {
        const { text, secrets } = written(from)
        const bytes = encode(text, applied)
        const masker = masking.masker(['secrets', 'personal'])
        const { body, report } = masker.body(split(bytes, cuts), {
          type: 'application/json',
          encodings: applied,
        })
        const out = (await collect(body)).toString()
        assertClean(out)
        const dirty = (each: string): boolean => planted.some(secret => each.includes(secret))
        assert.equal(
          skeleton(out, each => !each.includes('[masked:')),
          skeleton(text, each => !dirty(each)),
        )
        assert.equal(report().count, secrets)
        assert.equal(out.match(marker)?.length ?? 0, secrets)
      }),
      runs,
    )
  })

  test('P8: around a planted value the string keeps its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...planted), filler, sizes, async (secret, words, cuts) => {
        const around = JSON.stringify(words.join(' ')).slice(1, -1)
        const escaped = JSON.stringify(secret).slice(1, -1)
        const text = `{"k":"${around} ${escaped} \\u00e9\\/ ${around}"}`
        const masker = masking.masker(['secrets', 'personal'])
        const { body } = masker.body(split(Buffer.from(text), cuts), { type: 'text/json', encodings: [] })
        const out = (await collect(body)).toString()
        const [kind] = out.match(marker) ?? []
        assert.equal(out, `{"k":"${around} ${kind} \\u00e9\\/ ${around}"}`)
      }),
      runs,
    )
  })

  test('P8: the value mask agrees with the streaming mask', async () => {
    await fc.assert(
      fc.asyncProperty(document, async from => {
        const { text } = written(from)
        const masker = masking.masker(['secrets', 'personal'])
        const { body } = masker.body(split(Buffer.from(text), [1000]), {
          type: 'application/json',
          encodings: [],
        })
        const streamed: unknown = JSON.parse((await collect(body)).toString())
        assert.deepEqual(masker.json(JSON.parse(text)), streamed)
      }),
      runs,
    )
  })
})

describe('P8: masking of random text', () => {
  const line = fc.record({
    words: filler,
    secret: fc.option(fc.constantFrom(...planted), { nil: undefined }),
  })
  const wholes = ['text/plain', 'application/xml', 'text/html']

  test('P8: no planted value survives any split, and the rest keeps every byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 12 }),
        sizes,
        fc.constantFrom(...wholes),
        async (lines, cuts, type) => {
          const ends = '.\n'
          const text = `Text.\n${lines.map(each => [...each.words, each.secret ?? 'none', ''].join(' ')).join(ends)}`
          const masker = masking.masker(['secrets', 'personal'])
          const { body, report } = masker.body(split(Buffer.from(text), cuts), { type, encodings: [] })
          const out = (await collect(body)).toString()
          for (const secret of planted) assert.ok(!out.includes(secret), `${secret} survived`)
          let expected = text
          for (const secret of planted) expected = expected.replaceAll(secret, '[]')
          assert.equal(out.replace(marker, '[]'), expected)
          assert.equal(report().count, lines.filter(each => each.secret !== undefined).length)
        },
      ),
      runs,
    )
  })

  test('P8: what is not valid JSON is still masked', async () => {
    await fc.assert(
      fc.asyncProperty(
        document,
        sizes,
        fc.tuple(fc.nat(500), fc.constantFrom('\\', '}', '"', ' x ', '\0')),
        async (from, cuts, [at, junk]) => {
          const { text } = written(from)
          const broken = text.slice(0, at % (text.length + 1)) + junk + text.slice(at % (text.length + 1))
          // Junk inside an escape leaves its digits beside a value, which makes a longer word of it.
          const inside = planted.filter(secret => {
            const start = broken.indexOf(secret)
            return start >= 0 && !/[0-9a-f]$/i.test(broken.slice(0, start))
          })
          const masker = masking.masker(['secrets', 'personal'])
          const { body } = masker.body(split(Buffer.from(broken), cuts), {
            type: 'application/json',
            encodings: [],
          })
          const out = await collect(body).then(String, (error: { code?: string }) => {
            assert.equal(error.code, 'mask-unable')
            return ''
          })
          for (const secret of inside) assert.ok(!out.includes(secret), `${secret} survived`)
        },
      ),
      runs,
    )
  })

  test('P8: any bytes of any type without a value pass byte for byte', async () => {
    const types = [
      'application/json',
      'application/x-ndjson',
      'text/plain',
      'text/event-stream',
      'application/xml',
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.constantFrom('{', '}', '"', '\\', ':', ',', '\n', '\r', 'data', 'é', ' ', '[', ']', 'a', 'z'),
          { maxLength: 80 },
        ),
        fc.constantFrom(...types),
        sizes,
        async (parts, type, cuts) => {
          const bytes = Buffer.from(parts.join(''))
          const { body } = masking
            .masker(['secrets', 'personal'])
            .body(split(bytes, cuts), { type, encodings: [] })
          assert.deepEqual(await collect(body), bytes)
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('P4: literal values', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9+/=_<&é"\\-]{8,40}$/)
  const forms: ((value: string) => string)[] = [
    value => value,
    value => JSON.stringify(value).slice(1, -1),
    value =>
      encodeURIComponent(value).replace(
        /[!'()*]/g,
        each => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    value => Buffer.from(value).toString('base64').replace(/=+$/, ''),
    value => Buffer.from(`user:${value}`).toString('base64'),
    value => Buffer.from(value).toString('hex'),
  ]

  test('P4: no form of a lent value passes, and the length holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        secret,
        fc.tuple(fc.nat(forms.length - 1), filler),
        sizes,
        async (value, [form, words], cuts) => {
          const shown = forms[form]!(value)
          const bytes = Buffer.from(`${words.join(' ')} > ${shown} < ${words.join(' ')}`)
          const masker = masking.masker([], { secrets: [value] })
          const { body, report, altered } = masker.body(split(bytes, cuts), {
            type: 'text/plain',
            encodings: [],
          })
          const out = await collect(body)
          assert.equal(altered, false)
          assert.equal(out.length, bytes.length)
          assert.ok(report().count >= 1)
          assert.ok(!out.includes(shown))
        },
      ),
      runs,
    )
  })

  test('P4: an encoded body passes byte for byte, or is cut before the value', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(secret, fc.boolean()),
        sizes,
        encodings,
        async ([value, present], cuts, applied) => {
          const text = `some text ${present ? value : 'nothing here'} and more of it`
          const bytes = encode(text, applied)
          if (applied.length === 0) return
          const masker = masking.masker([], { secrets: [value] })
          const { body, encodings: left } = masker.body(split(bytes, cuts), {
            type: 'text/plain',
            encodings: applied,
          })
          assert.deepEqual(left, applied)
          if (!present) assert.deepEqual(await collect(body), bytes)
          else await assert.rejects(collect(body), { code: 'mask-unable' })
        },
      ),
      { numRuns: 100 },
    )
  })
})

test('P8: deflate without its header is understood', async () => {
  const bytes = deflateRawSync(Buffer.from('{"a":"ana@example.com"}'))
  const { body } = masking
    .masker(['personal'])
    .body(split(bytes, [1]), { type: 'application/json', encodings: ['deflate'] })
  assert.equal((await collect(body)).toString(), '{"a":"[masked:email]"}')
})
