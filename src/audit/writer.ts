/**
 * Group commit without a timer: while one append is in flight the next batch fills, so a quiet log costs one commit
 * and a busy one about one and a half, whatever the disk (facts: a timer only adds its own length).
 *
 * What it keeps: a number is given to an entry when its batch is formed, so `seq` equals the leaf index always; a batch
 * that was not kept takes its numbers back. Entries become durable in the order they were asked for.
 */
import { GatewayError } from '../errors.ts'
import { type Batch, type Blob, type LogStore, StorageFullError } from '../storage/storage.ts'
import { type Draft, maxEntryBytes } from './entry.ts'

export const maxBatchEntries = 512
export const maxBatchBytes = 1024 * 1024
export const maxWaiters = 4096

/**
 * How many of the waiters may be of one share, so that intents always find room. Whoever reaches the port can make
 * refusals, without a credential; notes are the rest of what is not an action.
 */
export const maxOfShare = { notes: 2048, refusals: maxBatchEntries } as const

export type Share = keyof typeof maxOfShare

/**
 * What the writer is asked to keep. An `ending` closes an intent that is already in the log: it is never turned away
 * for want of room, but waits. Everything else is refused at once so that nothing is forwarded on its account.
 */
export interface Request {
  readonly ending: boolean
  /** Counted against a bound of its own; absent for intents, ends and the log's own counters. */
  readonly share?: Share
  /** Written before all that waits, in a batch whose start is then its own number. */
  readonly first?: boolean
  /** Makes the entry; called when its batch is formed, perhaps again after a batch that was not kept. */
  readonly draft: (seq: number) => Draft
  readonly blob?: Blob
  /** Called when the entry is durable, in log order, before any waiter resumes. */
  readonly kept?: (seq: number) => void
}

interface Waiting {
  readonly request: Request
  readonly resolve: (seq: number) => void
  readonly reject: (error: GatewayError) => void
}

/** A store may hold back a reserve that only endings may use, so that a full disk can still write its ends. */
interface ReservingStore extends Pick<LogStore, 'size'> {
  append(batch: Batch, options?: { urgent?: boolean }): Promise<void>
}

export interface WriterOptions {
  /** The store can no longer be trusted; called once. */
  readonly onFault: (error: unknown) => void
  /** Called after each commit with the new size. */
  readonly onGrowth: (size: number) => void
  /** Milliseconds before endings that found no room are tried again: the first wait and the longest. */
  readonly backOff?: readonly [first: number, longest: number]
}

interface Group {
  readonly batch: Batch
  readonly members: readonly Waiting[]
  /** Whether there is nothing but endings in it. */
  readonly endings: boolean
}

export class Writer {
  readonly #store: ReservingStore
  readonly #options: WriterOptions
  #queue: Waiting[] = []
  #inFlight = 0
  readonly #ofShare = { notes: 0, refusals: 0 }
  #running = false
  #healthy = true
  /** Milliseconds until the next try while endings wait for room; 0 when none do. */
  #shortOfRoom = 0
  #idlers: (() => void)[] = []

  constructor(store: LogStore, options: WriterOptions) {
    this.#store = store
    this.#options = options
  }

  /** False once the store has faulted. */
  get healthy(): boolean {
    return this.#healthy
  }

  /** Entries that wait or are in flight. */
  get waiting(): number {
    return this.#queue.length + this.#inFlight
  }

