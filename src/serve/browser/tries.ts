const windowMs = 15 * 60_000
const mostWatched = 20_000

/** Most tries in a quarter of an hour. */
export interface TryLimits {
  readonly ofAddress: number
  readonly ofName: number
}

/**
 * Tries of something to be guessed: so many from one address and for one name in a quarter of an hour. A good one starts
 * the name's count anew. Where too many are watched, all others share one count, so that many names are no way around.
 */
export class Tries {
  readonly #limits: TryLimits
  #counts = new Map<string, number>()
  #until = 0

  constructor(limits: TryLimits) {
    this.#limits = limits
  }

  may(ip: string, name: string, now = Date.now()): boolean {
    if (now > this.#until) {
      this.#counts.clear()
      this.#until = now + windowMs
    }
    const byAddress = this.#count(`ip ${ip}`)
    const byName = this.#count(`name ${name}`)
    return byAddress <= this.#limits.ofAddress && byName <= this.#limits.ofName
  }

  good(name: string): void {
    this.#counts.delete(`name ${name}`)
  }

  #count(key: string): number {
    const at = this.#counts.size < mostWatched || this.#counts.has(key) ? key : `${key.split(' ')[0]} others`
    const count = (this.#counts.get(at) ?? 0) + 1
    this.#counts.set(at, count)
    return count
  }
}
