/**
 * Reading back and comparing, for one sink: which range a window is, what is sent again, what is written down. By
 * hand (`sallyport export reconcile`) and by schedule.
 */
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { LogStore, StateStore } from '../storage/storage.ts'
import { backfill } from './backfill.ts'
import type { RetryPolicy, Timing } from './backoff.ts'
import { type BatchSource, timeOf } from './batch.ts'
import { compare, type Comparison, isEqual } from './reconcile.ts'
import type { Holdings } from './holdings.ts'
import type { SinkMeter } from './meter.ts'
import { LogRecord } from './record.ts'

const space = 'export-reconciled'
/** What was shipped less than this ago may not be searchable yet. */
export const settleMs = 900_000
export const usualWindowMs = 86_400_000

export interface ReconcilerParts {
  readonly source: BatchSource & { readonly log: LogStore & { readonly first?: number } }
  readonly audit: Pick<Audit, 'note'>
  readonly state: StateStore
  readonly clock: Clock
  readonly timing: Timing
  readonly retry: RetryPolicy
  /** Every entry below it is settled at the far end. */
  readonly cursor: () => number
  readonly isDeadLetter: (index: number) => Promise<boolean>
  /** Told of each comparison that is written down. */
  readonly meter: Pick<SinkMeter, 'compared'>
}

export interface Window {
  /** Milliseconds since the epoch; default: a day before `until`. */
  readonly since?: number
  /** Default: 15 minutes ago. */
  readonly until?: number
}

export interface Reconciliation extends Comparison {
  readonly sink: string
  readonly equal: boolean
  /** Entries that were sent again because they were missing; absent where nothing was to be sent. */
  readonly sent?: number
}

interface Kept {
  /** Entries below it have been compared. */
  readonly next: number
  /** Every entry below it was settled when this was written, so that it is searchable by the next time. */
  readonly acknowledged: number
  /** A part that differed, to be looked at once more after it was sent again. */
  readonly again?: { readonly from: number; readonly to: number }
}

export class Reconciler {
  readonly #parts: ReconcilerParts
  readonly #holdings: Holdings
  #running = false

  /** Throws GatewayError where the sink can't be asked for what it holds. */
  constructor(parts: ReconcilerParts) {
    this.#parts = parts
    const { name, type, holdings } = parts.source.sink
    if (holdings === undefined) {
      const detail = `${name} can't be read back: a sink of the type ${type} does not say what it holds`
      throw new GatewayError('invalid-request', { detail })
    }
    if ('lacking' in holdings)
      throw new GatewayError('invalid-request', { detail: `${name}: ${holdings.lacking}` })
    this.#holdings = holdings
  }

