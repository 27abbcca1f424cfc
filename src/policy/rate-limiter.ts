/** Slots that a window is counted in: the limit is never exceeded in any window, and is exact to a slot's length. */
const slots = 60

/** How often a key acted of late: a ring of counts, one per slot, and the slot last written. */
interface Usage {
  readonly counts: Uint32Array
  readonly slotMs: number
  total: number
  newest: number
}

export interface RateLimit {
  readonly limit: number
  readonly windowMs: number
}

/**
 * Counts actions per key in a sliding window. Memory is bounded: at most `keys` are remembered; when all of them are
 * in use a new key is refused, since forgetting one would lift its limit (P6). Kept across changes of policy.
 * Synchronous, for one process; each worker counts for itself.
 */
export class RateLimiter {
  readonly #usages = new Map<string, Usage>()
  readonly #keys: number

  constructor(options: { readonly keys?: number } = {}) {
    this.#keys = options.keys ?? 100_000
  }

  /** How long until the key may act once more, in milliseconds; 0 when it may now. Counts nothing. */
  delay(key: string, limit: RateLimit, now: number): number {
    const usage = this.#current(key, limit, now)
    if (usage === undefined) return this.#hasRoom(now) ? 0 : limit.windowMs
    if (usage.total < limit.limit) return 0
    return this.#untilOneLeaves(usage, limit, now)
  }

  /** Counts one action. Call it only after `delay` gave 0. */
  count(key: string, limit: RateLimit, now: number): void {
    let usage = this.#current(key, limit, now)
    if (usage === undefined) {
      const slotMs = limit.windowMs / slots
      usage = { counts: new Uint32Array(slots + 1), slotMs, total: 0, newest: Math.floor(now / slotMs) }
      this.#usages.set(key, usage)
    }
    const at = usage.newest % usage.counts.length
    usage.counts[at] = usage.counts[at]! + 1
    usage.total++
  }

  get size(): number {
    return this.#usages.size
  }

  /** The key's usage with what left the window taken out; undefined when there is none for this window's length. */
  #current(key: string, { windowMs }: RateLimit, now: number): Usage | undefined {
    const usage = this.#usages.get(key)
    if (usage === undefined) return undefined
    if (usage.slotMs !== windowMs / slots) {
      this.#usages.delete(key)
      return undefined
    }
    advance(usage, now)
    return usage
  }

  #untilOneLeaves({ counts, slotMs, total, newest }: Usage, { limit }: RateLimit, now: number): number {
    let excess = total - limit + 1
    for (let age = slots; age >= 0; age--) {
      const slot = newest - age
      excess -= slot < 0 ? 0 : counts[slot % counts.length]!
      if (excess <= 0) return Math.max(1, Math.ceil((slot + slots + 1) * slotMs - now))
    }
    return Math.ceil(slots * slotMs)
  }

  #hasRoom(now: number): boolean {
    if (this.#usages.size < this.#keys) return true
    // Oldest keys first, and only a few per call, so that a full table costs every caller the same.
    let looked = 0
    for (const [key, usage] of this.#usages) {
      advance(usage, now)
      this.#usages.delete(key)
      if (usage.total === 0) return true
      this.#usages.set(key, usage)
      if (++looked === 16) return false
    }
    return false
  }
}

/** Empties the slots that have left the window. A clock that went back leaves everything counted. */
function advance(usage: Usage, now: number): void {
  const slot = Math.floor(now / usage.slotMs)
  const { counts } = usage
  const passed = Math.min(slot - usage.newest, counts.length)
  for (let i = 1; i <= passed; i++) {
    const at = (usage.newest + i) % counts.length
    usage.total -= counts[at]!
    counts[at] = 0
  }
  if (slot > usage.newest) usage.newest = slot
}
