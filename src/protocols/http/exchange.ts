/**
 * One request and its answer, as the path drives them. The end of the answer leaves only after the terminal entry is
 * durable; until then the client can't take what it has for the whole.
 */
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import type {
  ActionPreview,
  Cleared,
  Denial,
  Exchange,
  Patience,
  Recorded,
  Reply,
  Seal,
} from '../../gateway/exchange.ts'
import type { Masker, MaskReport } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import type { HttpAction } from './action.ts'
import { approvalAddress } from './follow.ts'
import { writeKeptCall } from './kept-call.ts'
import { rewriteLocation } from './location.ts'
import { bothMaskers, mergeReports, nothingMasked } from '../../masking/both-maskers.ts'
import { once, recordedRequest } from './masks.ts'
import { type Mirror, mirror } from './mirror.ts'
import { addressesOf, type ExchangeParts, metadataOf, outgoingHead } from './outgoing.ts'
import { previewAction } from './preview.ts'
import { approvalStatus, denied, endsConnection, faulted, sendRefused } from './refusal.ts'
import { HttpReply, MaskedHttpReply, type ReplyBody } from './reply.ts'
import { hasOwnCredentials, toldQuota } from './told-quota.ts'
import { Call, type CallRequest } from './upstream.ts'

export class HttpExchange implements Exchange {
  readonly action: HttpAction
  readonly #parts: ExchangeParts
  #abort: AbortController | undefined
  #mirror: Mirror | undefined
  #requestMasker: Masker | undefined
  #call: Call | undefined
  #reply: MaskedHttpReply | undefined
  /** Ends the hold, where the call was held. */
  #release: (() => void) | undefined
  #bytesIn = 0
  #bytesOut = 0
  #maskedUp: MaskReport = nothingMasked
  #maskedUpBody: (() => MaskReport) | undefined
  /** Index of the entry of the last read of what this changes. */
  #before: string | undefined

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.action = parts.action
    parts.downstream.onGone(() => {
      const gone = new GatewayError('client-gone')
      this.#abort?.abort(gone)
      this.#call?.cancel(gone)
    })
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#parts.downstream.gone) this.#abort.abort(new GatewayError('client-gone'))
    }
    return this.#abort.signal
  }

  get patience(): Patience {
    return this.#parts.holds.patience(this.#parts.head, this.#bodyLength)
  }

  held(): void {
    this.#release ??= this.#parts.holds.enter(this.#bodyLength)
  }

  record(recorder: Recorder, given: Masker): void {
    const { head, body, unread } = this.#parts
    if (unread !== undefined) throw unread
    this.#requestMasker = given
    const masker = this.#ownMasks(given)
    void recorder.write({
      from: 'client',
      part: 'head',
      bytes: recordedRequest(head, masker, this.#parts.operation.resource),
    })
    if (!head.hasBody) return
    this.#mirror = mirror(recorder, masker, { type: head.contentType, encodings: head.encodings })
    if (body !== undefined) void this.#mirror.write(body.bytes)
  }

  async preview(): Promise<ActionPreview | undefined> {
    const masker = this.#requestMasker
    const preview = masker === undefined ? undefined : await previewAction(this.#parts, masker)
    this.#before = preview?.readEntry
    return preview
  }

  async forward(cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply> {
    const { downstream, flavour, operation, upstream, head } = this.#parts
    this.#endHold()
    if (downstream.gone) throw new GatewayError('client-gone')
    const { maskRequest } = cleared.obligations
    const masker = maskRequest.length === 0 ? undefined : this.#masker(maskRequest)
    const request = this.#request(cleared, lease, masker)
    // A body that was read is recorded before it leaves, so that one which can't be masked never does.
    if (this.#parts.body !== undefined) await this.#mirror?.end()
    const call = new Call(starting)
    this.#call = call
    await upstream.call(operation.upstream, request, { secrets: lease.secrets, call })
    if (call.status === 401) lease.refused?.()
    this.#learnLimit(call)
    const addresses = addressesOf(this.#parts)
    return new HttpReply(call, {
      method: head.method,
      setCookies: flavour.settings.headers.set_cookies,
      rewrite: url => rewriteLocation(url, addresses),
      masker: given => this.#ownMasks(given),
    })
  }

  #learnLimit(call: Call): void {
    const { flavour, gateway, connection } = this.#parts
    if (!flavour.settings.share_limits || hasOwnCredentials(connection)) return
    const told = toldQuota(call.headers, Date.now())
    if (told !== undefined) gateway.shares?.learn(this.action, { target: connection }, told)
  }

  async send(recorded: Recorded, seal: Seal): Promise<void> {
    const { reply } = recorded
    if (!(reply instanceof MaskedHttpReply)) throw new TypeError('a reply of another protocol')
    this.#reply = reply
    const body = await reply.settle()
    if (this.#parts.downstream.gone) throw new GatewayError('client-gone')
    if (body.kind === 'stream') await this.#sendStream(reply, body, seal)
    else await this.#sendWhole(reply, body, seal)
  }

  async refuse(denial: Denial, entry: EntryRef): Promise<void> {
    this.#endHold()
    const { downstream, flavour, followed } = this.#parts
    const instance = entry.id
    const { approval } = denial
    if (approval === undefined) {
      const metadata = metadataOf(this.#parts)
      const refused = denied(denial, { instance, flavour, followed, metadata })
      return sendRefused(downstream, refused, this.#mustClose())
    }
    const { path, url } = approvalAddress(this.#parts, approval.id)
    const refused =
      approval.then === 'poll' && (await this.#keep(approval.id))
        ? approvalStatus(approval, { status: 202, path, url, instance, preferred: !followed })
        : denied(denial, { instance, flavour, url })
    sendRefused(downstream, refused, this.#mustClose())
  }

  async abort(error: GatewayError, entry: EntryRef | undefined): Promise<void> {
    this.#endHold()
    const { downstream, flavour } = this.#parts
    this.#call?.cancel(error)
    if (downstream.headSent) downstream.cut()
    else
      sendRefused(downstream, faulted(error, entry?.id, flavour), this.#mustClose() || endsConnection(error))
  }

  cut(): void {
    this.#parts.downstream.abandon()
  }

  progress(): Partial<ActionResult> {
    const call = this.#call
    if (call === undefined) return {}
    return {
      ...(call.status === 0 ? {} : { facts: this.#facts(call) }),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      masked: this.#report(),
      ...(call.startedAt === 0 ? {} : { upstreamDuration: this.#duration(call) }),
    }
  }

  async #sendWhole(
    reply: MaskedHttpReply,
    body: Exclude<ReplyBody, { kind: 'stream' }>,
    seal: Seal,
  ): Promise<void> {
    const { downstream } = this.#parts
    const bytes = body.kind === 'whole' ? body.bytes : undefined
    const trailers = bytes === undefined || !this.#hasChunks ? [] : reply.trailers
    const headers = reply.head(trailers.length > 0 ? undefined : (bytes?.length ?? reply.declaredLength))
    if (trailers.length > 0) headers.push('Trailer', trailers.filter((_, i) => i % 2 === 0).join(', '))
    reply.recordHead(headers)
    if (bytes !== undefined) await reply.recordBody(bytes)
    if (trailers.length > 0) reply.recordTrailers(trailers)
    this.#bytesOut = bytes?.length ?? 0
    await this.#seal(seal)
    if (downstream.gone) return
    downstream.head(reply.status, reply.reason, headers)
    if (trailers.length > 0) downstream.trailers(trailers)
    downstream.end(bytes)
  }

  async #sendStream(
    reply: MaskedHttpReply,
    body: Extract<ReplyBody, { kind: 'stream' }>,
    seal: Seal,
  ): Promise<void> {
    const { downstream } = this.#parts
    const declared = reply.declaredLength
    const headers = reply.head(declared)
    const mayTrail = declared === undefined && this.#hasChunks
    if (mayTrail && reply.announced.length > 0) headers.push('Trailer', reply.announced.join(', '))
    reply.recordHead(headers)
    downstream.head(reply.status, reply.reason, headers)
    if (!body.ready) downstream.flush()
    // A declared length ends the answer by its last byte; without chunks (HTTP/1.0) any byte may be the last.
    const holdAlways = !this.#hasChunks
    let held: Buffer | undefined
    for await (const chunk of body.chunks) {
      const behind = reply.recordBody(chunk)
      if (behind !== undefined) await behind
      if (held !== undefined) await this.#write(held)
      held = undefined
      this.#bytesOut += chunk.length
      if (holdAlways || (declared !== undefined && this.#bytesOut >= declared)) held = chunk
      else await this.#write(chunk)
    }
    if (downstream.gone) throw new GatewayError('client-gone')
    const trailers = mayTrail ? reply.trailers : []
    if (trailers.length > 0) reply.recordTrailers(trailers)
    await this.#seal(seal)
    if (trailers.length > 0) downstream.trailers(trailers)
    downstream.end(held)
  }

  /** The client knows an end that is no closing of the connection, and what may stand there. */
  get #hasChunks(): boolean {
    return this.#parts.head.version !== '1.0'
  }

  async #write(chunk: Buffer): Promise<void> {
    const { downstream } = this.#parts
    if (downstream.gone) throw new GatewayError('client-gone')
    if (!downstream.write(chunk)) await downstream.drained()
  }

  async #seal(seal: Seal): Promise<void> {
    const call = this.#call!
    await seal({
      success: call.status < 400,
      facts: this.#facts(call),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      masked: this.#report(),
      upstreamDuration: this.#duration(call),
    })
  }

  #facts({ status }: Call): Record<string, unknown> {
    const before = this.#before === undefined ? {} : { before: this.#before }
    return { http: { status_code: status, ...before } }
  }

  #report(): MaskReport {
    const up = mergeReports(this.#maskedUp, this.#maskedUpBody?.() ?? nothingMasked)
    return this.#reply === undefined ? up : mergeReports(up, this.#reply.report())
  }

  #duration(call: Call): number {
    const end = call.endedAt === 0 ? performance.now() : call.endedAt
    return Math.round((end - call.startedAt) * 1e6)
  }

  #request(cleared: Cleared, lease: Lease, masker: Masker | undefined): CallRequest {
    const { head } = this.#parts
    const { path, headers } = outgoingHead(this.#parts, masker, lease.secrets)
    if (head.range !== undefined && this.#mayPassRange(cleared, lease)) {
      headers.push('Range', head.range)
      if (head.ifRange !== undefined) headers.push('If-Range', head.ifRange)
    }
    // Undici writes `Connection` itself: the option `TE` that belongs to it (RFC 9110 section 10.1.4) can't be set.
    if (head.takesTrailers === true) headers.push('TE', 'trailers')
    if (masker !== undefined) this.#maskedUp = masker.takeReport()
    return { method: head.method, path, headers, body: this.#body(headers, masker) }
  }

  /** Two halves of a secret would each look harmless: what must be masked is asked for whole (RFC 9110 14.2 lets us). */
  #mayPassRange(cleared: Cleared, lease: Lease): boolean {
    const { gateway, connection } = this.#parts
    return this.#ownMasks(gateway.masker(cleared.obligations.mask, connection, lease)).idle
  }

  #body(headers: string[], masker: Masker | undefined): CallRequest['body'] {
    const { head, body } = this.#parts
    if (!head.hasBody) {
      if (head.contentLength === 0) headers.push('Content-Length', '0')
      return undefined
    }
    if (body !== undefined) this.#bytesIn = body.bytes.length
    if (masker !== undefined && !masker.idle) {
      const source = body === undefined ? this.#stream() : once(body.bytes)
      const masked = masker.body(source, { type: head.contentType, encodings: head.encodings })
      this.#maskedUpBody = () => masked.report()
      if (head.encodings.length > 0 && masked.encodings.length === 0) dropHeader(headers, 'content-encoding')
      if (!masked.altered && head.contentLength !== undefined) {
        headers.push('Content-Length', String(head.contentLength))
      }
      return masked.body
    }
    if (body !== undefined) return body.bytes
    if (head.contentLength !== undefined) headers.push('Content-Length', String(head.contentLength))
    return this.#stream()
  }

  /** The client's body as it comes, counted, bounded and mirrored. Asks for it only once it is read. */
  async *#stream(): AsyncGenerator<Buffer, void, undefined> {
    const { downstream, head, flavour } = this.#parts
    const { request } = downstream
    const limit = flavour.settings.limits.body
    if (head.expectsContinue) downstream.writeContinue()
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        this.#bytesIn += chunk.length
        if (this.#bytesIn > limit) throw new GatewayError('body-too-large')
        const behind = this.#mirror?.write(chunk)
        if (behind !== undefined) await behind
        yield chunk
      }
    } catch (cause) {
      throw cause instanceof GatewayError ? cause : new GatewayError('client-gone', { cause })
    }
    await this.#mirror?.end()
  }

  #ownMasks(given: Masker): Masker {
    const { mask } = this.#parts.operation
    return mask === undefined || mask.length === 0 ? given : bothMaskers(this.#masker(mask), given)
  }

  #masker(profiles: readonly string[]): Masker {
    return this.#parts.gateway.masker(profiles, this.#parts.connection)
  }

  #endHold(): void {
    this.#release?.()
    this.#release = undefined
  }

  get #bodyLength(): number {
    return this.#parts.body?.bytes.length ?? 0
  }

  /** Keeps the call for a client that comes back; false where it must be sent again. */
  async #keep(approval: string): Promise<boolean> {
    const { gateway, head, body } = this.#parts
    const call = writeKeptCall(head, body)
    if (call === undefined || gateway.deferrals === undefined) return false
    // A store that can't take it now is no reason to fail: the approval is there, and the request can be sent again.
    return await gateway.deferrals.keep(approval, call).catch(() => false)
  }

  /** A client that waits for 100 may or may not still send its body: after a refusal nobody could tell. */
  #mustClose(): boolean {
    const { head, downstream } = this.#parts
    return head.expectsContinue && !downstream.request.complete
  }
}

function dropHeader(headers: string[], name: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i]!.toLowerCase() === name) headers.splice(i, 2)
  }
}
