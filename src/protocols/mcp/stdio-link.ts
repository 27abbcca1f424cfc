/**
 * The conversation with a server over standard input and output. A process has one, which the clients that share the
 * process speak through: each hears the answers and the progress of its own calls, and of the rest only that
 * something has changed.
 */
import { GatewayError } from '../../errors.ts'
import type { Errand } from '../../identity/delegates.ts'
import { discovered, greeted, handshakeParams, invalid, paramsFor } from './handshake.ts'
import type { Link, LinkCall, ServerFacts } from './link.ts'
import { codes, fieldsOf, type RpcMessage, type RpcNotification, type RpcResponse, textOf } from './rpc.ts'
import type { Contact } from './server.ts'
import { type EndPatience, type ProcessPlan, StdioProcess } from './stdio-process.ts'
import { Turns } from './turns.ts'
import { type Era, latestLegacy, metaKeys, modernVersion } from './versions.ts'

export interface StdioLimits {
  /** Most calls at once, and most that wait for their turn. */
  readonly calls: number
  readonly queue: number
  /** From start to the end of the handshake, and for one answer, milliseconds. */
  readonly startMs: number
  readonly answerMs: number
}

interface Pending {
  readonly call: LinkCall
  readonly resolve: (response: RpcResponse) => void
  readonly reject: (error: Error) => void
  /** Notifications handed on that nobody has taken yet. */
  untaken: number
}

/** A server that is asked in the wrong era may say nothing at all. */
const probeMs = 3000
const listenMethod = 'subscriptions/listen'
const mostUntaken = 256
/** Streams that are held open; they are no calls. */
const mostListening = 256
/** A call that was given up may still be worked on for so long, unless its late answer says otherwise. */
const lingerMs = 30_000
const mostLingering = 256

/** A process and who waits for its answers. */
export class StdioTalk {
  era: Era = 'modern'
  facts: ServerFacts = { capabilities: {}, info: undefined, instructions: undefined, version: modernVersion }
  readonly listeners = new Set<(notification: RpcNotification) => void>()
  readonly ended: Promise<string>
  readonly #gone = new AbortController()
  readonly #process: StdioProcess
  readonly #limits: StdioLimits
  readonly #pending = new Map<number, Pending>()
  readonly #lingering = new Map<number, { readonly errand: Errand; readonly until: number }>()
  readonly #turns: Turns
  #ids = 0
  #calls = 0

