/** How many calls one process has at once, and how many more wait for their turn, first come first served. */
import { GatewayError } from '../../errors.ts'

export class Turns {
  readonly #most: number
  readonly #mostWaiting: number
  readonly #waiting = new Set<() => void>()
  #taken = 0

  constructor(most: number, mostWaiting: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
  }

  /** Calls that have their turn or wait for it. */
  get size(): number {
    return this.#taken + this.#waiting.size
  }

  /** Resolves when it is this call's turn; who has one gives it back by `end`. Throws `overloaded`, or why `signal` fired. */
  async take(signal: AbortSignal, reason: () => Error): Promise<void> {
    if (this.#taken < this.#most) {
      this.#taken++
      return
    }
    if (this.#waiting.size >= this.#mostWaiting)
      throw new GatewayError('overloaded', { detail: 'the server has as many calls as it may have' })
    if (signal.aborted) throw reason()
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        this.#waiting.delete(go)
        reject(reason())
      }
      this.#waiting.add(go)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  end(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#taken--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
