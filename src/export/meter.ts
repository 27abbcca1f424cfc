import type { Clock } from '../clock.ts'
import type { SendResult } from './sink.ts'

/**
 * `running`: events flow, or there are none. `retrying`: the far end or a local store fails for now. `holding`: a
 * person has to act. `stopped`: not started, or stopped.
 */
export type SinkState = 'running' | 'retrying' | 'holding' | 'stopped'

/** How the last comparison with the far end went. */
export interface LastComparison {
  /** ISO 8601. */
  readonly at: string
  /** Absent where it could not be made. */
  readonly equal?: boolean
  /** Why it could not be made. */
  readonly error?: string
}

/** What happened to one sink since the process started. Written by its follower, read by status and metrics. */
export class SinkMeter {
  readonly #clock: Clock
  state: SinkState = 'stopped'
  /** Events that the far end accepted, stubs included. */
  sent = 0
  /** Entries that the sink's filter left out. */
  skipped = 0
  /** Attempts after the first, of any batch. */
  retried = 0
  deadLettered = 0
  readonly batches: Record<SendResult['result'], number> = {
    accepted: 0,
    retry: 0,
    'too-large': 0,
    rejected: 0,
    refused: 0,
  }
  lastError: { readonly at: number; readonly detail: string } | undefined
  lastSuccessAt: number | undefined
  /** When the oldest entry not yet acknowledged was written; undefined when there is none. */
  oldestUnacked: number | undefined
  /** Undefined where none was made since the start. */
  lastComparison: LastComparison | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  record(result: SendResult, events: number): void {
    this.batches[result.result]++
    if (result.result === 'accepted') {
      this.sent += events
      this.lastSuccessAt = this.#clock.now()
    } else {
      this.fault(result.detail)
    }
  }

  compared(how: Omit<LastComparison, 'at'>): void {
    this.lastComparison = { at: new Date(this.#clock.now()).toISOString(), ...how }
  }

  fault(detail: string): void {
    this.lastError = { at: this.#clock.now(), detail: detail.slice(0, 500) }
  }
}
