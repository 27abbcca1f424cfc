/** Sessions of 2025-era clients: who they are, what they can do, and what they were asked. */
import { randomBytes } from 'node:crypto'
import type { Session } from '../../gateway/session.ts'
import type { ClientProfile } from './envelope.ts'
import type { McpExchange } from './exchange.ts'
import { ReplayableStreams } from './replay.ts'
import { codes, type Fields, type RequestId, RpcError, type RpcResponse } from './rpc.ts'

interface Waiting {
  resolve(result: Fields): void
  reject(error: Error): void
}

/** Most questions that a client has not answered. */
const mostWaiting = 100

export class ClientSession {
  /** Visible ASCII, not to be guessed (2025-11-25, "Session Management"). */
  readonly id = randomBytes(24).toString('base64url')
  readonly principal: string
  readonly session: Session
  readonly profile: ClientProfile
  /** What runs, with the ids that the client gave; the stream that it listens on has none. */
  readonly #running = new Map<McpExchange, RequestId | undefined>()
  readonly subscribed = new Set<string>()
  readonly streams = new ReplayableStreams()
  /** Wakes the open stream so that it subscribes anew. */
  onSubscribed: () => void = () => {}
  logLevel: string | undefined
  used = Date.now()
  readonly #waiting = new Map<RequestId, Waiting>()
  #asked = 0

  constructor(session: Session, principal: string, profile: ClientProfile) {
    this.session = session
    this.principal = principal
    this.profile = profile
  }

  /** Until what it gives is called. A client may give an id twice. */
  runs(exchange: McpExchange, id: RequestId | undefined): () => void {
    this.#running.set(exchange, id)
    return () => void this.#running.delete(exchange)
  }

  get isBusy(): boolean {
    return this.#running.size > 0
  }

  /** The client does not want what it asked for under this id any more. */
  cancel(id: unknown): void {
    if (id === undefined) return
    for (const [exchange, own] of this.#running) if (own === id) exchange.cancel()
  }

  /** Asks the client: `send` puts the request on its way. */
  async ask(send: (id: string) => Promise<void>, signal: AbortSignal): Promise<Fields> {
    if (this.#waiting.size >= mostWaiting) throw new RpcError(codes.internal, 'too many questions are open')
    const id = `sp-${++this.#asked}`
    const answered = new Promise<Fields>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    const give = (): void =>
      this.#waiting.get(id)?.reject(new RpcError(codes.internal, 'the client has gone'))
    signal.addEventListener('abort', give, { once: true })
    try {
      const [result] = await Promise.all([answered, send(id)])
      return result
    } finally {
      signal.removeEventListener('abort', give)
      this.#waiting.delete(id)
    }
  }

  /** The client's answer. False where nothing was asked under that id. */
  settle({ id, result, error }: RpcResponse): boolean {
    const waiting = id === null ? undefined : this.#waiting.get(id)
    if (waiting === undefined) return false
    if (result !== undefined) waiting.resolve(result)
    else waiting.reject(new RpcError(error?.code ?? codes.internal, error?.message ?? 'refused'))
    return true
  }

  close(): void {
    for (const each of this.#waiting.values())
      each.reject(new RpcError(codes.internal, 'the session has ended'))
    for (const each of this.#running.keys()) each.cancel()
    this.streams.close()
  }
}

/** The open sessions, bounded in number and in idle time. */
export class ClientSessions {
  readonly #open = new Map<string, ClientSession>()
  readonly #most: number
  readonly #idleMs: number
  readonly #onEnd: (session: ClientSession, reason: string) => void

  constructor(of: {
    readonly most: number
    readonly idleMs: number
    readonly onEnd: (session: ClientSession, reason: string) => void
  }) {
    this.#most = of.most
    this.#idleMs = of.idleMs
    this.#onEnd = of.onEnd
  }

  add(session: ClientSession): void {
    this.sweep()
    if (this.#open.size >= this.#most) {
      const [oldest] = [...this.#open.values()].toSorted((a, b) => a.used - b.used)
      if (oldest !== undefined) this.end(oldest, 'displaced')
    }
    this.#open.set(session.id, session)
  }

  /** Only its own identity finds it. */
  find(id: string, principal: string): ClientSession | undefined {
    const found = this.#open.get(id)
    if (found === undefined || found.principal !== principal) return undefined
    found.used = Date.now()
    return found
  }

  end(session: ClientSession, reason: string): void {
    if (!this.#open.delete(session.id)) return
    session.close()
    this.#onEnd(session, reason)
  }

  /** Those whose gateway session has ended, whatever ended it. */
  ended(gatewaySession: string): void {
    for (const each of this.#open.values()) if (each.session.id === gatewaySession) this.end(each, 'ended')
  }

  sweep(): void {
    const before = Date.now() - this.#idleMs
    for (const each of this.#open.values()) if (each.used < before && !each.isBusy) this.end(each, 'idle')
  }

  closeAll(reason: string): void {
    for (const each of this.#open.values()) this.end(each, reason)
  }
}
