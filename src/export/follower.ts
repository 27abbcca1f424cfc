import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { LogStore, StateStore } from '../storage/storage.ts'
import { type RetryPolicy, retryDelay, type Timing } from './backoff.ts'
import { type BatchSource, readBatch } from './batch.ts'
import { Cursor } from './cursor.ts'
import type { DeadLetter, DeadLetters } from './dead-letters.ts'
import { Delivery, type Settlement } from './delivery.ts'
import type { Filter } from './filter.ts'
import { SinkMeter } from './meter.ts'
import { LogRecord } from './record.ts'
import type { CheckpointHead, Sink } from './sink.ts'

export interface FollowerParts {
  readonly log: LogStore
  readonly audit: Pick<Audit, 'origin' | 'note' | 'onGrowth'>
  readonly state: StateStore
  readonly deadLetters: DeadLetters
  readonly clock: Clock
  readonly timing: Timing
  readonly retry: RetryPolicy
  readonly sink: Sink
  /** Which entries the sink gets; undefined: all. */
  readonly wanted: Filter | undefined
  /** What the sink is shown of them; undefined: everything. */
  readonly view?: NonNullable<BatchSource['view']>
  /** How long the first entry of a batch waits for company, milliseconds. */
  readonly maxWaitMs: number
  /** How often to look for entries that nobody announced, milliseconds. */
  readonly pollMs: number
  /** The leaf index that a sink without a cursor starts at. */
  readonly first: () => number
  readonly checkpoint: () => CheckpointHead | undefined
}

/**
 * Ships one log to one sink, behind the writer (P7). Reads from the durable cursor, sends in order, and moves the
 * cursor only over what the far end has accepted: at least once, whatever crashes. Holds at most one batch in memory
 * and takes no part in any request: a sink that is down costs a timer.
 */
export class Follower {
  readonly meter: SinkMeter
  readonly #parts: FollowerParts
  readonly #source: BatchSource
  readonly #cursor: Cursor
  readonly #delivery: Delivery
  /** Aborts sleeping and sending. */
  #stop = new AbortController()
  /** Set by `stop`: ship what is there, wait for nothing. */
  #draining = false
  #running: Promise<void> | undefined
  #wake: () => void = () => undefined
  #shippedHead = -1

  constructor(parts: FollowerParts) {
    this.#parts = parts
    const { sink, audit, clock, timing, retry } = parts
    this.meter = new SinkMeter(clock)
    const { log, wanted, view } = parts
    this.#source = { log, origin: audit.origin, sink, wanted, ...(view === undefined ? {} : { view }) }
    this.#cursor = new Cursor(parts.state, clock, { sink: sink.name, origin: audit.origin })
    const holds = {
      held: (detail: string) => this.#tell('export.held', { detail }),
      resumed: () => this.#tell('export.resumed', {}),
    }
    this.#delivery = new Delivery({ sink, meter: this.meter, clock, timing, retry, holds })
  }

  /** What it reads and for whom, for a backfill beside it. */
  get source(): BatchSource {
    return this.#source
  }

  get sink(): Sink {
    return this.#parts.sink
  }

  /** Every entry below it is settled at the far end. */
  get cursor(): number {
    return this.#cursor.next
  }

