import type { Holdings, NoHoldings } from './holdings.ts'
import type { LogRecord } from './record.ts'

/** What a sink takes at once. The follower keeps to it; a sink may assert it. */
export interface SinkLimits {
  readonly maxEvents: number
  /** Sum of the encoded events, each counted with one byte of separator. */
  readonly maxBytes: number
  /** One encoded event. */
  readonly maxEventBytes: number
}

/** One entry in the sink's own form. */
export interface SinkEvent {
  readonly record: LogRecord
  readonly body: Buffer
  /** Set where `body` is a stub because the entry could not be encoded: why. */
  readonly unencodable?: string
}

/** A signed tree head, to be shipped along so that the far end holds an anchor of the log. */
export interface CheckpointHead {
  readonly size: number
  /** Root hash, base64. */
  readonly root: string
  /** The whole signed note (C2SP tlog-checkpoint). */
  readonly note: string
}

/** What an encoding depends on beside the entry itself. */
export interface Encoding {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The entry is sent again on request. */
  readonly backfill: boolean
  /** Present on one event of a batch, when there is a newer head than the last that was attached. */
  readonly checkpoint?: CheckpointHead
}

/**
 * How the far end took a batch. What to do about it is the follower's business, the same for every sink.
 * `detail` shows in status and entries: no secrets, no payload.
 */
export type SendResult =
  /** The far end has it, as durably as it ever says. */
  | { readonly result: 'accepted' }
  /** Not now: network, overload, rate limit. `afterMs` where the far end said when. */
  | { readonly result: 'retry'; readonly detail: string; readonly afterMs?: number }
  /** The batch as a whole is over a limit of the far end. */
  | { readonly result: 'too-large'; readonly detail: string }
  /** At least one event of the batch is malformed in the eyes of the far end, and nothing was taken. */
  | { readonly result: 'rejected'; readonly detail: string }
  /** Nothing can be sent until a person acts: a bad credential, a wrong address. */
  | { readonly result: 'refused'; readonly detail: string }

/**
 * A place that entries are shipped to. It encodes and sends, once, and says how that went; batching, order,
 * retries, bisecting, dead letters and the cursor belong to the follower. `docs/guides/export.md` is for operators.
 */
export interface Sink {
  /** From the configuration, unique. Names the cursor and the dead letters. */
  readonly name: string
  readonly type: string
  readonly limits: SinkLimits
  /**
   * Pure and synchronous. May throw for an entry that has no form here: it is dead-lettered. Must not exceed
   * `maxEventBytes`.
   */
  encode(record: LogRecord, encoding: Encoding): Buffer
  /** What goes in place of an entry that the far end does not take: its id, leaf hash and why. Never throws. */
  stub(record: LogRecord, reason: string): Buffer
  /**
   * Sends once, in order, never more than one call at a time from the follower (backfill may send beside it). Never
   * throws: what goes wrong is a `retry`. An abort of `signal` ends it soon with `retry`; the batch may have arrived.
   */
  send(batch: readonly SinkEvent[], signal: AbortSignal): Promise<SendResult>
  /** Where the far end can be asked for what it holds; absent where it can't by its nature. */
  readonly holdings?: Holdings | NoHoldings
  close(): Promise<void>
}
