/** The upstream's side: kept connections per host, and one call with its answer, without needless streams. */
import { readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { type Dispatcher, Pool } from 'undici'
import { GatewayError } from '../../errors.ts'
import type { UpstreamBase } from './flavour.ts'
import type { CommonSettings } from './settings.ts'

/** Bytes of an answer that wait here before the upstream is told to pause. */
const highWater = 256 * 1024
/** Calls that may wait for a connection beyond those that have one; more is `overloaded`. */
const maxWaiting = 1024

export interface CallRequest {
  readonly method: string
  readonly path: string
  readonly headers: string[]
  readonly body: Buffer | AsyncIterable<Buffer> | undefined
}

/** The pools of one connection: one per host and client certificate. */
export class Upstream {
  readonly #settings: CommonSettings
  readonly #ca: string | undefined
  readonly #pools = new Map<string, { pool: Pool; running: number }>()

  constructor(settings: CommonSettings) {
    this.#settings = settings
    this.#ca = settings.tls.ca === undefined ? undefined : readPem(settings.tls.ca)
  }

  /** Whom the upstream's TLS must prove to be. */
  get trust(): TlsOptions {
    const { server_name, verify } = this.#settings.tls
    return {
      rejectUnauthorized: verify,
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
      ...(server_name === undefined ? {} : { servername: server_name }),
    }
  }

  /** `trust` and the client certificate. Throws `credential-unavailable` where the lease does not have it. */
  tls(secrets: Readonly<Record<string, string>>): TlsOptions {
    const { client } = this.#settings.tls
    if (client === undefined) return this.trust
    const cert = secrets[client.certificate]
    const key = secrets[client.key]
    if (cert === undefined || key === undefined) {
      throw new GatewayError('credential-unavailable', { detail: 'the client certificate of the upstream' })
    }
    return { ...this.trust, cert, key }
  }

  /** Sends a request. Resolves at the head of the answer; see `Call`. Throws `overloaded` where too many wait. */
  call(
    base: UpstreamBase,
    request: CallRequest,
    how: { readonly secrets: Readonly<Record<string, string>>; readonly call: Call },
  ): Promise<Call> {
    const entry = this.#pool(base, how.secrets)
    if (entry.running >= this.#settings.pool.connections + maxWaiting) throw new GatewayError('overloaded')
    entry.running++
    const { call } = how
    call.onDone = () => void entry.running--
    return new Promise((resolve, reject) => {
      call.onHead = resolve
      call.onFault = reject
      entry.pool.dispatch(
        {
          path: request.path,
          method: request.method,
          headers: request.headers,
          body: (request.body ?? null) as Buffer | null,
          // Undici closes the connection after a body on a method that "expects none"; DELETE bodies are ordinary here.
          ...(request.method === 'HEAD' ? {} : { reset: false }),
        },
        call,
      )
    })
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map(({ pool }) => pool.destroy()))
  }

  #pool(base: UpstreamBase, secrets: Readonly<Record<string, string>>): { pool: Pool; running: number } {
    const { tls, timeouts, pool, limits } = this.#settings
    const tag = tls.client === undefined ? '' : certificateTag(secrets[tls.client.certificate])
    const key = `${base.origin} ${tag}`
    let entry = this.#pools.get(key)
    if (entry === undefined) {
      entry = {
        running: 0,
        pool: new Pool(base.origin, {
          connections: pool.connections,
          pipelining: 1,
          allowH2: false,
          keepAliveTimeout: pool.keep_alive,
          headersTimeout: timeouts.headers,
          bodyTimeout: timeouts.idle,
          maxHeaderSize: limits.response_headers,
          connect: { timeout: timeouts.connect, ...this.tls(secrets) },
        }),
      }
      this.#pools.set(key, entry)
    }
    return entry
  }
}

