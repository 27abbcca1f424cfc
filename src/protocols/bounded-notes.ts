/**
 * How much of what anybody can cause, without being known, becomes entries: so many an address and window, and in all.
 * What goes beyond is counted, and the counts are told when the window ends.
 */
export interface Bounds {
  /** Notes of one address in one window. */
  readonly perAddress: number
  /** Notes of all addresses in one window. */
  readonly inAll: number
  /** Addresses watched at once. Beyond it all others share one count, so that many addresses are no way around. */
  readonly addresses: number
  readonly windowMs: number
}

interface Watch {
  noted: number
  suppressed: number
}

/** Whose count it is: undefined for the addresses beyond those that are watched. */
export type Suppressed = (ip: string | undefined, count: number) => void

export class BoundedNotes {
  readonly #bounds: Bounds
  readonly #tell: Suppressed
  readonly #watched = new Map<string | undefined, Watch>()
  #noted = 0
  #timer: NodeJS.Timeout | undefined

  constructor(bounds: Bounds, tell: Suppressed) {
    this.#bounds = bounds
    this.#tell = tell
  }

  /** True: it may be noted. False: it was counted. */
  admits(ip: string): boolean {
    const { perAddress, inAll, addresses, windowMs } = this.#bounds
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#end(), windowMs).unref()
    const key = this.#watched.size < addresses || this.#watched.has(ip) ? ip : undefined
    let watch = this.#watched.get(key)
    if (watch === undefined) this.#watched.set(key, (watch = { noted: 0, suppressed: 0 }))
    if (watch.noted >= perAddress || this.#noted >= inAll) {
      watch.suppressed++
      return false
    }
    watch.noted++
    this.#noted++
    return true
  }

  /** Tells what was counted so far. */
  close(): void {
    clearTimeout(this.#timer)
    this.#end()
  }

  #end(): void {
    this.#timer = undefined
    const counts = [...this.#watched].filter(([, { suppressed }]) => suppressed > 0)
    this.#watched.clear()
    this.#noted = 0
    for (const [ip, { suppressed }] of counts) this.#tell(ip, suppressed)
  }
}
