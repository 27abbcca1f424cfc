/** The client's side of one exchange: the same few moves for HTTP/1.1 and for HTTP/2's compatibility layer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { ClientFacts } from '../../audit/audit.ts'

/** Not sent in HTTP/2 (RFC 9113 section 8.2.2); upstream's were dropped, these are for our own. */
const connectionSpecific = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
])

export class Downstream {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly #http2: boolean
  /** True once the whole answer was handed over: a closing afterwards is no departure. */
  #ended = false
  #onGone: (() => void) | undefined
  #wake: (() => void) | undefined
  /** The client has gone away before its answer was whole. */
  gone = false

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request
    this.response = response
    this.#http2 = 'stream' in request
    response.on('close', () => {
      const wake = this.#wake
      this.#wake = undefined
      if (!this.#ended) {
        this.gone = true
        this.#onGone?.()
      }
      wake?.()
    })
    // A reset connection also emits 'error'; 'close' follows and is what counts.
    response.on('error', ignore)
    request.on('error', ignore)
  }

  get headSent(): boolean {
    return this.response.headersSent
  }

  /** Calls back once when the client goes away before the end of the answer. At once if it has. */
  onGone(listener: () => void): void {
    if (this.gone) listener()
    else this.#onGone = listener
  }

  /** Sends the head. `headers` is flat; repeats and order are kept. */
  head(status: number, reason: string, headers: string[]): void {
    const { response } = this
    response.sendDate = false
    if (!this.#http2) {
      if (reason === '') response.writeHead(status, headers)
      else response.writeHead(status, reason, headers)
      return
    }
    const grouped: Record<string, string | string[]> = Object.create(null)
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase()
      if (connectionSpecific.has(name)) continue
      const value = headers[i + 1]!
      const earlier = grouped[name]
      grouped[name] =
        earlier === undefined ? value : [...(Array.isArray(earlier) ? earlier : [earlier]), value]
    }
    ;(response as unknown as Http2ServerResponse).writeHead(status, grouped)
  }

  /** Sends the head at once, without waiting for the first piece of the body. */
  flush(): void {
    this.response.flushHeaders()
  }

  /** False: wait for `drained` before the next. */
  write(chunk: Buffer): boolean {
    return this.response.write(chunk)
  }

  /** Resolves when there is room again, or the client has gone. */
  drained(): Promise<void> {
    if (this.gone || this.response.destroyed || !this.response.writableNeedDrain) return Promise.resolve()
    return new Promise(resolve => {
      this.#wake = () => {
        this.response.off('drain', resolve)
        resolve()
      }
      this.response.once('drain', resolve)
    })
  }

  end(chunk?: Buffer): void {
    this.#ended = true
    if (chunk === undefined) this.response.end()
    else this.response.end(chunk)
  }

  trailers(flat: readonly string[]): void {
    const pairs: [string, string][] = []
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!])
    if (!this.#http2) return this.response.addTrailers(pairs)
    const grouped = Object.groupBy(pairs, ([name]) => name.toLowerCase())
    const { response } = this as unknown as { response: Http2ServerResponse }
    for (const [name, each = []] of Object.entries(grouped))
      response.addTrailers({ [name]: each.map(([, value]) => value) })
  }

  /** Tells a client that waits for it to send its body. */
  writeContinue(): void {
    if (!this.headSent && !this.gone) this.response.writeContinue()
  }

  /** Cuts as if the client had left, and tells whoever works for it: the session, or the gateway, ends. */
  abandon(): void {
    if (this.#ended) return
    this.gone = true
    this.cut()
    this.#onGone?.()
  }

  /** Cuts the answer so that it can't be taken for whole: reset of the connection, or of the stream in HTTP/2. */
  cut(): void {
    this.#ended = true
    if (this.#http2) {
      ;(this.response as unknown as Http2ServerResponse).stream?.close(constants.NGHTTP2_INTERNAL_ERROR)
      return
    }
    const { socket } = this.request
    // Only a bare TCP socket can be reset; of TLS the missing end is as plain (RFC 8446 section 6.1).
    if (socket.destroyed || 'encrypted' in socket) this.response.destroy()
    else socket.resetAndDestroy()
  }
}

function ignore(): void {}

/** The client's end as entries name it. */
export function clientOf(request: IncomingMessage, agent: string | undefined): ClientFacts {
  const client = clientAt(request.socket)
  return agent === undefined ? client : { ...client, agent: agent.slice(0, 256) }
}

export function clientAt({ remoteAddress = '', remotePort = 0 }: Socket): ClientFacts {
  const ip = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
  return { ip, port: remotePort }
}
