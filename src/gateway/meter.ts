/** Counts what the path did, for metrics. Never throws and never waits. */
export interface Meter {
  /** One action ended. `seconds` is its whole duration. */
  ended(connection: string, outcome: 'success' | 'failure' | 'denied', seconds: number): void
}
