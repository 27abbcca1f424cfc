import { type RetryPolicy, realTiming, type Timing, defaultRetry } from './backoff.ts'
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { SinkConfig } from '../config/sinks.ts'
import type { LogStore, StateStore } from '../storage/storage.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Follower } from './follower.ts'
import { Reconciler, type Reconciliation, reconcileBySchedule, type Window } from './reconciler.ts'

interface Parts {
  readonly log: LogStore & { readonly first?: number }
  readonly audit: Pick<Audit, 'origin' | 'note'>
  readonly state: StateStore
  readonly clock: Clock
  readonly deadLetters: DeadLetters
  readonly timing?: Timing
  readonly retry?: RetryPolicy
}

/** Comparisons of all sinks with the log, each sink's one at a time, until `closing` aborts. */
export class Comparing {
  readonly #parts: Parts
  readonly #closing: AbortSignal
  readonly #reconcilers = new Map<string, Reconciler>()
  readonly #schedules: Promise<void>[] = []

  constructor(parts: Parts, closing: AbortSignal) {
    this.#parts = parts
    this.#closing = closing
  }

  /** As `Export.reconcile`. */
  run(
    follower: Follower,
    how: { readonly window: Window; readonly dry: boolean },
    signal: AbortSignal,
  ): Promise<Reconciliation> {
    return this.#of(follower).run(how.window, how.dry, AbortSignal.any([signal, this.#closing]))
  }

  /** Begins the schedule of a sink that has one. */
  start(follower: Follower, config: SinkConfig): void {
    if ('reconcile' in config && config.reconcile !== undefined)
      this.#schedules.push(this.#schedule(follower, config.reconcile.every))
  }

  /** Resolves when no schedule runs any more; `closing` must have aborted. */
  async ended(): Promise<void> {
    await Promise.all(this.#schedules)
  }

  async #schedule(follower: Follower, everyMs: number): Promise<void> {
    const onFault = (error: unknown) => {
      const detail = error instanceof Error ? error.message : 'unknown fault'
      follower.meter.compared({ error: detail.slice(0, 500) })
    }
    try {
      const { timing = realTiming } = this.#parts
      await reconcileBySchedule(this.#of(follower), { everyMs, timing, onFault }, this.#closing)
    } catch (error) {
      onFault(error)
    }
  }

  #of(follower: Follower): Reconciler {
    const { source, sink, meter } = follower
    const { log, audit, state, clock, deadLetters, timing = realTiming, retry = defaultRetry } = this.#parts
    const isDeadLetter = (index: number) => deadLetters.has({ sink: sink.name, origin: audit.origin, index })
    const made =
      this.#reconcilers.get(sink.name) ??
      new Reconciler({
        source: { ...source, log },
        audit,
        state,
        clock,
        timing,
        retry,
        isDeadLetter,
        meter,
        cursor: () => follower.cursor,
      })
    this.#reconcilers.set(sink.name, made)
    return made
  }
}
