/**
 * Calls to servers of 2025 that wait for their client's word, where the client is of 2026 and gives it in a request of
 * its own: the server's stream stays open here meanwhile, for a bounded time.
 */
import { randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { Outcome } from './feed.ts'
import { codes, type Fields, fieldsOf, RpcError, type RpcNotification, type RpcRequest } from './rpc.ts'

const waitMs = 5 * 60_000
const mostParked = 1000

interface Question {
  readonly request: Pick<RpcRequest, 'method' | 'params'>
  resolve(result: Fields): void
  reject(error: Error): void
}

/** The names of a call's questions; the server asks one at a time as a rule. */
const keyOf = (index: number): string => `ask-${index}`

export class ParkedCall {
  readonly id = randomBytes(16).toString('base64url')
  readonly #abort = new AbortController()
  readonly #questions = new Map<string, Question>()
  #asked = 0
  #settled: Promise<Outcome> | undefined
  #notify: (notification: RpcNotification) => void | Promise<void> = () => {}
  #wake: (() => void) | undefined
  timer: NodeJS.Timeout | undefined

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  begin(settled: Promise<Outcome>): void {
    this.#settled = settled
    settled.catch(() => undefined)
  }

  onNotification(notification: RpcNotification): void | Promise<void> {
    return this.#notify(notification)
  }

  ask(request: Pick<RpcRequest, 'method' | 'params'>): Promise<Fields> {
    return new Promise((resolve, reject) => {
      this.#questions.set(keyOf(++this.#asked), { request, resolve, reject })
      this.#wake?.()
    })
  }

  /** Goes on with this request until the call has ended or asks (again). */
  async attend(by: {
    readonly signal: AbortSignal
    readonly notify: (notification: RpcNotification) => void | Promise<void>
  }): Promise<Outcome | 'asks'> {
    this.#notify = by.notify
    const abort = (): void => this.cancel()
    by.signal.addEventListener('abort', abort, { once: true })
    const asks = new Promise<'asks'>(resolve => {
      this.#wake = () => resolve('asks')
      if (this.#questions.size > 0) resolve('asks')
    })
    try {
      return await Promise.race([this.#settled!, asks])
    } finally {
      by.signal.removeEventListener('abort', abort)
      this.#notify = () => {}
      this.#wake = undefined
    }
  }

  get questions(): Fields {
    return Object.fromEntries([...this.#questions].map(([key, { request }]) => [key, request]))
  }

  /** The client's answers; those it left out are asked for again. */
  answer(responses: Fields): void {
    for (const [key, question] of this.#questions) {
      if (!Object.hasOwn(responses, key)) continue
      this.#questions.delete(key)
      question.resolve(fieldsOf(responses[key]))
    }
  }

  cancel(): void {
    clearTimeout(this.timer)
    this.#abort.abort(new GatewayError('client-gone'))
    for (const { reject } of this.#questions.values())
      reject(new RpcError(codes.internal, 'the client has gone'))
  }
}

export class ParkedCalls {
  readonly #parked = new Map<string, ParkedCall>()

  /** Throws `overloaded`. */
  park(call: ParkedCall): void {
    if (this.#parked.size >= mostParked) {
      call.cancel()
      throw new GatewayError('overloaded')
    }
    this.#parked.set(call.id, call)
    call.timer = setTimeout(() => {
      this.#parked.delete(call.id)
      call.cancel()
    }, waitMs)
    call.timer.unref()
  }

  /** Takes it: whoever comes second finds nothing. Throws `invalidParams`. */
  take(id: string): ParkedCall {
    const found = this.#parked.get(id)
    if (found === undefined)
      throw new RpcError(codes.invalidParams, 'Invalid params: the call no longer waits for this answer')
    this.#parked.delete(id)
    clearTimeout(found.timer)
    return found
  }

  close(): void {
    for (const each of this.#parked.values()) each.cancel()
    this.#parked.clear()
  }
}
