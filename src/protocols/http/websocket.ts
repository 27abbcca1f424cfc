/**
 * WebSockets (RFC 6455): the handshake is the action, each message an observed part of it. The exchange lives until
 * both sides have closed; its terminal entry holds the totals.
 */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, WebSocket, WebSocketServer } from 'ws'
import type { ActionResult, EntryRef } from '../../audit/audit.ts'
import type { Lease } from '../../credentials/lease.ts'
import { GatewayError } from '../../errors.ts'
import type { Cleared, Denial, Exchange, MaskedReply, Recorded, Reply, Seal } from '../../gateway/exchange.ts'
import type { Masker, MaskReport } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import type { HttpAction } from './action.ts'
import { approvalAddress } from './follow.ts'
import { bothMaskers, mergeReports, nothingMasked } from '../../masking/both-maskers.ts'
import { once, recordedRequest } from './masks.ts'
import { type ExchangeParts, metadataOf, outgoingHead } from './outgoing.ts'
import { denied, faulted, sendRefused } from './refusal.ts'
import { upstreamFault } from './upstream.ts'

/** Messages of one direction that may wait before its sender is paused. */
const maxWaiting = 16

interface Side {
  readonly socket: WebSocket
  readonly from: 'client' | 'upstream'
}

/** The answer to the handshake: an open socket whose messages wait. */
class WebSocketReply implements Reply, MaskedReply {
  readonly masker: Masker
  constructor(masker: Masker) {
    this.masker = masker
  }
  mask(): MaskedReply {
    return this
  }
  record(): void {}
}

class RawWebSocketReply implements Reply {
  readonly #combine: (given: Masker) => Masker
  constructor(combine: (given: Masker) => Masker) {
    this.#combine = combine
  }
  mask(given: Masker): MaskedReply {
    return new WebSocketReply(this.#combine(given))
  }
}

export class WebSocketExchange implements Exchange {
  readonly action: HttpAction
  readonly #parts: ExchangeParts
  readonly #socket: Duplex
  readonly #rest: Buffer
  readonly #response: ServerResponse
  readonly #abort = new AbortController()
  #recorder: Recorder | undefined
  #requestMasker: Masker | undefined
  #upMasker: Masker | undefined
  #mustMask = false
  #upstream: WebSocket | undefined
  #client: WebSocket | undefined
  #messages = { in: 0, out: 0 }
  #bytes = { in: 0, out: 0 }
  #masked: MaskReport = nothingMasked
  #status = 0
  #startedAt = 0

