/** An upstream's answer on its way down: masked, mirrored into the recording, with a head that stays true. */
import { GatewayError } from '../../errors.ts'
import type { MaskedReply, Reply } from '../../gateway/exchange.ts'
import type { MaskedBody, Masker, MaskReport } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import { connectionOptions, cookieName, fieldText, hopByHop, mayTrail } from './headers.ts'
import { mergeReports, nothingMasked } from '../../masking/both-maskers.ts'
import { once } from './masks.ts'
import type { Call } from './upstream.ts'

/** How the client reaches the upstream's addresses: see `rewriteLocation`. */
export interface ReplyContext {
  readonly method: string
  readonly setCookies: readonly string[]
  readonly rewrite: (url: string) => string
  /** Combines the path's masker with those that the operation always gets. */
  readonly masker: (given: Masker) => Masker
}

export class HttpReply implements Reply {
  readonly #call: Call
  readonly #context: ReplyContext

  constructor(call: Call, context: ReplyContext) {
    this.#call = call
    this.#context = context
  }

  mask(given: Masker): MaskedReply {
    const call = this.#call
    const masker = this.#context.masker(given)
    const head = readReplyHead(call.headers, this.#context, masker)
    const bodyless = this.#context.method === 'HEAD' || call.status === 204 || call.status === 304
    if (!masker.idle && call.status === 206) {
      throw new GatewayError('mask-unable', { detail: 'a part of a body cannot be masked' })
    }
    return new MaskedHttpReply({ call, head, masker, bodyless })
  }
}

/** The parts of an answer's head that decide how its body is sent. */
interface ReplyHead {
  /** Flat, masked, without what ends here and without Content-Length. */
  readonly headers: string[]
  readonly type: string | undefined
  readonly encodings: readonly string[]
  readonly length: number | undefined
  /** Names that `Trailer` announces. */
  readonly announced: readonly string[]
}

/** Fields that no longer hold once the body was altered. */
const ofExactBody: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-md5',
  'digest',
  'repr-digest',
  'signature',
  'signature-input',
])

function readReplyHead(raw: readonly string[], context: ReplyContext, masker: Masker): ReplyHead {
  const headers: string[] = []
  const encodings: string[] = []
  let type: string | undefined
  let length: number | undefined
  let options: string[] | undefined
  let announced: readonly string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const lower = name.toLowerCase()
    let value = raw[i + 1]!
    if (lower === 'connection') (options ??= []).push(value)
    if (lower === 'trailer') announced = [...announced, ...value.split(',').map(each => each.trim())]
    if (hopByHop.has(lower)) continue
    switch (lower) {
      case 'content-length':
        length = Number(value)
        continue
      case 'alt-svc': // would lead the client around the gateway
        continue
      case 'set-cookie':
        if (!context.setCookies.includes(cookieName(value))) continue
        break
      case 'location':
      case 'content-location':
        value = context.rewrite(value)
        break
      case 'link':
        value = value.replaceAll(/<([^<>]*)>/g, (_, url: string) => `<${context.rewrite(url)}>`)
        break
      case 'content-type':
        type = value
        break
      case 'content-encoding':
        for (const coding of value.toLowerCase().split(',')) {
          if (coding.trim() !== '' && coding.trim() !== 'identity') encodings.push(coding.trim())
        }
        break
      default:
    }
    headers.push(name, masker.idle ? value : fieldText(masker.header(lower, value)))
  }
  const dropped = options && connectionOptions(options)
  const kept = dropped ? without(headers, dropped) : headers
  return { headers: kept, type, encodings, length, announced }
}

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  }
  return kept
}

/** What a reply's body is by the time it can be sent. */
export type ReplyBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Buffer>; readonly ready: boolean }

export class MaskedHttpReply implements MaskedReply {
  readonly #call: Call
  readonly #head: ReplyHead
  readonly #masker: Masker
  readonly #bodyless: boolean
  #body: MaskedBody | undefined
  #recorder: Recorder | undefined
  #ofHead: MaskReport = nothingMasked
  #altered = false
  #encodings: readonly string[]

  constructor(of: { call: Call; head: ReplyHead; masker: Masker; bodyless: boolean }) {
    this.#call = of.call
    this.#head = of.head
    this.#masker = of.masker
    this.#bodyless = of.bodyless
    this.#encodings = of.head.encodings
    if (!of.masker.idle && of.bodyless) this.#altered = of.call.status !== 204
    if (of.masker.idle || of.bodyless || of.call.ended) return
    this.#body = this.#masked(of.call.body())
    this.#altered = this.#body.altered
    this.#encodings = this.#body.encodings
  }

