/**
 * What a connection has under way, so that it can be closed in good order: what runs has time to end, then it is cut,
 * and nothing begins any more.
 */
export class Running<T extends { abandon(): void }> {
  readonly #all = new Set<T>()
  #closing = false
  #idle: (() => void) | undefined

  get closing(): boolean {
    return this.#closing
  }

  /** Counts it as running until `work` has settled. */
  async during(one: T, work: () => Promise<void>): Promise<void> {
    this.#all.add(one)
    try {
      await work()
    } finally {
      this.#all.delete(one)
      if (this.#all.size === 0) this.#idle?.()
    }
  }

  /** Resolves when nothing runs, or after `graceMs` with the rest abandoned. `closing` is true from the start. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    if (this.#all.size > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, graceMs)
        this.#idle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    for (const one of this.#all) one.abandon()
  }
}
