/** Chance that is the same for the same seed, on every machine. Not for secrets. */

/** Draws numbers from 0 to less than 1: mulberry32, a stream of its own for each name. */
export class Chance {
  #state: number

  constructor(seed: string) {
    // FNV-1a
    let state = 0x811c9dc5
    for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 0x01000193)
    this.#state = state >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  whole(below: number): number {
    return Math.floor(this.next() * below)
  }

  happens(probability: number): boolean {
    return this.next() < probability
  }

  /** Time between independent events. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }

  normal(mean: number, deviation: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()))
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.next())
  }

  /** Sizes of things: a few are very large. */
  lognormal(median: number, sigma: number): number {
    return median * Math.exp(this.normal(0, sigma))
  }

  /** How many independent events happen where `mean` are usual. */
  poisson(mean: number): number {
    if (mean > 200) return Math.max(0, Math.round(this.normal(mean, Math.sqrt(mean))))
    let [count, product] = [0, this.next()]
    for (const least = Math.exp(-mean); product > least; product *= this.next()) count++
    return count
  }
}

/** Ranks from 0 as they are used: the k-th in proportion to 1 / k^exponent. */
export class Zipf {
  readonly #sums: Float64Array

  constructor(size: number, exponent: number) {
    this.#sums = new Float64Array(size)
    let sum = 0
    for (let i = 0; i < size; i++) this.#sums[i] = sum += 1 / (i + 1) ** exponent
  }

  draw(chance: Chance): number {
    const at = chance.next() * this.#sums.at(-1)!
    let [low, high] = [0, this.#sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#sums[middle]! > at) high = middle
      else low = middle + 1
    }
    return low
  }
}