  constructor(parts: ExchangeParts, socket: { readonly duplex: Duplex; readonly rest: Buffer }) {
    this.action = parts.action
    this.#parts = parts
    this.#socket = socket.duplex
    this.#rest = socket.rest
    this.#response = parts.downstream.response
    parts.downstream.onGone(() => {
      this.#abort.abort(new GatewayError('client-gone'))
      this.#upstream?.terminate()
    })
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  cut(): void {
    this.#socket.destroy()
  }

  record(recorder: Recorder, given: Masker): void {
    if (this.#parts.unread !== undefined) throw this.#parts.unread
    this.#recorder = recorder
    this.#requestMasker = this.#ownMasks(given)
    const { head, operation } = this.#parts
    const bytes = recordedRequest(head, this.#requestMasker, operation.resource)
    void recorder.write({ from: 'client', part: 'head', bytes })
  }

  async forward(cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply> {
    const { gateway, connection, operation, flavour, upstream } = this.#parts
    const { mask, maskRequest } = cleared.obligations
    if (maskRequest.length > 0) this.#upMasker = gateway.masker(maskRequest, connection)
    this.#mustMask = mask.length > 0 || (operation.mask?.length ?? 0) > 0
    const { path, headers } = outgoingHead(this.#parts, this.#upMasker, lease.secrets)
    const url = new URL(operation.upstream.origin.replace(/^http/, 'ws') + path)
    if (url.pathname + url.search !== path) {
      throw new GatewayError('invalid-request', {
        detail: 'an address that WebSocket clients spell otherwise',
      })
    }
    const { timeouts, limits } = flavour.settings
    const secure = url.protocol === 'wss:'
    const socket = new WebSocket(url, protocolsOf(headers), {
      headers: fieldsOf(headers),
      agent: false as never,
      followRedirects: false,
      perMessageDeflate: false,
      maxPayload: limits.message,
      handshakeTimeout: timeouts.headers,
      ...upstream.tls(lease.secrets),
      // Nothing may leave before `starting`, and an upstream that can't be reached was never asked.
      finishRequest: request => {
        request.once('socket', dialled => {
          dialled.once(secure ? 'secureConnect' : 'connect', () => {
            this.#startedAt = performance.now()
            starting()
            request.end()
          })
        })
      },
    })
    this.#upstream = socket
    if (this.#parts.downstream.gone) socket.terminate()
    await opened(socket)
    socket.pause()
    this.#status = 101
    return new RawWebSocketReply(given => this.#ownMasks(given))
  }

  async send(recorded: Recorded, seal: Seal): Promise<void> {
    const { reply } = recorded
    const upstream = this.#upstream
    if (!(reply instanceof WebSocketReply) || upstream === undefined)
      throw new TypeError('a reply of another kind')
    if (this.#parts.downstream.gone) throw new GatewayError('client-gone')
    const client = await this.#accept(upstream.protocol)
    this.#client = client
    const head = { status: 101, protocol: upstream.protocol }
    void this.#recorder?.write({ from: 'upstream', part: 'head', bytes: Buffer.from(JSON.stringify(head)) })
    const closed = await this.#relay(client, upstream, reply.masker)
    await seal({
      success: true,
      ...this.#totals({ close_code: closed.code }),
      bytesIn: this.#bytes.in,
      bytesOut: this.#bytes.out,
      masked: this.#masked,
      upstreamDuration: Math.round((performance.now() - this.#startedAt) * 1e6),
    })
    for (const socket of [client, upstream]) closeWith(socket, closed.code, closed.reason)
  }

  async refuse(denial: Denial, entry: EntryRef): Promise<void> {
    const { flavour, downstream } = this.#parts
    const { approval } = denial
    const where = approval === undefined ? {} : { url: approvalAddress(this.#parts, approval.id).url }
    const metadata = metadataOf(this.#parts)
    sendRefused(downstream, denied(denial, { instance: entry.id, flavour, metadata, ...where }), true)
  }

  async abort(error: GatewayError, entry: EntryRef | undefined): Promise<void> {
    const { downstream, flavour } = this.#parts
    this.#upstream?.terminate()
    if (this.#client === undefined) sendRefused(downstream, faulted(error, entry?.id, flavour), true)
    else if (error.code === 'mask-unable') closeWith(this.#client, 1003, 'mask-unable')
    else this.#client.terminate()
  }

  progress(): Partial<ActionResult> {
    return {
      ...(this.#status === 0 ? {} : this.#totals({})),
      bytesIn: this.#bytes.in,
      bytesOut: this.#bytes.out,
      masked: this.#masked,
    }
  }

  #totals(more: Readonly<Record<string, unknown>>): Pick<ActionResult, 'facts'> {
    const { in: fromClient, out } = this.#messages
    return {
      facts: {
        http: { status_code: this.#status },
        websocket: { messages_in: fromClient, messages_out: out, ...more },
      },
    }
  }

  #accept(protocol: string): Promise<WebSocket> {
    const { downstream, flavour } = this.#parts
    const server = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: flavour.settings.limits.message,
      handleProtocols: () => (protocol === '' ? false : protocol),
    })
    // From here on the socket is the WebSocket's; the response that refusals would have used lets go of it.
    this.#response.detachSocket(this.#socket as never)
    return new Promise(resolve => {
      server.handleUpgrade(downstream.request, this.#socket, this.#rest, client => resolve(client))
    })
  }

  /** Passes messages both ways until one side closes; resolves with how. Rejects when one side breaks off. */
  #relay(client: WebSocket, upstream: WebSocket, masker: Masker): Promise<{ code: number; reason: Buffer }> {
    const down = { socket: upstream, from: 'upstream' } as const
    const up = { socket: client, from: 'client' } as const
    return new Promise((resolve, reject) => {
      const pump = (
        side: Side,
        to: WebSocket,
        pass: (data: Buffer, binary: boolean) => Promise<Buffer>,
      ): void => {
        let last = Promise.resolve()
        let waiting = 0
        side.socket.on('message', (data: RawData, binary: boolean) => {
          if (++waiting >= maxWaiting) side.socket.pause()
          last = last.then(async () => {
            await sendTo(to, await pass(data as Buffer, binary), binary)
            if (--waiting < maxWaiting / 2) side.socket.resume()
          })
          last.catch(reject)
        })
        side.socket.on('error', error => reject(brokenBy(side.from, error)))
        side.socket.on('close', (code, reason) => {
          if (code === 1006) reject(brokenBy(side.from))
          else void last.then(() => resolve({ code, reason }), reject)
        })
      }
      pump(up, upstream, (data, binary) => this.#fromClient(data, binary))
      pump(down, client, (data, binary) => this.#fromUpstream(data, binary, masker))
      upstream.resume()
    })
  }

  async #fromClient(data: Buffer, binary: boolean): Promise<Buffer> {
    this.#messages.in++
    this.#bytes.in += data.length
    const masker = this.#requestMasker
    const kept =
      masker === undefined || masker.idle
        ? data
        : binary
          ? unseen(data)
          : (await maskText(data, masker)).bytes
    await this.#recorder?.write({ from: 'client', part: 'message', bytes: kept })
    if (this.#upMasker === undefined || this.#upMasker.idle) return data
    if (binary) throw unmaskable()
    const masked = await maskText(data, this.#upMasker)
    this.#masked = mergeReports(this.#masked, masked.report)
    return masked.bytes
  }

  async #fromUpstream(data: Buffer, binary: boolean, masker: Masker): Promise<Buffer> {
    if (binary && this.#mustMask && !masker.idle) throw unmaskable()
    const masked = masker.idle ? { bytes: data, report: nothingMasked } : await maskText(data, masker)
    this.#masked = mergeReports(this.#masked, masked.report)
    this.#messages.out++
    this.#bytes.out += masked.bytes.length
    await this.#recorder?.write({ from: 'upstream', part: 'message', bytes: masked.bytes })
    return masked.bytes
  }

  #ownMasks(given: Masker): Masker {
    const { operation, gateway, connection } = this.#parts
    const { mask } = operation
    return mask === undefined || mask.length === 0
      ? given
      : bothMaskers(gateway.masker(mask, connection), given)
  }
}

/** Resolves when the handshake is done; rejects with the fault, or with how the upstream refused. */
function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.on('error', error => reject(upstreamFault(error, false)))
    socket.once('unexpected-response', (request, response) => {
      response.resume()
      request.destroy()
      const detail = `the upstream refused the WebSocket with status ${response.statusCode}`
      reject(new GatewayError('upstream-invalid', { detail }))
    })
  })
}

async function maskText(data: Buffer, masker: Masker): Promise<{ bytes: Buffer; report: MaskReport }> {
  const first = data.toString('latin1', 0, 64).trimStart()[0]
  const type = first === '{' || first === '[' ? 'application/json' : 'text/plain; charset=utf-8'
  const masked = masker.body(once(data), { type, encodings: [] })
  const pieces: Buffer[] = []
  for await (const piece of masked.body) pieces.push(piece)
  return { bytes: Buffer.concat(pieces), report: masked.report() }
}

function unseen(data: Buffer): Buffer {
  return Buffer.from(`[${data.length} bytes, binary]`)
}

function unmaskable(): GatewayError {
  return new GatewayError('mask-unable', { detail: 'a binary message where a mask is required' })
}

function brokenBy(from: Side['from'], error?: Error): GatewayError {
  const internal = error === undefined ? {} : { internal: error.message, cause: error }
  if (from === 'upstream')
    return new GatewayError('upstream-invalid', { detail: 'the WebSocket broke off', ...internal })
  return new GatewayError(error === undefined ? 'client-gone' : 'invalid-request', internal)
}

/** Resolves when the message has left, so that a slow receiver slows its sender. */
function sendTo(to: WebSocket, data: Buffer, binary: boolean): Promise<void> {
  if (to.readyState !== WebSocket.OPEN) return Promise.resolve()
  return new Promise(resolve => to.send(data, { binary }, () => resolve()))
}

/** Codes that may not be sent (RFC 6455 section 7.4.1) become a plain close. */
function closeWith(socket: WebSocket, code: number, reason: Buffer | string): void {
  if (socket.readyState === WebSocket.CLOSED) return
  const sendable = (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || code >= 3000
  if (sendable) socket.close(code, reason)
  else socket.close()
}

function protocolsOf(headers: readonly string[]): string[] {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() === 'sec-websocket-protocol') {
      return headers[i + 1]!.split(',').map(name => name.trim())
    }
  }
  return []
}

/** Headers for the handshake, without those that belong to it. */
function fieldsOf(headers: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (name.toLowerCase().startsWith('sec-websocket-')) continue
    fields[name] = fields[name] === undefined ? headers[i + 1]! : `${fields[name]}, ${headers[i + 1]}`
  }
  return fields
}