  get status(): number {
    return this.#call.status
  }

  /** Free text that only people read (RFC 9112 section 4); left out where it could not be sent on. */
  get reason(): string {
    const { reason } = this.#call
    return /^[\t\x20-\x7e]*$/.test(reason) && this.#masker.idle ? reason : ''
  }

  record(recorder: Recorder): void {
    this.#recorder = recorder
  }

  /** Settles the body: small answers that are all here become one piece, so that they can be sent as one. */
  async settle(): Promise<ReplyBody> {
    const call = this.#call
    if (this.#bodyless) return { kind: 'none' }
    const raw = this.#body === undefined ? call.whole() : undefined
    if (raw === undefined) {
      return { kind: 'stream', chunks: this.#body?.body ?? call.body(), ready: call.received > 0 }
    }
    if (this.#masker.idle || raw.length === 0) return { kind: 'whole', bytes: raw }
    const masked = this.#masked(once(raw))
    this.#body = masked
    const pieces: Buffer[] = []
    for await (const piece of masked.body) pieces.push(piece)
    // Nothing was found: the upstream's own bytes go down, in their own encoding and under their own digest.
    if (masked.report().count === 0) return { kind: 'whole', bytes: raw }
    this.#altered = true
    this.#encodings = masked.encodings
    return { kind: 'whole', bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces) }
  }

  /** The head to send; `length` where the body's exact length is known. Call after `settle`. */
  head(length: number | undefined): string[] {
    const headers: string[] = []
    const { headers: given, encodings } = this.#head
    const decoded = encodings.length > 0 && this.#encodings.length === 0
    for (let i = 0; i < given.length; i += 2) {
      const name = given[i]!
      let value = given[i + 1]!
      const lower = name.toLowerCase()
      if (decoded && lower === 'content-encoding') continue
      if (this.#altered) {
        if (ofExactBody.has(lower)) continue
        if (lower === 'etag' && !value.startsWith('W/')) value = `W/${value}`
      }
      headers.push(name, value)
    }
    if (length !== undefined) headers.push('Content-Length', String(length))
    return headers
  }

  /** The length that the upstream declared, where it still holds. */
  get declaredLength(): number | undefined {
    return this.#altered || this.#call.status === 204 ? undefined : this.#head.length
  }

  /** What may follow the body, masked; complete once the body has ended. */
  get trailers(): string[] {
    const { trailers } = this.#call
    const kept: string[] = []
    for (let i = 0; i < trailers.length; i += 2) {
      const lower = trailers[i]!.toLowerCase()
      if (!this.#mayTrail(lower)) continue
      kept.push(
        trailers[i]!,
        this.#masker.idle ? trailers[i + 1]! : fieldText(this.#masker.header(lower, trailers[i + 1]!)),
      )
    }
    return kept
  }

  /** The names that the upstream has announced of what may follow (RFC 9110 section 6.6.2). */
  get announced(): readonly string[] {
    return this.#head.announced.filter(name => this.#mayTrail(name.toLowerCase()))
  }

  #mayTrail(name: string): boolean {
    return mayTrail(name) && !(this.#altered && ofExactBody.has(name))
  }

  recordHead(headers: readonly string[]): void {
    const head = { status: this.status, reason: this.reason, headers }
    void this.#recorder?.write({ from: 'upstream', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
  }

  recordTrailers(trailers: readonly string[]): void {
    const head = { status: 'trailers', headers: trailers }
    void this.#recorder?.write({ from: 'upstream', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
  }

  recordBody(bytes: Buffer): void | Promise<void> {
    if (bytes.length > 0) return this.#recorder?.write({ from: 'upstream', part: 'body', bytes })
  }

  /** What was masked; complete once the body has ended. */
  report(): MaskReport {
    this.#ofHead = mergeReports(this.#ofHead, this.#masker.takeReport())
    return this.#body === undefined ? this.#ofHead : mergeReports(this.#ofHead, this.#body.report())
  }

  #masked(body: AsyncIterable<Buffer>): MaskedBody {
    return this.#masker.body(body, { type: this.#head.type, encodings: this.#head.encodings })
  }
}
