/**
 * Publishes and signs the log behind the writer: reads committed entries back from the store, integrates them into the
 * Merkle tree, and signs a head within a second of growth and every ten seconds regardless. The request path feels
 * nothing but the reading: hashing, files and keys are in a thread of their own. Behind that it goes round the whole
 * log and compares it with the store, for ever.
 *
 * It never signs over damage. What was integrated, signed or committed before and is other now raises the alarm once,
 * and from then on nothing is signed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { type LogStore, StorageFaultError } from '../storage/storage.ts'
import { GatewayError } from '../errors.ts'
import type { RingKey } from './key-ring.ts'
import type { WorkerOptions, WorkerReply, WorkerRequest, WorkerState } from './checkpoint-worker.ts'
import type { Cosignatures } from './published-tree.ts'
import { packEntries, tileWidth } from './tiles.ts'

export interface CheckpointerOptions extends WorkerOptions {
  /** `first`: entries below it were removed under the policy of retention, and are not compared any more. */
  readonly store: Pick<LogStore, 'size' | 'read'> & { readonly first?: number }
  /** Called once: the log on disk is not what was committed or signed. The gateway must refuse from here on. */
  readonly onAlarm: (error: Error) => void
  /** A head was signed and published. */
  readonly onPublished?: (head: SignedHead) => void
  /** An old key stopped signing: its overlap with the new one is over. */
  readonly onRetired?: (vkey: string) => void
  /** Publishing failed and will be tried again (a full disk, say). */
  readonly onFailure?: (error: Error) => void
  /** Milliseconds from growth to the new head, at most 1000; while it goes on growing, up to three times as many. */
  readonly delay?: number
  /** Milliseconds between heads while nothing grows, and between steps of the round that compares log and store. */
  readonly every?: number
  /** How fast all that was integrated is compared with the store after a start, entries per second; 0: not at all. */
  readonly scrub?: number
}

export interface SignedHead {
  readonly size: number
  /** Base64. */
  readonly root: string
  /** The checkpoint as published. */
  readonly note: string
}

/** The log is damaged: see `internal` of the alarm. */
export class LogAlarm extends Error {
  override readonly name = 'LogAlarm'
}

type Answered = Extract<WorkerReply, { state: WorkerState }>

/** From growth to the start of work on its head; with that work it is within a second. */
const longestDelay = 750
const entriesPerRead = 1024
const entriesPerPublish = 65_536

