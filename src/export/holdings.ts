import type { LogRecord } from './record.ts'

/** One event as the far end holds it. What it says of itself is a claim until it is compared with the log. */
export interface HeldEvent {
  /** The far end's own id: two events with the same entry have different ones. */
  readonly remote: string
  /** `<origin>/<index>` as it stands in the event; undefined where there is none. */
  readonly id: string | undefined
  /** Leaf index; undefined where it is no whole number. */
  readonly index: number | undefined
  readonly leafHash: string | undefined
  /** A stub in the place of an entry that was not taken. */
  readonly stub: boolean
  /** Of the facts that searches go by: equal where those are. */
  readonly facts: string
}

/** What the far end has to hold for an entry. */
export interface ExpectedEvent {
  readonly leafHash: string
  /** Undefined where the entry has no form there: a stub stands for it. */
  readonly facts: string | undefined
}

/**
 * What a far end holds, read back page by page: never more than a page in memory. Throws GatewayError where it can't be
 * read. Waits where the far end asks for that, until `signal` aborts.
 */
export interface Holdings {
  /**
   * Events of one log, and those of ours that name no log, whose time is in the window (milliseconds, both inclusive).
   */
  between(
    window: { readonly log: string; readonly from: number; readonly to: number },
    signal: AbortSignal,
  ): AsyncIterable<HeldEvent>
  /** Whether any event of the log since `from` has a time that is not its own, for it was sent too late. */
  hasLate(from: { readonly log: string; readonly from: number }, signal: AbortSignal): Promise<boolean>
  /** Events of these entries, whatever time they have, since `from`. At most `mostIds` at once. */
  byIds(ids: readonly string[], from: number, signal: AbortSignal): AsyncIterable<HeldEvent>
  readonly mostIds: number
  expected(record: LogRecord): ExpectedEvent
  /** Milliseconds into the past that the far end keeps; what is older can't be compared. */
  readonly keepsMs: number
  close(): Promise<void>
}

/** Why a sink that could be asked can't be: what the configuration lacks. */
export interface NoHoldings {
  readonly lacking: string
}