  /** Resolves with the entry's number when it is durable. Throws `recording-unavailable` or `overloaded`. */
  write(request: Request): Promise<number> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refuse(request)
      if (refusal !== undefined) return reject(refusal)
      const { share } = request
      const leave = (): void => void (share !== undefined && this.#ofShare[share]--)
      const waiting: Waiting = {
        request,
        resolve: seq => (leave(), resolve(seq)),
        reject: error => (leave(), reject(error)),
      }
      if (share !== undefined) this.#ofShare[share]++
      if (request.first === true) this.#queue.unshift(waiting)
      else this.#queue.push(waiting)
      if (this.#running) return
      this.#running = true
      void this.#run()
    })
  }

  /** Stops for good, as after a fault of the store: what waits is refused. A batch in flight may still be kept. */
  halt(cause: unknown): void {
    if (this.#healthy) this.#fault(cause, [])
  }

  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void> {
    return this.#running ? new Promise(resolve => this.#idlers.push(resolve)) : Promise.resolve()
  }

  #refuse({ ending, share }: Request): GatewayError | undefined {
    if (!this.#healthy)
      return new GatewayError('recording-unavailable', { internal: 'the log store has faulted' })
    if (ending) return undefined
    if (this.#shortOfRoom > 0) {
      return new GatewayError('recording-unavailable', { internal: 'the log store is full' })
    }
    const crowded = share !== undefined && this.#ofShare[share] >= maxOfShare[share]
    if (this.waiting < maxWaiters && !crowded) return undefined
    return new GatewayError('overloaded', { internal: 'too many entries wait for the log store' })
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && this.#healthy) {
      // The rest of this turn of the loop first: whatever its other clients ask for then shares the commit.
      await new Promise(resolve => setImmediate(resolve))
      if (!this.#healthy) break
      const group = this.#form()
      this.#inFlight = group.members.length
      try {
        await this.#store.append(group.batch, ...(group.endings ? [{ urgent: true }] : []))
        this.#settle(group)
      } catch (error) {
        if (error instanceof StorageFullError) await this.#makeRoom(group, error)
        else this.#fault(error, group.members)
      }
    }
    this.#running = false
    for (const done of this.#idlers.splice(0)) done()
  }

  #form(): Group {
    const start = this.#store.size
    const entries: Buffer[] = []
    const blobs: Blob[] = []
    let bytes = 0
    let count = 0
    let endings = true
    while (count < this.#queue.length && count < maxBatchEntries) {
      const { draft, blob, ending } = this.#queue[count]!.request
      if (count > 0 && bytes + maxEntryBytes + (blob?.bytes.length ?? 0) > maxBatchBytes) break
      const { head, tail } = draft(start + count)
      const entry = Buffer.from(`${head}${start + count}${tail}`)
      entries.push(entry)
      if (blob !== undefined) blobs.push(blob)
      bytes += entry.length + (blob?.bytes.length ?? 0)
      endings &&= ending
      count++
    }
    const members = this.#queue.splice(0, count)
    return { batch: { start, entries, blobs }, members, endings }
  }

  #settle({ batch, members }: Group): void {
    const size = batch.start + members.length
    if (this.#store.size !== size) {
      const mistake = new Error(`the store holds ${this.#store.size} entries, not ${size}`)
      return this.#fault(mistake, members)
    }
    this.#inFlight = 0
    this.#shortOfRoom = 0
    for (let i = 0; i < members.length; i++) members[i]!.request.kept?.(batch.start + i)
    for (let i = 0; i < members.length; i++) members[i]!.resolve(batch.start + i)
    this.#options.onGrowth(size)
  }

  /** The batch was not kept. Its endings go back to the front; all else that waits is refused, so nothing hangs. */
  async #makeRoom({ members, endings }: Group, cause: StorageFullError): Promise<void> {
    this.#inFlight = 0
    const all = [...members, ...this.#queue]
    this.#queue = all.filter(each => each.request.ending)
    const error = new GatewayError('recording-unavailable', { internal: 'the log store is full', cause })
    for (const each of all) if (!each.request.ending) each.reject(error)
    // A batch of endings alone may use the store's reserve: only when that fails too is there anything to wait for.
    if (!endings) return
    const [first, longest] = this.#options.backOff ?? [50, 1000]
    this.#shortOfRoom = this.#shortOfRoom === 0 ? first : Math.min(this.#shortOfRoom * 2, longest)
    await new Promise(resolve => setTimeout(resolve, this.#shortOfRoom))
  }

  #fault(cause: unknown, members: readonly Waiting[]): void {
    if (this.#healthy) this.#options.onFault(cause)
    this.#healthy = false
    this.#inFlight = 0
    const error = new GatewayError('recording-unavailable', { internal: 'the log store has faulted', cause })
    for (const each of [...members, ...this.#queue.splice(0)]) each.reject(error)
  }
}
