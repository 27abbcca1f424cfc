import type { ConnectionHealthFacts } from '../api/services.ts'
import type { Outcome } from '../gateway/meter.ts'

const unknown: ConnectionHealthFacts = { state: 'unknown' }

/**
 * Notes how actions end: `failing` where the newest action that was forwarded failed. A denial says nothing about the
 * upstream. Bounded by the number of connections.
 */
export class ConnectionHealth {
  readonly #known = new Map<string, ConnectionHealthFacts>()

  ended(connection: string, outcome: Outcome, at: number): void {
    if (outcome === 'denied') return
    const before = this.#known.get(connection)
    const now: ConnectionHealthFacts =
      outcome === 'success' ? { state: 'ok', lastSuccess: at } : { state: 'failing', lastFailure: at }
    this.#known.set(connection, { ...before, ...now })
  }

  of(connection: string): ConnectionHealthFacts {
    return this.#known.get(connection) ?? unknown
  }
}