/** Opens the published log. Rejects with LogAlarm when it is not what was signed, or longer than the store. */
export async function openCheckpointer(options: CheckpointerOptions): Promise<Checkpointer> {
  const checkpointer = new Checkpointer(options)
  try {
    await checkpointer.start()
  } catch (error) {
    await checkpointer.terminate()
    throw error
  }
  return checkpointer
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  readonly #worker: Worker
  readonly #calls = new Map<number, { resolve: (reply: Answered) => void; reject: (error: Error) => void }>()
  readonly #stopped = new AbortController()
  #state: WorkerState = { size: 0, root: '', vkeys: [], created: [], earlier: [] }
  #open = false
  /** When work on the last head began. */
  #began = Number.NEGATIVE_INFINITY
  /** Where the round of comparisons stands. */
  #round = 0
  #calling = 0
  #rotating = false
  /** Work takes turns, so that what is compared or signed is never half integrated. */
  #turn: Promise<unknown> = Promise.resolve()
  #alarm: LogAlarm | undefined
  #soon: NodeJS.Timeout | undefined
  #pulse: NodeJS.Timeout | undefined
  #scrubbing: Promise<void> = Promise.resolve()

  constructor(options: CheckpointerOptions) {
    this.#options = options
    const { directory, origin, keyFiles, policy, keys, base } = options
    const workerData: WorkerOptions = {
      directory,
      origin,
      keyFiles,
      ...(policy !== undefined && { policy }),
      ...(keys !== undefined && { keys }),
      ...(base !== undefined && { base }),
    }
    this.#worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData })
    this.#worker.on('message', (reply: WorkerReply) => this.#answered(reply))
    this.#worker.on('error', error => this.#lost(error instanceof Error ? error : new Error(String(error))))
    this.#worker.on('exit', () => this.#lost(new Error('the thread of the checkpointer ended')))
    this.#worker.unref()
  }

  /** The last signed head; undefined before the first. */
  get head(): SignedHead | undefined {
    return this.#state.signed
  }

  /** Verifier keys of the log, as in `log.vkey`. */
  get vkeys(): readonly string[] {
    return this.#state.vkeys
  }

  /** Verifier keys that this start made: each is a `key.created` entry. */
  get created(): readonly string[] {
    return this.#state.created
  }

  /** Verifier keys that were published before this start; each difference to `vkeys` is a `key.rotated` entry. */
  get earlier(): readonly string[] {
    return this.#state.earlier
  }

  /** The keys that the gateway manages itself, retired ones too; undefined where they are configured. */
  get ring(): readonly RingKey[] | undefined {
    return this.#state.ring
  }

  /** False once damage was found. */
  get trusted(): boolean {
    return this.#alarm === undefined
  }

  async start(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#reopen()
      const signed = this.#state.signed?.size ?? 0
      if (signed > this.#options.store.size) {
        throw this.#raise(
          `the store holds ${this.#options.store.size} entries, of ${signed} that were signed`,
        )
      }
      await this.#compareTail()
    })
    this.#pulse = setInterval(() => this.#beat(), this.#options.every ?? 10_000).unref()
    const rate = this.#options.scrub ?? 20_000
    if (rate > 0) this.#scrubbing = this.#scrub(rate).catch(() => undefined)
  }

  /** To be called when the log has grown; `audit.onGrowth(() => checkpointer.grew())`. */
  grew(): void {
    if (this.#soon !== undefined || this.#stopped.signal.aborted) return
    const delay = this.#options.delay ?? 250
    // A head costs the same however much has grown: a log that is busy has fewer of them, and still in time.
    const next = this.#began + Math.min(delay * 3, longestDelay) - performance.now()
    this.#soon = setTimeout(
      () => {
        this.#soon = undefined
        this.#publishQuietly()
      },
      Math.max(delay, next),
    ).unref()
  }

  /** Integrates all that is committed and gives size and root, without signing: what `log.opened` continues. */
  async catchUp(): Promise<{ readonly size: number; readonly root: string }> {
    return await this.#inTurn(async () => {
      await this.#integrate()
      return { size: this.#state.size, root: this.#state.root }
    })
  }

  /** Integrates all that is committed, signs and publishes. Throws LogAlarm for damage, else what failed. */
  async publish(): Promise<SignedHead> {
    return await this.#inTurn(async () => {
      this.#began = performance.now()
      await this.#compareTail()
      await this.#integrate()
      await this.#call({ op: 'publish' })
      this.#options.onPublished?.(this.#state.signed!)
      return this.#state.signed!
    })
  }

  /** Proves that the signed tree of `size` entries begins with that of `old`: RFC 6962 section 2.1.2. */
  async prove(old: number, size: number): Promise<readonly Buffer[]> {
    return await this.#inTurn(async () => {
      if (!this.#open) await this.#reopen()
      const { proof = [] } = await this.#call({ op: 'prove', old, size })
      return proof.map(hash => Buffer.from(hash))
    })
  }

  /**
   * Replaces the key: makes the next one, has `tell` write what follows into the log, signs that with the old key alone,
   * and from then on with both until `until` (milliseconds since the epoch). A rotation that was interrupted is gone on
   * with. Throws `conflict` where keys are configured or the last rotation is not over.
   */
  async rotate(until: number, tell: (step: { old: string; new: string }) => Promise<unknown>): Promise<void> {
    const refusal = this.#rotating ? 'a rotation is under way' : this.#rotationRefusal()
    if (refusal !== undefined) throw new GatewayError('conflict', { detail: refusal })
    this.#rotating = true
    try {
      await this.#rotate(until, tell)
    } finally {
      this.#rotating = false
    }
  }

  async #rotate(
    until: number,
    tell: (step: { old: string; new: string }) => Promise<unknown>,
  ): Promise<void> {
    await this.#inTurn(() => this.#call({ op: 'prepare-key' }))
    const old = this.#state.vkeys.at(-1)!
    const made = this.#state.ring!.find(each => each.state === 'pending')!.vkey
    await tell({ old, new: made })
    await this.publish()
    await this.#inTurn(() => this.#call({ op: 'activate-key', until }))
    await this.publish()
  }

  #rotationRefusal(): string | undefined {
    const { ring } = this.#state
    if (ring === undefined)
      return 'the keys of the log are in the configuration: add the new one to audit.keys'
    const waiting = ring.some(each => each.state === 'pending')
    if (!waiting && ring.filter(each => each.state === 'signing').length > 1)
      return 'the last rotation is not over: the old key still signs beside the new one'
    return undefined
  }

  /** Puts the lines of witnesses on the published checkpoint, where it still is the one that they cosigned. */
  async cosign(cosignatures: Cosignatures): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#open) await this.#reopen()
      await this.#call({ op: 'cosign', ...cosignatures })
    })
  }

  /** Compares everything that was signed with what the store holds now; resolves with the number of entries. */
  async scrub(): Promise<number> {
    const size = this.#state.signed?.size ?? 0
    await this.#scrub(Number.POSITIVE_INFINITY)
    return size
  }

  /** Publishes a last head, if it can, and ends the thread. */
  async close(): Promise<void> {
    this.#stopped.abort()
    clearTimeout(this.#soon)
    clearInterval(this.#pulse)
    await this.#scrubbing
    if (this.trusted) await this.publish().catch((error: Error) => this.#options.onFailure?.(error))
    await this.terminate()
  }

  async terminate(): Promise<void> {
    this.#stopped.abort()
    clearTimeout(this.#soon)
    clearInterval(this.#pulse)
    this.#worker.removeAllListeners('exit')
    await this.#worker.terminate()
  }

  async #reopen(): Promise<void> {
    await this.#call({ op: 'open' })
    this.#open = true
  }

  async #integrate(): Promise<void> {
    if (!this.#open) await this.#reopen()
    let unpublished = 0
    while (this.#state.size < this.#options.store.size) {
      const start = this.#state.size
      const entries = await this.#read(start, entriesPerRead)
      await this.#call({ op: 'integrate', start, packed: packEntries(entries) })
      unpublished += entries.length
      if (unpublished >= entriesPerPublish) {
        await this.#call({ op: 'publish' })
        unpublished = 0
      }
    }
  }

  async #scrub(rate: number): Promise<void> {
    const end = this.#state.signed?.size ?? 0
    for (let start = 0; start < end && !this.#stopped.signal.aborted; ) {
      const stop = Math.min(end, start - (start % tileWidth) + entriesPerRead)
      await this.#inTurn(() => this.#compare(start, stop))
      start = stop
      const pause = (entriesPerRead / rate) * 1000
      if (pause > 1) await sleep(pause, undefined, { signal: this.#stopped.signal, ref: false })
    }
  }

  /** The end of what was signed, where an interrupted write or a hasty hand would show; the scrub does the rest. */
  async #compareTail(): Promise<void> {
    const signed = this.#state.signed?.size ?? 0
    await this.#compare(Math.max(0, signed - (signed % tileWidth) - tileWidth), signed)
  }

  /** Publishes, and compares the next stretch of the log with the store, round and round. */
  #beat(): void {
    this.#publishQuietly()
    const signed = this.#state.signed?.size ?? 0
    const from = this.#round < signed ? this.#round : 0
    const to = Math.min(signed, from + entriesPerRead)
    this.#round = to
    this.#inTurn(() => this.#compare(from, to)).catch((error: Error) => this.#failed(error))
  }

  async #compare(from: number, to: number): Promise<void> {
    if (!this.#open) await this.#reopen()
    for (let start = Math.max(from, this.#options.store.first ?? 0); start < to; ) {
      const entries = await this.#read(start, Math.min(entriesPerRead, to - start))
      await this.#call({ op: 'compare', start, packed: packEntries(entries) })
      start += entries.length
    }
  }

  async #read(start: number, limit: number): Promise<Buffer[]> {
    const entries = await this.#options.store.read(start, limit).catch((error: unknown) => {
      // The store found the damage before us: its own checks failed.
      if (error instanceof StorageFaultError)
        throw this.#raise(`the store cannot give entry ${start}: ${error.message}`)
      throw error
    })
    if (entries.length === 0) throw this.#raise(`the store gives nothing from entry ${start}`)
    return entries
  }

  #publishQuietly(): void {
    if (!this.trusted || this.#stopped.signal.aborted) return
    this.publish().catch((error: Error) => this.#failed(error))
  }

  #failed(error: Error): void {
    if (!(error instanceof LogAlarm) && !this.#stopped.signal.aborted) this.#options.onFailure?.(error)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      if (this.#alarm !== undefined) throw this.#alarm
      return await work()
    })
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  #call(request: WorkerRequest): Promise<Answered> {
    const id = this.#calling++
    const { promise, resolve, reject } = Promise.withResolvers<Answered>()
    this.#calls.set(id, { resolve, reject })
    this.#worker.ref()
    const moved = 'packed' in request ? [request.packed.buffer as ArrayBuffer] : []
    this.#worker.postMessage({ id, ...request }, moved)
    return promise
  }

  #answered(reply: WorkerReply): void {
    const call = this.#calls.get(reply.id)
    this.#calls.delete(reply.id)
    if (this.#calls.size === 0) this.#worker.unref()
    if ('state' in reply) {
      const before = this.#state.ring ?? []
      this.#state = reply.state
      for (const { vkey, state } of reply.state.ring ?? [])
        if (state === 'retired' && before.some(each => each.vkey === vkey && each.state !== 'retired'))
          this.#options.onRetired?.(vkey)
      call?.resolve(reply)
    } else if (reply.damage) {
      call?.reject(this.#raise(reply.error))
    } else {
      // The thread begins anew from the last signed head.
      this.#open = reply.open
      call?.reject(new GatewayError('internal', { internal: reply.error }))
    }
  }

  #lost(error: Error): void {
    if (this.#stopped.signal.aborted) return
    const alarm = this.#raise(error.message)
    for (const call of this.#calls.values()) call.reject(alarm)
    this.#calls.clear()
  }

  #raise(what: string): LogAlarm {
    if (this.#alarm === undefined) {
      this.#alarm = new LogAlarm(what)
      this.#options.onAlarm(this.#alarm)
    }
    return this.#alarm
  }
}
