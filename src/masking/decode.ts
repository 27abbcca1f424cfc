/** Content encodings (RFC 9110 section 8.4), undone while the body streams. */
import type { Transform as NodeTransform } from 'node:stream'
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  type Zlib,
} from 'node:zlib'
import { unable } from './transform.ts'

export interface DecodeLimits {
  readonly maxDecoded: number
  readonly maxExpansion: number
}

const mostEncodings = 3
/** Small bodies may expand freely. */
const freeOutput = 4 * 1024 ** 2

export type Coder = 'gzip' | 'deflate' | 'br' | 'zstd'
const coders = new Map<string, Coder>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ['zstd', 'zstd'],
  // Not registered, but what some clients call it (RFC 8878 has the name without the digit).
  ['zstd1', 'zstd'],
])

/** The encodings that are really there, in the order applied. Throws `mask-unable` for one that can't be undone. */
export function codersOf(encodings: readonly string[]): readonly Coder[] {
  const names = encodings
    .flatMap(value => value.split(','))
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '' && name !== 'identity')
  if (names.length > mostEncodings) throw unable('more content encodings than can be undone')
  return names.map(name => {
    const coder = coders.get(name)
    if (coder === undefined) throw unable('a content encoding that can not be undone')
    return coder
  })
}

/**
 * A decoder that is driven: all that a chunk decodes to has come out when its `push` ends. It throws `mask-unable`
 * where the stream is damaged, cut short, goes on after its end, or expands past the limits: it never ends short in
 * silence. `close` frees what zlib holds and may be called at any time.
 */
export interface Decoding {
  push(chunk: Buffer): AsyncGenerator<Buffer>
  end(): AsyncGenerator<Buffer>
  close(): void
}

export function createDecoding(encodings: readonly Coder[], limits: DecodeLimits): Decoding {
  const stages = encodings.toReversed().map(coder => new Stage(coder))
  let taken = 0
  let given = 0

  async function* through(chunk: Buffer, index: number): AsyncGenerator<Buffer> {
    const stage = stages[index]
    if (stage !== undefined) {
      for await (const out of stage.push(chunk)) yield* through(out, index + 1)
      return
    }
    given += chunk.length
    if (given > limits.maxDecoded) throw unable('the body unpacks to more than masking.max_decoded')
    if (given > freeOutput && given > taken * limits.maxExpansion)
      throw unable('the body expands more than masking.max_expansion')
    yield chunk
  }

  return {
    async *push(chunk) {
      taken += chunk.length
      yield* through(chunk, 0)
    },
    async *end() {
      for (const [index, stage] of stages.entries())
        for await (const out of stage.end()) yield* through(out, index + 1)
    },
    close() {
      for (const stage of stages) stage.close()
    },
  }
}

/** The decoded body. Leaving the iteration frees everything. */
export async function* decode(
  body: AsyncIterable<Buffer>,
  encodings: readonly Coder[],
  limits: DecodeLimits,
): AsyncGenerator<Buffer> {
  const decoding = createDecoding(encodings, limits)
  try {
    for await (const chunk of body) yield* decoding.push(chunk)
    yield* decoding.end()
  } finally {
    decoding.close()
  }
}

type Decoder = NodeTransform & Zlib

/** One encoding. */
class Stage {
  readonly #coder: Coder
  /** The first bytes, until there are enough to choose the decoder by. */
  #head: Buffer = Buffer.alloc(0)
  #decoder: Decoder | undefined
  #taken = 0
  #error: unknown
  #wake: () => void = () => undefined

  constructor(coder: Coder) {
    this.#coder = coder
  }

  async *push(chunk: Buffer): AsyncGenerator<Buffer> {
    let input = chunk
    if (this.#decoder === undefined) {
      input = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
      this.#head = input
      if (input.length < 2) return
    }
    yield* this.#write(input)
  }

  async *end(): AsyncGenerator<Buffer> {
    // A body of no bytes is how some servers answer with an encoding and nothing to encode.
    if (this.#decoder === undefined && this.#head.length === 0) return
    if (this.#decoder === undefined) yield* this.#write(this.#head)
    const decoder = this.#open()
    decoder.end()
    yield* this.#drain(decoder, () => decoder.readableEnded)
    if (decoder.bytesWritten !== this.#taken) throw unable('the body goes on after its compressed content')
  }

  close(): void {
    this.#decoder?.destroy()
  }

  async *#write(input: Buffer): AsyncGenerator<Buffer> {
    const decoder = this.#open(input)
    if (decoder.readableEnded) throw unable('the body goes on after its compressed content')
    this.#taken += input.length
    let written = false
    decoder.write(input, () => {
      written = true
      this.#wake()
    })
    yield* this.#drain(decoder, () => written || decoder.readableEnded)
  }

  /** Reads until `done` and nothing is left; also the only place that waits. */
  async *#drain(decoder: Decoder, done: () => boolean): AsyncGenerator<Buffer> {
    for (;;) {
      for (let out = read(decoder); out !== null; out = read(decoder)) yield out
      if (this.#error !== undefined) throw unable('the compressed body is damaged or cut short', this.#error)
      if (done()) {
        if (decoder.readableLength === 0) return
        continue
      }
      if (decoder.destroyed) throw unable('the compressed body was left')
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #open(head: Buffer = this.#head): Decoder {
    if (this.#decoder !== undefined) return this.#decoder
    const decoder = decoderFor(this.#coder, head)
    decoder.on('readable', () => this.#wake())
    decoder.on('end', () => this.#wake())
    decoder.on('close', () => this.#wake())
    decoder.on('error', error => {
      this.#error = error
      this.#wake()
    })
    this.#decoder = decoder
    return decoder
  }
}

function read(decoder: Decoder): Buffer | null {
  return decoder.read() as Buffer | null
}

function decoderFor(coder: Coder, head: Buffer): Decoder {
  switch (coder) {
    case 'gzip':
      return createGunzip()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress()
    case 'deflate':
      // Some servers send the bare format of RFC 1951 where RFC 1950 is meant.
      return isZlibHeader(head) ? createInflate() : createInflateRaw()
  }
}

/** RFC 1950 section 2.2. */
function isZlibHeader(head: Buffer): boolean {
  return head.length >= 2 && (head[0]! & 0x0f) === 8 && head.readUInt16BE(0) % 31 === 0
}