  /** `dry`: nothing is sent and nothing written. Throws GatewayError where the comparison can't be made. */
  async run(window: Window, dry: boolean, signal: AbortSignal): Promise<Reconciliation> {
    const { clock, cursor } = this.#parts
    const now = clock.now()
    const until = Math.min(window.until ?? now - settleMs, now)
    const since = window.since ?? until - usualWindowMs
    if (since >= until)
      throw new GatewayError('invalid-request', { detail: '`since` must be before `until`' })
    this.#checkKept(since)
    const from = await this.#indexAt(since)
    const to = Math.max(from, Math.min(cursor(), await this.#indexAt(until)))
    return this.#exclusively(() => this.#compare({ from, to, since, until }, { dry, sendFrom: from }, signal))
  }

  /**
   * What was settled at the last call and is not compared yet; what differed then is looked at once more, and what is
   * missing still is not sent a third time. Undefined where there is nothing yet.
   */
  async advance(signal: AbortSignal): Promise<Reconciliation | undefined> {
    const { state, source, cursor, clock } = this.#parts
    const key = `${source.sink.name}@${source.origin}`
    const found = await state.get<Kept>(space, key)
    const kept = found?.value ?? { next: cursor(), acknowledged: cursor() }
    // What the far end keeps no longer can't be compared any more, and must not stop what can.
    const oldest = await this.#indexAt(clock.now() - this.#holdings.keepsMs)
    const from = Math.max(kept.again?.from ?? kept.next, oldest)
    const to = Math.max(from, kept.acknowledged)
    let result: Reconciliation | undefined
    let again: Kept['again']
    if (found !== undefined && to > from) {
      const [since, until] = [await this.#timeAt(from), await this.#timeAt(to - 1)]
      const sendFrom = kept.again?.to ?? from
      result = await this.#exclusively(() =>
        this.#compare({ from, to, since, until: Math.max(since, until) }, { dry: false, sendFrom }, signal),
      )
      if ((result.sent ?? 0) > 0) again = { from: sendFrom, to }
    }
    const value: Kept = { next: to, acknowledged: cursor(), ...(again === undefined ? {} : { again }) }
    await state.put(space, key, value, found?.version ?? 0)
    return result
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running)
      throw new GatewayError('conflict', { detail: 'this sink is being compared already; wait for its end' })
    this.#running = true
    try {
      return await work()
    } finally {
      this.#running = false
    }
  }

  async #compare(
    range: { from: number; to: number; since: number; until: number },
    how: { readonly dry: boolean; readonly sendFrom: number },
    signal: AbortSignal,
  ): Promise<Reconciliation> {
    const { source, isDeadLetter, audit, meter } = this.#parts
    let sent = 0
    const onMissing = async (indexes: ReadonlySet<number>) => {
      const lost = new Set([...indexes].filter(index => index >= how.sendFrom))
      if (lost.size > 0) sent += await this.#sendAgain(lost, signal)
    }
    const found = await compare(
      { source, holdings: this.#holdings, isDeadLetter, ...(how.dry ? {} : { onMissing }) },
      range,
      signal,
    )
    const equal = isEqual(found)
    const result = { sink: source.sink.name, equal, ...found, ...(how.dry ? {} : { sent }) }
    if (!how.dry) {
      const { sink, equal: _, ...comparison } = result
      await audit.note(equal ? 'export.reconciled' : 'export.diverged', { sink, compared: comparison })
      meter.compared({ equal })
    }
    return result
  }

  async #sendAgain(lost: ReadonlySet<number>, signal: AbortSignal): Promise<number> {
    const { source, clock, timing, retry } = this.#parts
    const range = { from: Math.min(...lost), to: Math.max(...lost) + 1 }
    const only: BatchSource = { ...source, wanted: ({ seq }) => lost.has(Number(seq)) }
    const { sent } = await backfill({ source: only, clock, timing, retry }, range, signal)
    return sent
  }

  #checkKept(since: number): void {
    const { keepsMs } = this.#holdings
    if (since >= this.#parts.clock.now() - keepsMs) return
    const days = Math.floor(keepsMs / 86_400_000)
    throw new GatewayError('invalid-request', {
      detail: `the far end keeps ${days} days, by \`setup.index.retention_days\`: what is older can't be compared`,
    })
  }

  /** The first entry that was written at or after `time`. Times of a log grow, but for steps of the clock. */
  async #indexAt(time: number): Promise<number> {
    const { log } = this.#parts.source
    let [low, high] = [log.first ?? 0, log.size]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((await this.#timeAt(middle)) < time) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Of an entry that does not say, the time of the one before it that does. */
  async #timeAt(index: number): Promise<number> {
    const { log, origin } = this.#parts.source
    for (let at = index; at >= (log.first ?? 0); at--) {
      const [bytes] = await log.read(at, 1)
      const time = bytes === undefined ? undefined : timeOf(new LogRecord(origin, at, bytes))
      if (time !== undefined) return time
    }
    return 0
  }
}

/** Compares every `everyMs` until `signal` aborts. What goes wrong is told to `onFault`, and tried at the next time. */
export async function reconcileBySchedule(
  reconciler: Reconciler,
  at: { readonly everyMs: number; readonly timing: Timing; readonly onFault: (error: unknown) => void },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await reconciler.advance(signal)
    } catch (error) {
      if (!signal.aborted) at.onFault(error)
    }
    if (!signal.aborted) await at.timing.sleep(at.everyMs, signal)
  }
}
