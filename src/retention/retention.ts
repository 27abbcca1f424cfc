/**
 * What is kept how long, and what is gone: legal holds, erasure, and the removal of what is past its time. One thing at
 * a time, so that a hold is either there before a removal looks, or after it is done.
 */
import type { RetentionConfig } from '../config/retention.ts'
import type { Logger } from '../log.ts'
import type { Subject } from '../model/subject.ts'
import type { Recordings } from '../recording/recordings.ts'
import { type EntryPruningParts, pruneEntries, type PruningResult, resumePruning } from './entry-pruning.ts'
import {
  type ErasurePlan,
  type ErasureRequest,
  type ErasureResult,
  Erasures,
  type ErasureParts,
} from './erasure.ts'
import { type Hold, type HoldScope, LegalHolds } from './holds.ts'
import { type SweptRecordings, sweepRecordings } from './recording-sweep.ts'
import { createTurns } from './turns.ts'

export interface RetentionParts
  extends Omit<EntryPruningParts, 'holds' | 'recordings' | 'sessions'>,
    Omit<ErasureParts, 'holds' | 'minimumMs' | 'recordings' | 'storage'> {
  readonly recordings: Pick<Recordings, 'keyOf' | 'keys' | 'erase' | 'clear'>
  readonly logger: Logger
}

/** What one look at what is past its time came to. */
export interface RetentionRun {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly recordings: SweptRecordings
  readonly entries: PruningResult
}

export class Retention {
  readonly #parts: RetentionParts
  readonly #holds: LegalHolds
  readonly #erasures: Erasures
  readonly #inTurn = createTurns()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<RetentionRun> | undefined
  #closed = false
  #last: RetentionRun | undefined

  private constructor(parts: RetentionParts, holds: LegalHolds) {
    this.#parts = parts
    this.#holds = holds
    this.#erasures = new Erasures({ ...parts, holds, minimumMs: parts.config.minimum.recordings })
  }

  /** Reads the holds and ends what a crash interrupted, before anything else may be removed. */
  static async open(parts: RetentionParts): Promise<Retention> {
    const retention = new Retention(parts, await LegalHolds.open({ ...parts, state: parts.storage.state }))
    await retention.#erasures.resume()
    await resumePruning({ ...parts, holds: retention.#holds })
    return retention
  }

  get config(): RetentionConfig {
    return this.#parts.config
  }

  get holds(): readonly Hold[] {
    return this.#holds.list()
  }

  /** The last look at what is past its time, since the start. */
  get last(): RetentionRun | undefined {
    return this.#last
  }

  place(on: HoldScope, by: Subject, reason: string): Promise<Hold> {
    return this.#inTurn(() => this.#holds.place(on, by, reason))
  }

  release(id: string, by: Subject, reason: string): Promise<Hold> {
    return this.#inTurn(() => this.#holds.release(id, by, reason))
  }

  planErasure(of: ErasureRequest['of']): Promise<ErasurePlan> {
    return this.#erasures.plan({ of })
  }

  erase(request: ErasureRequest): Promise<ErasureResult> {
    return this.#inTurn(() => this.#erasures.erase(request))
  }

  /** Looks now, and from then on as often as configured. */
  start(): void {
    this.#schedule(0)
  }

  /** Removes what is past its time. A call while one runs gets that one's result. */
  run(): Promise<RetentionRun> {
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Lets what runs come to its end. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running?.catch(() => undefined)
    await this.#inTurn(() => Promise.resolve())
  }

  async #run(): Promise<RetentionRun> {
    const parts = { ...this.#parts, holds: this.#holds }
    const recordings = await sweepRecordings(parts, work => this.#inTurn(work))
    const entries = await this.#inTurn(() => pruneEntries(parts))
    this.#last = { at: parts.clock.now(), recordings, entries }
    if (recordings.sessions > 0 || entries.removed > 0)
      parts.logger.info('retention', { recordings, entries })
    return this.#last
  }

  #schedule(ms: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#look(), ms).unref()
  }

  async #look(): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      if (!this.#closed) this.#parts.logger.error('retention', { error: String(error) })
    }
    this.#schedule(this.#parts.config.every)
  }
}
