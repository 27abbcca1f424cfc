/**
 * The most recently used values, at most `entries` and at most `weight` in all. A Map keeps insertion order, so the
 * first key is always the one that was not used for longest.
 */
export class BoundedCache<T> {
  readonly #kept = new Map<string, { readonly value: T; readonly weight: number }>()
  readonly #limits: { readonly entries: number; readonly weight: number }
  #weight = 0

  constructor(limits: { readonly entries: number; readonly weight: number }) {
    this.#limits = limits
  }

  get size(): number {
    return this.#kept.size
  }

  get(key: string): T | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    return kept.value
  }

  set(key: string, value: T, weight: number): void {
    this.delete(key)
    if (weight > this.#limits.weight) return
    this.#kept.set(key, { value, weight })
    this.#weight += weight
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limits.entries && this.#weight <= this.#limits.weight) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    this.#weight -= kept.weight
  }

  clear(): void {
    this.#kept.clear()
    this.#weight = 0
  }
}