  constructor(plan: ProcessPlan, limits: StdioLimits, onStderr: (line: string) => void) {
    this.#limits = limits
    this.#turns = new Turns(limits.calls, limits.queue)
    let end: (why: string) => void = () => {}
    this.ended = new Promise(resolve => (end = resolve))
    this.#process = new StdioProcess(plan, {
      onMessage: message => this.#take(message),
      onStderr,
      onEnd: why => {
        const error = new GatewayError('upstream-unreachable', { detail: `the server’s process: ${why}` })
        for (const { reject } of this.#pending.values()) reject(error)
        this.#pending.clear()
        this.#gone.abort()
        end(why)
      },
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  get over(): boolean {
    return this.#process.ended
  }

  /** Fires when the process has ended. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Nobody waits for anything, and nobody listens. */
  get idle(): boolean {
    return this.#pending.size === 0 && this.#turns.size === 0 && this.listeners.size === 0
  }

  /** How many requests it was sent. */
  get calls(): number {
    return this.#calls
  }

  /**
   * What it works on. Those that were given up count as long as they may still be worked on, so that nothing is taken
   * for a call's that may be another's; but for them alone it works for nobody.
   */
  errands(): readonly Errand[] {
    const running = [...this.#pending.values()].flatMap(({ call }) =>
      call.method === listenMethod ? [] : [call.errand],
    )
    if (running.length === 0) return running
    const now = performance.now()
    for (const [id, { until }] of this.#lingering) if (until < now) this.#lingering.delete(id)
    return [...[...this.#lingering.values()].map(({ errand }) => errand), ...running]
  }

  /** Finds the era and does the handshake. Throws GatewayError, and the process is then of no use. */
  async begin(known: Era | 'auto', contact: Contact): Promise<void> {
    try {
      await this.#greet(known, contact)
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'upstream-timeout') throw error
      throw new GatewayError('upstream-timeout', { detail: 'it did not finish the handshake in time' })
    }
  }

  async #greet(known: Era | 'auto', contact: Contact): Promise<void> {
    const signal = AbortSignal.timeout(this.#limits.startMs)
    const call: LinkCall = { ...contact, ...quiet, signal, method: 'server/discover', params: {} }
    if (known !== 'legacy') {
      const probe = AbortSignal.any([signal, AbortSignal.timeout(known === 'modern' ? 2 ** 31 - 1 : probeMs)])
      const answer = await this.call({ ...call, signal: probe }).catch((error: unknown) => {
        if (this.over || signal.aborted || known === 'modern') throw error
      })
      const found = answer === undefined ? undefined : discovered(answer)
      if (found !== undefined) {
        if (found !== 'unsaid') this.facts = found
        return
      }
      if (known === 'modern') throw invalid('the server does not speak 2026-07-28')
    }
    this.era = 'legacy'
    this.facts = { ...this.facts, version: latestLegacy }
    // What it asked of its client could be meant for any who share the process, so it may ask nothing.
    const params = handshakeParams({ capabilities: {}, info: { name: 'sallyport', version: '0' } })
    this.facts = greeted(await this.call({ ...call, method: 'initialize', params }))
    this.notify('notifications/initialized', {})
  }

  /** Throws `overloaded` where too many are asked, `upstream-timeout`, `upstream-unreachable`. */
  async call(call: LinkCall): Promise<RpcResponse> {
    if (call.signal.aborted) throw reasonOf(call.signal)
    if (call.method === listenMethod) {
      const open = [...this.#pending.values()].filter(({ call: { method } }) => method === listenMethod)
      if (open.length >= mostListening)
        throw new GatewayError('overloaded', { detail: 'the server has as many streams as it may have' })
      return await this.#ask(call, undefined)
    }
    await this.#turns.take(call.signal, () => reasonOf(call.signal))
    try {
      return await this.#ask(call, this.#limits.answerMs)
    } finally {
      this.#turns.end()
    }
  }

  async #ask(call: LinkCall, answerMs: number | undefined): Promise<RpcResponse> {
    const id = ++this.#ids
    const { promise, resolve, reject } = Promise.withResolvers<RpcResponse>()
    const give = (error: Error): void => {
      if (this.#pending.delete(id) && !this.over) this.#giveUp(id, call)
      reject(error)
    }
    const abort = (): void => give(reasonOf(call.signal))
    const timer =
      answerMs === undefined
        ? undefined
        : setTimeout(() => give(new GatewayError('upstream-timeout')), answerMs)
    this.#pending.set(id, { call, resolve, reject: give, untaken: 0 })
    call.signal.addEventListener('abort', abort, { once: true })
    try {
      call.starting()
      this.#calls++
      this.#process.send({ kind: 'request', id, method: call.method, params: paramsFor(call, this.era, id) })
      return await promise
    } catch (error) {
      this.#pending.delete(id)
      throw error
    } finally {
      clearTimeout(timer)
      call.signal.removeEventListener('abort', abort)
    }
  }

  /** Of a call that nobody waits for the server is told; the handshake can't be called off. */
  #giveUp(id: number, { method, errand }: LinkCall): void {
    if (method === 'initialize' || method === 'server/discover') return
    this.#tryNotify('notifications/cancelled', { requestId: id, reason: 'cancelled' })
    if (method === listenMethod) return
    this.#lingering.set(id, { errand, until: performance.now() + lingerMs })
    const [oldest] = this.#lingering.keys()
    if (this.#lingering.size > mostLingering && oldest !== undefined) this.#lingering.delete(oldest)
  }

  notify(method: string, params: RpcNotification['params']): void {
    this.#process.send({ kind: 'notification', method, params })
  }

  async close(patience?: EndPatience): Promise<void> {
    await this.#process.close(patience)
  }

  #take(message: RpcMessage): void {
    if (message.kind === 'response') {
      const found = typeof message.id === 'number' ? this.#pending.get(message.id) : undefined
      if (found === undefined) return void this.#lingering.delete(message.id as number)
      this.#pending.delete(message.id as number)
      return found.resolve(message)
    }
    if (message.kind === 'notification') return this.#hear(message)
    const answer =
      message.method === 'ping'
        ? { result: {} }
        : { error: { code: codes.methodNotFound, message: 'The client can not be asked' } }
    try {
      this.#process.send({ kind: 'response', id: message.id, ...answer })
    } catch {
      // It does not read, or has ended: either is found out by who waits for it.
    }
  }

  /** To the call that it belongs to; else to those who listen. */
  #hear(notification: RpcNotification): void {
    const { method, params } = notification
    const meta = fieldsOf(params['_meta'])
    const id = method === 'notifications/progress' ? params['progressToken'] : meta[metaKeys.subscription]
    if (id === undefined) {
      for (const listener of this.listeners) listener(notification)
      return
    }
    const found = typeof id === 'number' ? this.#pending.get(id) : undefined
    if (found === undefined) return
    const token = fieldsOf(found.call.params['_meta'])['progressToken']
    const own = method === 'notifications/progress' ? { ...params, progressToken: token } : params
    this.#hand(found, { ...notification, params: own })
  }

  /** A client that does not keep up loses its call, so that it holds up nobody else. */
  #hand(to: Pending, notification: RpcNotification): void {
    if (to.untaken >= mostUntaken)
      return to.reject(new GatewayError('overloaded', { detail: 'the client does not keep up' }))
    to.untaken++
    void Promise.resolve(to.call.onNotification(notification)).finally(() => to.untaken--)
  }

  #tryNotify(method: string, params: RpcNotification['params']): void {
    try {
      this.notify(method, params)
    } catch {
      // As above.
    }
  }
}

/** One client's way to the process. */
export class StdioLink implements Link {
  readonly #talk: StdioTalk
  readonly #own: boolean
  readonly #subscribed = new Set<string>()
  #closed = false