export interface TlsOptions {
  readonly rejectUnauthorized: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

/** A changed client certificate gets a pool of its own. */
function certificateTag(certificate: string | undefined): string {
  return certificate === undefined ? '' : createHash('sha256').update(certificate).digest('hex').slice(0, 16)
}

function readPem(value: string): string {
  return value.includes('-----BEGIN') ? value : readFileSync(value.replace(/^file:/, ''), 'utf8')
}

/**
 * One call and its answer. Pieces wait here, bounded, until they are taken; a slow taker pauses the upstream. Made
 * for one use.
 */
export class Call implements Dispatcher.DispatchHandler {
  readonly #starting: () => void
  #controller: Dispatcher.DispatchController | undefined
  #cancelled: GatewayError | undefined
  #chunks: Buffer[] = []
  #waiting = 0
  #wake: (() => void) | undefined
  #error: GatewayError | undefined
  #headed = false
  #done = false
  status = 0
  reason = ''
  /** Flat, as received. */
  headers: string[] = []
  trailers: string[] = []
  /** Body bytes that came so far. */
  received = 0
  ended = false
  startedAt = 0
  endedAt = 0
  onHead: (call: Call) => void = () => {}
  onFault: (error: GatewayError) => void = () => {}
  onDone: () => void = () => {}

  /** `starting` is called right before the first byte may leave. */
  constructor(starting: () => void) {
    this.#starting = starting
  }

  /** The whole body, when it is all here already; else undefined. Takes it. */
  whole(): Buffer | undefined {
    if (!this.ended || this.#error !== undefined) return undefined
    const chunks = this.#chunks
    this.#chunks = []
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  }

  /** The body, piece by piece. Throws the fault that cut it. Ended early, it cancels the call. */
  async *body(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) {
          this.#waiting -= chunk.length
          if (this.#waiting < highWater / 2) this.#controller?.resume()
          yield chunk
        } else if (this.#error !== undefined) throw this.#error
        else if (this.ended) return
        else await new Promise<void>(resolve => (this.#wake = resolve))
      }
    } finally {
      this.cancel(new GatewayError('client-gone'))
    }
  }

  /** Ends the call wherever it is. No effect once it has ended. */
  cancel(reason: GatewayError): void {
    if (this.ended || this.#cancelled !== undefined) return
    this.#cancelled = reason
    if (this.#controller !== undefined) this.#controller.abort(reason)
    else this.#fault(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cancelled !== undefined) {
      controller.abort(this.#cancelled)
      return
    }
    this.startedAt = performance.now()
    this.#starting()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    ...[, reason = '']: [parsed: unknown, reason?: string]
  ): void {
    if (status < 200) return
    this.#headed = true
    this.status = status
    this.reason = reason
    this.headers = flatten(controller.rawHeaders)
    this.onHead(this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.received += chunk.length
    this.#waiting += chunk.length
    this.#chunks.push(chunk)
    if (this.#waiting >= highWater) controller.pause()
    this.#notify()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.trailers = flatten(controller.rawTrailers)
    this.ended = true
    this.endedAt = performance.now()
    this.#finish()
    this.#notify()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fault(this.#cancelled ?? upstreamFault(error, this.#headed))
  }

  #fault(error: GatewayError): void {
    if (this.#error !== undefined || this.ended) return
    this.#error = error
    this.endedAt = performance.now()
    this.#finish()
    if (this.#headed) this.#notify()
    else this.onFault(error)
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    this.onDone()
  }
}

/** Header bytes are Latin-1 (RFC 9110 section 5.5); undici hands them over as they came. */
function flatten(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  const flat: string[] = []
  for (const part of raw) flat.push(typeof part === 'string' ? part : part.toString('latin1'))
  return flat
}

const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name lookup failed',
  EHOSTUNREACH: 'no route',
  ENETUNREACH: 'no route',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
}

/** What went wrong, in words that give nothing of the upstream away. */
export function upstreamFault(error: Error, headed: boolean): GatewayError {
  if (error instanceof GatewayError) return error
  const code = 'code' in error ? String(error.code) : ''
  const internal = `${code} ${error.message}`
  const words = unreachable[code]
  if (words !== undefined)
    return new GatewayError('upstream-unreachable', { detail: words, internal, cause: error })
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new GatewayError('upstream-timeout', { internal, cause: error })
  }
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return new GatewayError('upstream-unreachable', { detail: 'TLS failed', internal, cause: error })
  }
  const detail = headed ? 'the answer broke off' : 'the connection ended before an answer'
  return new GatewayError('upstream-invalid', { detail, internal, cause: error })
}
