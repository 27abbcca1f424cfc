/**
 * What was made of recent keys, bounded (P12): what is asked for goes on being kept. Two generations, since a map that
 * drops its oldest key one by one has to look for it among all that were dropped before.
 */
export class Recent<T> {
  readonly #most: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  /** `most`: how many are kept, at least half of them. */
  constructor(most: number) {
    this.#most = most
  }

  get(key: string): T | undefined {
    const found = this.#young.get(key)
    if (found !== undefined) return found
    const before = this.#old.get(key)
    if (before !== undefined) this.set(key, before)
    return before
  }

  set(key: string, value: T): void {
    if (this.#young.size >= this.#most / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
