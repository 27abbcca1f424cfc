/**
 * Statements that go upstream together or not at all: those of one query string, or the several actions of one
 * statement. Each is performed on its own path; here the paths meet, so that nothing leaves before all are cleared,
 * and each takes its part of the answer in its turn.
 */
import { GatewayError } from '../../errors.ts'
import type { Aftermath } from './aftermath.ts'
import type { Report } from './messages.ts'

export class Round {
  readonly #size: number
  readonly #send: () => void
  readonly #begin: (fault: GatewayError) => Promise<Aftermath>
  readonly #starts: (() => void)[] = []
  readonly #cleared = Promise.withResolvers<void>()
  readonly #turns: PromiseWithResolvers<void>[]
  #problem: Report | undefined
  #fault: GatewayError | undefined
  #aftermath: Promise<Aftermath> | undefined
  #undecided: number
  #doomed = false
  /** Resolved when all are decided. */
  #decided: PromiseWithResolvers<void> | undefined
  /** Fires when what is held for people will not run whatever they say. */
  #over: AbortController | undefined
  #signal: AbortSignal | undefined
  /** The server has answered one of them with an error, so those behind it never run. */
  stopped = false

  /** `send` queues the bytes for the server; `begin` has it stop, after a fault. */
  constructor(
    size: number,
    does: { readonly send: () => void; readonly begin: (fault: GatewayError) => Promise<Aftermath> },
  ) {
    this.#size = size
    this.#undecided = size
    this.#send = does.send
    this.#begin = does.begin
    this.#turns = Array.from({ length: size }, () => Promise.withResolvers<void>())
    this.#turns[0]?.resolve()
    this.#cleared.promise.catch(() => undefined)
  }

  /** What the client is told instead of an answer: the first that went wrong. */
  get problem(): Report | undefined {
    return this.#problem
  }

  /** Of an action that waits: fires with this signal, and when another one is refused. */
  signalWith(signal: AbortSignal): AbortSignal {
    if (this.#size === 1) return signal
    if (this.#signal === undefined) {
      this.#over = new AbortController()
      if (this.#fault !== undefined) this.#over.abort(this.#fault)
      this.#signal = AbortSignal.any([signal, this.#over.signal])
    }
    return this.#signal
  }

  /** One of them is decided; `doomed`: it will not run. */
  decide(doomed: boolean): void {
    this.#doomed ||= doomed
    if (--this.#undecided === 0) this.#decided?.resolve()
  }

  /** Resolves when all are decided; rejects where one will not run, once the client's answer is known. */
  async allDecided(): Promise<void> {
    this.#decided ??= Promise.withResolvers()
    if (this.#undecided === 0) this.#decided.resolve()
    // One that fails before it is decided ends the wait by `fail`.
    await Promise.race([this.#decided.promise, this.#cleared.promise])
    if (this.#doomed) await this.#cleared.promise
  }

  /** Resolves when the bytes have been sent, because every other one is cleared too; rejects when one will not be. */
  async clear(starting: () => void): Promise<void> {
    this.#starts.push(starting)
    if (this.#problem === undefined && this.#starts.length === this.#size) {
      for (const start of this.#starts) start()
      this.#send()
      this.#cleared.resolve()
    }
    await this.#cleared.promise
  }

  /** One of them does not run: none does. Or one of them broke off, after all were sent. */
  fail(report: Report, fault: GatewayError): void {
    this.#problem ??= report
    this.#fault ??= fault
    const detail = 'another statement that would have run with this one was refused'
    this.#cleared.reject(new GatewayError('denied', { detail }))
    this.#over?.abort(this.#fault)
  }

  /** What the server says after a fault that came once all were sent: the first one, or this. */
  aftermath(fault = this.#fault): Promise<Aftermath> {
    return (this.#aftermath ??= this.#begin(fault ?? new GatewayError('internal')))
  }

  /** Resolves when those before it have had their part of the answer. */
  turn(index: number): Promise<void> {
    return this.#turns[index]!.promise
  }

  /** It has had its part, or never will. */
  done(index: number): void {
    this.#turns[index + 1]?.resolve()
  }
}
