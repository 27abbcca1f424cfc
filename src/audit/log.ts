import { type Clock, systemClock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { Action } from '../model/action.ts'
import type { Blob, LogStore } from '../storage/storage.ts'
import type { ActionResult, Audit, EntryRef, OpenAction, SessionFacts } from './audit.ts'
import {
  actionMembers,
  attributeMembers,
  draft,
  factMembers,
  frame,
  type Member,
  member,
  sessionMembers,
} from './entry.ts'
import type { Entry, EventKind } from './events.ts'
import { type Ledger, newLedger } from './ledger.ts'
import { type Abandonable, openAction } from './open-action.ts'
import { findLeftOpen } from './recovery.ts'
import { timestamp } from './timestamp.ts'
import { type Request, type Share, Writer } from './writer.ts'

export interface AuditOptions {
  /** Only this log may append to it. Not closed by `close`. */
  readonly store: LogStore
  /** The log's name, a schema-less URL without spaces or `+` (C2SP tlog-checkpoint). */
  readonly origin: string
  readonly clock?: Clock
  /** The Merkle root, base64, of all `size` entries; asked before anything is written, for `log.opened`. */
  readonly root?: (size: number) => Promise<string>
  /** Called once when the store can no longer be trusted. The process must stop; a restart recovers. */
  readonly onFault?: (error: unknown) => void
  /** Asked before each intent: a reason not to take it, such as a disk that is nearly full. */
  readonly admit?: () => GatewayError | undefined
  /** Milliseconds between heartbeats while the log grows, and while it does not. 0: none. */
  readonly heartbeat?: { readonly growing: number; readonly idle: number }
  /** Milliseconds before endings that found no room are tried again: the first wait and the longest. */
  readonly backOff?: readonly [first: number, longest: number]
}

export interface AuditLog extends Audit {
  /** Durable entries. */
  readonly size: number
  /** Numbers of entries that wait for the disk, of open actions and of open sessions, for metrics. */
  readonly load: { readonly waiting: number; readonly openActions: number; readonly openSessions: number }
  /** Refuses everything from here on, as after a fault of the store: for damage that the checkpointer found. */
  distrust(cause: unknown): void
  /**
   * Refuses new actions, lets open ones end for at most `graceMs`, closes what is left as `outcome_unknown`, and
   * writes `log.closed`. Never throws: a store that cannot take the last entry leaves the log to the next start.
   */
  close(graceMs: number): Promise<void>
}

/** A heartbeat also comes after this many entries, so that a start never has to read more than about as many. */
const entriesPerHeartbeat = 16_384

/** How long a close waits for its own last entries, beyond the grace of the actions. */
const lastWordsMs = 2000

/**
 * Opens the log for writing. Before it resolves, every intent and session that the last run left open has its end
 * (P2) and `log.opened` is durable. Rejects when the store cannot be read or written.
 */
export async function openAudit(options: AuditOptions): Promise<AuditLog> {
  const log = new Log(options)
  await log.recover()
  log.startHeartbeat()
  return log
}

interface WriteOptions {
  readonly ending?: boolean
  readonly intent?: number
  readonly session?: string
  readonly blob?: Blob | undefined
  readonly share?: Share
}

class Log implements AuditLog {
  readonly origin: string
  readonly #options: AuditOptions
  readonly #named: Member
  readonly #clock: Clock
  readonly #writer: Writer
  readonly #ledger: Ledger = newLedger()
  readonly #listeners = new Set<(size: number) => void>()
  readonly #open = new Map<number, Abandonable>()
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closed: Promise<void> | undefined
  #pulse: NodeJS.Timeout | undefined
  #beating = false
  #beatAt = 0

  constructor(options: AuditOptions) {
    this.#options = options
    this.origin = options.origin
    this.#named = member('log', options.origin)
    this.#clock = options.clock ?? systemClock
    this.#writer = new Writer(options.store, {
      onFault: error => options.onFault?.(error),
      onGrowth: size => this.#grew(size),
      ...(options.backOff === undefined ? {} : { backOff: options.backOff }),
    })
  }

  get size(): number {
    return this.#options.store.size
  }

  get healthy(): boolean {
    return this.#writer.healthy
  }

  get load() {
    const { intents, sessions } = this.#ledger
    return { waiting: this.#writer.waiting, openActions: intents.size, openSessions: sessions.size }
  }

  async begin(session: SessionFacts, action: Action): Promise<OpenAction> {
    if (this.#state !== 'open') throw this.#refused(new GatewayError('shutting-down'))
    const refusal = this.#options.admit?.()
    if (refusal !== undefined) throw this.#refused(refusal)
    const startedAt = performance.now()
    const members = [...sessionMembers(session), ...actionMembers(action)]
    const { facts } = action
    const asked = factMembers(facts)
    const ref = await this.#write('action.intended', [...members, ...asked])
    const intended = { ref, members, facts, factMembers: asked, startedAt }
    const opened = openAction(intended, (kind, all, result) =>
      this.#write(kind, all, { ending: true, intent: ref.index, blob: blobOf(result) }),
    )
    this.#open.set(ref.index, opened)
    return opened
  }

  async note(kind: EventKind, attributes: Readonly<Record<string, unknown>>): Promise<EntryRef> {
    if (this.#state === 'closed') throw this.#refused(new GatewayError('shutting-down'))
    const session = typeof attributes['session'] === 'string' ? { session: attributes['session'] } : {}
    const share = kind === 'identity.refused' || kind === 'request.refused' ? 'refusals' : 'notes'
    return this.#write(kind, attributeMembers(attributes), { ...session, share })
  }

  onGrowth(listener: (size: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  distrust(cause: unknown): void {
    this.#writer.halt(cause)
  }

  /** Ends what the last run left open, then says that this one writes. */
  async recover(): Promise<void> {
    const size = this.size
    const root = await this.#options.root?.(size)
    const left = await findLeftOpen(this.#options.store, this.#ledger)
    const unknowns = [...left.intents].map(([intent, entry]) =>
      this.#write('action.outcome_unknown', unknownMembers(entry, intent), { ending: true, intent }),
    )
    const sessions = [...left.sessions.values()].map(entry => this.#endSession(entry, 'crash'))
    await Promise.all([...unknowns, ...sessions])
    const end = left.last === undefined ? 'none' : left.last.kind === 'log.closed' ? 'closed' : 'crash'
    await this.#count('log.opened', {
      previous: { size: String(size), end, ...(root === undefined ? {} : { root }) },
    })
  }

  startHeartbeat(): void {
    const every = this.#options.heartbeat?.growing ?? 10_000
    if (every > 0) this.#pulse = setInterval(() => this.#beat(), every).unref()
  }

  close(graceMs: number): Promise<void> {
    return (this.#closed ??= this.#close(graceMs))
  }

  async #close(graceMs: number): Promise<void> {
    this.#state = 'closing'
    clearInterval(this.#pulse)
    if (this.healthy) await this.#quiet(graceMs)
    // A store that takes nothing more leaves what is open to the next start, which then says `crash`.
    await within(
      graceMs + lastWordsMs,
      this.#finish().catch(() => undefined),
    )
    this.#state = 'closed'
  }

  async #finish(): Promise<void> {
    await this.#writer.idle()
    // One turn of the loop, so that an intent that was just kept is known as open.
    await new Promise(resolve => setImmediate(resolve))
    await Promise.all([...this.#open.values()].map(each => each.abandon('shutdown')))
    for (const seq of this.#ledger.sessions.values()) {
      const [bytes] = await this.#options.store.read(seq, 1)
      if (bytes !== undefined) await this.#endSession(JSON.parse(bytes.toString()) as Entry, 'shutdown')
    }
    this.#state = 'closed'
    await this.#writer.idle()
    await this.#count('log.closed', {})
  }

  /** Waits until no action is open, at most `graceMs`. */
  async #quiet(graceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = (): void => {
      if (this.#ledger.intents.size === 0 && this.#writer.waiting === 0) resolve()
    }
    const forget = this.onGrowth(look)
    look()
    await within(graceMs, promise)
    forget()
  }

  #endSession(started: Entry, reason: string): Promise<EntryRef> {
    const { session, subject, client, connection } = started
    const members = attributeMembers({ session, subject, client, connection, reason })
    return this.#write('session.ended', members, session === undefined ? {} : { session })
  }

  #write(kind: EventKind, members: readonly Member[], options: WriteOptions = {}): Promise<EntryRef> {
    const { ending = false, blob, share } = options
    const made = draft([...frame(kind, this.#named, timestamp(this.#clock)), ...members])
    return this.#submit({
      ending,
      draft: () => made,
      kept: seq => {
        this.#ledger.take(seq, kind, options)
        if (options.intent !== undefined) this.#open.delete(options.intent)
      },
      ...(blob === undefined ? {} : { blob }),
      ...(share === undefined ? {} : { share }),
    })
  }

  /** Writes an entry with the counters, which are those of the log just before it. */
  #count(kind: EventKind, attributes: Readonly<Record<string, unknown>>): Promise<EntryRef> {
    this.#beatAt = performance.now()
    return this.#submit({
      ending: false,
      first: true,
      draft: seq =>
        draft([
          ...frame(kind, this.#named, timestamp(this.#clock)),
          ...attributeMembers({ ...attributes, counters: this.#ledger.counters(seq) }),
        ]),
      kept: seq => this.#ledger.take(seq, kind, {}),
    })
  }

  #submit(request: Request): Promise<EntryRef> {
    return this.#writer.write(request).then(
      index => ({ index, id: `${this.origin}/${index}` }),
      (error: unknown) => {
        throw this.#refused(error)
      },
    )
  }

  #refused(error: unknown): unknown {
    if (error instanceof GatewayError) this.#ledger.refuse(error.code)
    return error
  }

  #beat(): void {
    const idle = this.#options.heartbeat?.idle ?? 60_000
    const grown = this.size > this.#ledger.counted + 1
    if (this.#beating || (!grown && performance.now() - this.#beatAt < idle)) return
    this.#beating = true
    // A heartbeat that cannot be kept shows as its absence, and in the counters of the next one.
    const done = (): void => void (this.#beating = false)
    this.#count('heartbeat', {}).then(done, done)
  }

  #grew(size: number): void {
    for (const listener of this.#listeners) {
      try {
        listener(size)
      } catch (error) {
        // A follower's mistake is its own: the log goes on.
        process.emitWarning(error instanceof Error ? error : String(error))
      }
    }
    if (this.#state === 'open' && size - this.#ledger.counted > entriesPerHeartbeat) this.#beat()
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}

function blobOf(result: Partial<ActionResult> | undefined): Blob | undefined {
  if (result?.blob === undefined || result.recording === undefined) return undefined
  return { hash: result.recording.blob, bytes: result.blob }
}

/** The end of an intent of which only the log is left: all that the intent said, and that nobody knows more. */
function unknownMembers(entry: Entry, intent: number): Member[] {
  const { v: _v, kind: _kind, log: _log, seq: _seq, time: _time, ...rest } = entry
  return attributeMembers({ ...rest, intent: String(intent), outcome: 'unknown', cause: 'crash' })
}
