/** What comes from a server before its answer, handed over one by one: the giver waits until it is taken. */
import type { Fields, RpcErrorBody, RpcNotification, RpcRequest } from './rpc.ts'

export type Outcome = { readonly result: Fields } | { readonly error: RpcErrorBody }

export type FeedEvent =
  | { readonly kind: 'notification'; readonly message: RpcNotification; taken(): void }
  | {
      readonly kind: 'request'
      readonly message: Pick<RpcRequest, 'method' | 'params'>
      answer(result: Fields): void
      refuse(error: Error): void
    }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }

export class Feed {
  readonly #waiting: FeedEvent[] = []
  #wake: (() => void) | undefined
  #fault: Error | undefined
  #closed = false

  /** Resolves when it was taken, so that the server is read no faster than its client. */
  notify(message: RpcNotification): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise(taken => this.#push({ kind: 'notification', message, taken }))
  }

  ask(message: Pick<RpcRequest, 'method' | 'params'>): Promise<Fields> {
    if (this.#closed) return Promise.reject(new Error('the call is over'))
    return new Promise((answer, refuse) => this.#push({ kind: 'request', message, answer, refuse }))
  }

  /** The last event, or the fault that came in its place. */
  end(from: Promise<Outcome>): void {
    from.then(
      outcome => this.#push({ kind: 'outcome', outcome }),
      (error: Error) => {
        this.#fault = error
        this.#wake?.()
      },
    )
  }

  /** The next event. Throws the fault that ended the call. */
  async next(): Promise<FeedEvent> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) return event
      if (this.#fault !== undefined) throw this.#fault
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  /** Nobody takes anything any more: those who wait go on. */
  close(): void {
    this.#closed = true
    for (const event of this.#waiting.splice(0)) {
      if (event.kind === 'notification') event.taken()
      else if (event.kind === 'request') event.refuse(new Error('the call is over'))
    }
  }

  #push(event: FeedEvent): void {
    if (this.#closed && event.kind === 'notification') return event.taken()
    this.#waiting.push(event)
    this.#wake?.()
  }
}
