import type { Registry } from 'prom-client'
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { SinkConfig } from '../config/sinks.ts'
import { GatewayError } from '../errors.ts'
import type { LogStore, StateStore } from '../storage/storage.ts'
import { backfill, type BackfillResult } from './backfill.ts'
import { type BatchSource, encodeRecord } from './batch.ts'
import { defaultRetry, realTiming, type RetryPolicy, type Timing } from './backoff.ts'
import { type DeadLetter, DeadLetters } from './dead-letters.ts'
import { type FieldRules, viewOf } from './fields.ts'
import { filterOf } from './filter.ts'
import { Follower } from './follower.ts'
import { Comparing } from './comparing.ts'
import { createSink, type SinkContext } from './kinds.ts'
import type { Reconciliation, Window } from './reconciler.ts'
import { LogRecord } from './record.ts'
import type { CheckpointHead, Sink } from './sink.ts'
import { publishMetrics, type SinkStatus, statusOf } from './status.ts'

export interface ExportOptions extends SinkContext {
  /** `first`: entries below it were removed under the policy of retention. */
  readonly log: LogStore & { readonly first?: number }
  readonly audit: Pick<Audit, 'origin' | 'note' | 'onGrowth'>
  readonly state: StateStore
  readonly sinks: readonly SinkConfig[]
  readonly clock: Clock
  readonly registry: Registry
  /** The latest signed head, if there is one; shipped along whenever it is newer. */
  readonly checkpoint?: () => CheckpointHead | undefined
  /** Makes a sink of its configuration; tests pass their own. */
  readonly create?: (config: SinkConfig, context: SinkContext) => Sink
  readonly timing?: Timing
  readonly retry?: RetryPolicy
  /** How often followers look for entries that nobody announced, milliseconds. */
  readonly pollMs?: number
}

/** Shipping of the log to all sinks. Nothing in here is ever waited for by a request. */
export interface Export {
  /** Starts every follower from its durable cursor. Once: a stopped export is replaced by a new one. */
  start(): void
  /** Ships what is there for at most `graceMs`, then closes the sinks. What is left goes at the next start. */
  stop(graceMs: number): Promise<void>
  status(): readonly SinkStatus[]
  readonly deadLetters: DeadLetterOffice
  /**
   * Sends entries `from` to `to` (exclusive) again, marked as a backfill, beside the follower and without moving its
   * cursor. Retries until it is through or `signal` aborts. Throws `not-found` and `invalid-request`.
   */
  backfill(
    sink: string,
    range: { readonly from: number; readonly to: number },
    signal?: AbortSignal,
  ): Promise<BackfillResult>
  /**
   * Reads a window back from a sink that can be asked, and compares it with the log. What is missing is sent again, and
   * the result written to the log, unless `dry`. Throws `not-found`, `invalid-request` where it can't be asked,
   * `conflict` while another comparison of the sink is under way, `upstream-unreachable` where it does not answer.
   */
  reconcile(
    sink: string,
    how: { readonly window: Window; readonly dry: boolean },
    signal?: AbortSignal,
  ): Promise<Reconciliation>
}

/** What sinks would not take. Every method throws `not-found` for an unknown sink or letter. */
export interface DeadLetterOffice {
  list(
    sink: string,
    page?: { readonly after?: string; readonly limit?: number },
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }>
  /** The letter, the entry's bytes, and the event that would be sent now. */
  show(
    sink: string,
    index: number,
  ): Promise<{ readonly letter: DeadLetter; readonly entry: Buffer; readonly event: Buffer | undefined }>
  /** Sends the entry once more; the letter goes when it is accepted. */
  resend(sink: string, index: number): Promise<{ readonly accepted: boolean; readonly detail?: string }>
}