  start(): void {
    if (this.#running !== undefined) return
    this.#draining = false
    this.#stop = new AbortController()
    const unsubscribe = this.#parts.audit.onGrowth(() => this.#wake())
    this.#running = this.#run().finally(() => {
      unsubscribe()
      this.meter.state = 'stopped'
      this.#running = undefined
    })
  }

  /** Ships what is in the log, for at most `graceMs`; a sink that fails is not waited for. The rest goes at next start. */
  async stop(graceMs: number): Promise<void> {
    if (this.#running === undefined) return
    this.#draining = true
    this.#wake()
    if (graceMs <= 0 || this.meter.state !== 'running') this.#stop.abort()
    const timer = setTimeout(() => this.#stop.abort(), graceMs)
    await this.#running
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    this.meter.state = 'running'
    try {
      await this.#insist(() => this.#cursor.load(this.#parts.first()))
      await this.#insist(() => this.#checkContinuity())
      while (await this.#untilDue()) await this.#insist(() => this.#ship())
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Repeats local work (the log, the state, the audit) until it succeeds; throws only once stopped. */
  async #insist<T>(work: () => Promise<T>): Promise<T> {
    const { timing, retry } = this.#parts
    const { signal } = this.#stop
    for (let attempt = 0; ; attempt++) {
      try {
        const done = await work()
        if (attempt > 0 && this.meter.state === 'retrying') this.meter.state = 'running'
        return done
      } catch (error) {
        if (signal.aborted) throw error
        this.meter.state = 'retrying'
        this.meter.fault(`here: ${error instanceof Error ? error.message : 'unknown fault'}`)
        await timing.sleep(retryDelay(attempt, retry, { random: timing.random() }), signal)
        signal.throwIfAborted()
      }
    }
  }

  /**
   * The log must hold what was shipped from it. One that was cut, restored from an older copy or exchanged would have
   * other entries at numbers the far end already has: that is evidence for a person, never something to skip over.
   */
  async #checkContinuity(): Promise<void> {
    const { next, leaf } = this.#cursor
    if (next === 0 || leaf === undefined) return
    const { log, audit } = this.#parts
    const [bytes] = next <= log.size ? await log.read(next - 1, 1) : []
    if (bytes !== undefined && new LogRecord(audit.origin, next - 1, bytes).leafHash === leaf) return
    this.meter.state = 'holding'
    const detail = `the log is not the one that was shipped: entry ${next - 1} is missing or another`
    this.meter.fault(detail)
    await this.#tell('export.held', { detail })
    while (!this.#draining) await this.#pause(this.#parts.retry.holdMs)
    this.#stop.abort()
    this.#stop.signal.throwIfAborted()
  }

  /** Waits until a batch is due; false when there is nothing more to do. */
  async #untilDue(): Promise<boolean> {
    const { log, maxWaitMs, pollMs, sink } = this.#parts
    const backlog = (): number => log.size - this.#cursor.next
    while (backlog() <= 0) {
      this.meter.oldestUnacked = undefined
      if (this.#draining || this.#stop.signal.aborted) return false
      await this.#pause(pollMs)
    }
    this.meter.oldestUnacked ??= this.#parts.clock.now()
    const deadline = performance.now() + maxWaitMs
    for (;;) {
      if (this.#stop.signal.aborted) return false
      const left = deadline - performance.now()
      if (left <= 0 || this.#draining || backlog() >= sink.limits.maxEvents) return true
      await this.#pause(left)
    }
  }

  /** Until `ms` passed, the log grew, or `stop` was called. */
  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #ship(): Promise<void> {
    const { clock, log, checkpoint } = this.#parts
    const head = checkpoint()
    const fresh = head !== undefined && head.size !== this.#shippedHead
    const batch = await readBatch(
      this.#source,
      { start: this.#cursor.next, end: log.size },
      { now: clock.now(), backfill: false, ...(fresh ? { checkpoint: head } : {}) },
    )
    if (batch.oldest !== undefined) this.meter.oldestUnacked = batch.oldest
    if (batch.events.length > 0) {
      const end = await this.#delivery.deliver(batch.events, this.#settlement, this.#stop.signal)
      if (end !== 'done') return
    }
    await this.#insist(() => this.#cursor.advance(batch.last))
    this.meter.skipped += batch.skipped
    this.meter.oldestUnacked = undefined
    if (batch.attached && head !== undefined) this.#shippedHead = head.size
  }

  readonly #settlement: Settlement = {
    poisoned: (record, reason) => this.#insist(() => this.#bury(record.original, reason)),
    settled: last => this.#insist(() => this.#cursor.advance(last.original)),
  }

  /** The entry about it first: giving up on a record must itself be on record. Safe to repeat. */
  async #bury(record: LogRecord, reason: string): Promise<void> {
    const { deadLetters, sink, audit, clock } = this.#parts
    const letter: DeadLetter = {
      sink: sink.name,
      origin: record.origin,
      index: record.index,
      id: record.id,
      leaf_hash: record.leafHash,
      kind: kindOf(record),
      reason: reason.slice(0, 500),
      at: new Date(clock.now()).toISOString(),
    }
    if (await deadLetters.has(letter)) return
    // An entry about exporting that is itself rejected is not told about in yet another one.
    if (!letter.kind.startsWith('export.')) {
      const { id, leaf_hash, reason: why } = letter
      await audit.note('export.dead_lettered', { sink: sink.name, entry: id, leaf_hash, reason: why })
    }
    await deadLetters.put(letter)
    this.meter.deadLettered++
  }

  /** A fault of the log must not stop shipping what is already in it. */
  async #tell(kind: 'export.held' | 'export.resumed', attributes: Record<string, string>): Promise<void> {
    try {
      await this.#parts.audit.note(kind, { sink: this.#parts.sink.name, ...attributes })
    } catch {
      this.meter.fault(`${kind} could not be written to the log`)
    }
  }
}

function kindOf(record: LogRecord): string {
  try {
    return record.entry.kind
  } catch {
    return 'unreadable'
  }
}