  /** `own`: the process serves one identity, so what it logs may be told. */
  constructor(talk: StdioTalk, own: boolean) {
    this.#talk = talk
    this.#own = own
  }

  get era(): Era {
    return this.#talk.era
  }

  get facts(): ServerFacts {
    return this.#talk.facts
  }

  get ended(): boolean {
    return this.#closed || this.#talk.over
  }

  async call(call: LinkCall): Promise<RpcResponse> {
    const answer = await this.#talk.call(call)
    const uri = textOf(call.params['uri'])
    if (uri !== undefined && answer.result !== undefined) {
      if (call.method === 'resources/subscribe') this.#subscribed.add(uri)
      else if (call.method === 'resources/unsubscribe') this.#subscribed.delete(uri)
    }
    return answer
  }

  async notify({ method, params }: Parameters<Link['notify']>[0]): Promise<void> {
    this.#talk.notify(method, params)
  }

  async listen(call: LinkCall): Promise<void> {
    if (this.era === 'modern') {
      await this.#talk.call({ ...call, method: listenMethod })
      return
    }
    const { listeners, gone } = this.#talk
    let untaken = 0
    const listener = (notification: RpcNotification): void => {
      // A change that a slow client misses it sees at its next list.
      if (!this.#concerns(notification) || untaken >= mostUntaken) return
      untaken++
      void Promise.resolve(call.onNotification(notification)).finally(() => untaken--)
    }
    listeners.add(listener)
    try {
      await fired(AbortSignal.any([gone, call.signal]))
    } finally {
      listeners.delete(listener)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #concerns({ method, params }: RpcNotification): boolean {
    if (method.endsWith('/list_changed')) return true
    if (method !== 'notifications/resources/updated') return this.#own
    const uri = textOf(params['uri']) ?? ''
    return [...this.#subscribed].some(each => uri === each || uri.startsWith(`${each.replace(/\/$/, '')}/`))
  }
}

const quiet = {
  headers: [],
  onNotification: () => undefined,
  onRequest: () => Promise.reject(new Error('nobody to ask')),
}

function reasonOf(signal: AbortSignal): GatewayError {
  if (signal.reason instanceof GatewayError) return signal.reason
  const timedOut = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
  return new GatewayError(timedOut ? 'upstream-timeout' : 'client-gone')
}

function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
