export type Outcome = 'success' | 'failure' | 'denied'

/** Counts what the path did, for metrics. Never throws and never waits. */
export interface Meter {
  /** One action ended. `seconds` is its whole duration. */
  ended(connection: string, outcome: Outcome, seconds: number): void
}
