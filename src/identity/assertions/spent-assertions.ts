import { hash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { StateStore } from '../../storage/storage.ts'

const space = 'spent-assertion'
const sweepEveryMs = 60_000
const sweptAtOnce = 500

/**
 * Which assertions were used, until they have ended: each counts once (RFC 7523 section 3, `jti`), also after a restart
 * and whoever of two wins a race.
 */
export class SpentAssertions {
  readonly #state: StateStore
  readonly #clock: Clock
  #sweptAt = 0

  constructor(state: StateStore, clock: Clock) {
    this.#state = state
    this.#clock = clock
  }

  /** False where it was used before. `until`: when it ends for good, milliseconds. Durable when it resolves. */
  async spend(of: {
    readonly issuer: string
    readonly id: string
    readonly until: number
  }): Promise<boolean> {
    await this.#sweep()
    // In the order in which they end, so that those that have are found first.
    const key = `${endOf(of.until)}-${hash('sha256', JSON.stringify([of.issuer, of.id]))}`
    return await this.#state.put(space, key, {}, 0)
  }

  async #sweep(): Promise<void> {
    const now = this.#clock.now()
    if (now - this.#sweptAt < sweepEveryMs) return
    this.#sweptAt = now
    const oldest = await this.#state.list(space, { limit: sweptAtOnce })
    const ended = oldest.filter(({ key }) => key < endOf(now))
    await Promise.all(ended.map(({ key }) => this.#state.delete(space, key)))
  }
}

function endOf(milliseconds: number): string {
  return Math.trunc(milliseconds).toString().padStart(16, '0')
}