export function createExport(options: ExportOptions): Export {
  const { log, audit, clock, registry } = options
  const deadLetters = new DeadLetters(options.state)
  const followers = options.sinks.map(config => followerOf(options, config, deadLetters))
  const status = () => followers.map(each => statusOf(each, log.size, clock))
  let withdraw: (() => void) | undefined
  /** Ends backfills: nothing may wait on a sink that is closed. */
  const closing = new AbortController()
  const comparing = new Comparing({ ...options, deadLetters }, closing.signal)

  function find(name: string): Follower {
    const found = followers.find(each => each.sink.name === name)
    if (found === undefined) throw new GatewayError('not-found', { detail: `there is no sink ${name}` })
    return found
  }

  async function open(name: string, index: number) {
    const { sink, source } = find(name)
    const letter = await deadLetters.get({ sink: name, origin: audit.origin, index })
    if (letter === undefined)
      throw new GatewayError('not-found', { detail: `there is no dead letter ${index}` })
    const [entry] = await log.read(index, 1)
    if (entry === undefined)
      throw new GatewayError('not-found', { detail: `entry ${index} is no longer kept` })
    const record = new LogRecord(audit.origin, index, entry)
    const view = await source.view?.()
    const event = encodeRecord(sink, view?.(record) ?? record, { now: clock.now(), backfill: true })
    return { sink, letter, record, event: event.unencodable === undefined ? event : undefined }
  }

  return {
    start() {
      withdraw ??= publishMetrics(registry, status)
      for (const each of followers) each.start()
      for (const each of options.sinks) comparing.start(find(each.name), each)
    },
    async stop(graceMs) {
      closing.abort()
      await Promise.all([...followers.map(each => each.stop(graceMs)), comparing.ended()])
      await Promise.all(followers.map(each => each.sink.close()))
      withdraw?.()
      withdraw = undefined
    },
    status,
    deadLetters: {
      async list(sink, page) {
        return deadLetters.list(find(sink).sink.name, page)
      },
      async show(sink, index) {
        const { letter, record, event } = await open(sink, index)
        return { letter, entry: record.bytes, event: event?.body }
      },
      async resend(name, index) {
        const { sink, letter, event } = await open(name, index)
        if (event === undefined)
          return { accepted: false, detail: 'the entry still has no form for this sink' }
        const sent = await sink.send([event], AbortSignal.timeout(60_000))
        if (sent.result !== 'accepted') return { accepted: false, detail: sent.detail }
        await deadLetters.delete(letter)
        return { accepted: true }
      },
    },
    async backfill(name, range, signal = new AbortController().signal) {
      const follower = find(name)
      checkRange(range, log)
      const { timing = realTiming, retry = defaultRetry } = options
      const either = AbortSignal.any([signal, closing.signal])
      return backfill({ source: follower.source, clock, timing, retry }, range, either)
    },
    reconcile: async (name, how, signal = new AbortController().signal) =>
      comparing.run(find(name), how, signal),
  }
}

/** Throws `invalid-request`. */
function checkRange(
  { from, to }: { from: number; to: number },
  { size, first = 0 }: ExportOptions['log'],
): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from || to > size)
    throw new GatewayError('invalid-request', { detail: `the log has entries 0 to ${size - 1}` })
  if (from >= first) return
  const detail = `entries below ${first} were removed when their time of retention had ended`
  throw new GatewayError('invalid-request', { detail })
}

function followerOf(options: ExportOptions, config: SinkConfig, deadLetters: DeadLetters): Follower {
  const { log, audit, state, clock, checkpoint, create = createSink } = options
  const { timing = realTiming, retry = defaultRetry, pollMs = 1000 } = options
  const view = viewFrom(config, options)
  return new Follower({
    log,
    audit,
    state,
    deadLetters,
    clock,
    timing,
    retry,
    pollMs,
    sink: create(config, options),
    wanted: filterOf(config),
    ...(view === undefined ? {} : { view }),
    maxWaitMs: 'batch' in config ? config.batch.max_wait : 0,
    // A sink that is new begins with what is there.
    first: () => (config.from === 'now' ? log.size : (log.first ?? 0)),
    checkpoint: checkpoint ?? (() => undefined),
  })
}

/** Undefined where nothing is withheld. The key is read before each batch: without it nothing leaves. */
function viewFrom({ fields }: SinkConfig, { secret }: SinkContext): BatchSource['view'] {
  const { key, ...classes } = fields
  const ways = Object.fromEntries(
    Object.entries(classes).filter(([, way]) => way !== 'keep'),
  ) as FieldRules['ways']
  if (key === undefined || Object.keys(ways).length === 0) return undefined
  const reference = secret(key)
  return async () => viewOf({ ways, key: await reference.read() })
}
