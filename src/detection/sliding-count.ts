/** A count over a stretch of time that moves along, exact to the length of a slot: never less than the true count. */
export class SlidingCount {
  readonly #slots: Uint32Array
  readonly #slotMs: number
  #newest = 0
  total = 0

  constructor(windowMs: number, slots: number) {
    this.#slots = new Uint32Array(slots + 1)
    this.#slotMs = windowMs / slots
  }

  /** Counts one more; returns the count. A clock that went back a little counts into the newest slot. */
  add(now: number): number {
    this.at(now)
    const place = this.#newest % this.#slots.length
    this.#slots[place] = this.#slots[place]! + 1
    return ++this.total
  }

  at(now: number): number {
    const slot = Math.floor(now / this.#slotMs)
    if (slot < this.#newest - this.#slots.length) this.#begin(slot)
    const passed = Math.min(slot - this.#newest, this.#slots.length)
    for (let i = 1; i <= passed; i++) {
      const place = (this.#newest + i) % this.#slots.length
      this.total -= this.#slots[place]!
      this.#slots[place] = 0
    }
    if (slot > this.#newest) this.#newest = slot
    return this.total
  }

  /** The clock was far ahead: what was counted then would never leave. */
  #begin(slot: number): void {
    this.#slots.fill(0)
    this.total = 0
    this.#newest = slot
  }
}
