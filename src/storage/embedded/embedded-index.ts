import { checkCount, checkQuery } from '../check-query.ts'
import type { CountQuery, EntryCounts, EntryIndex, EntryPage, EntryQuery, SeenPage } from '../storage.ts'
import type { BlobFinder } from './embedded-log.ts'
import type { BlobPlace } from './frame.ts'
import type { IndexStart } from './index-worker.ts'
import { type Caller, startCaller } from './worker-call.ts'

/** While the log grows and nobody asks, it is taken in this often: one large transaction costs less than ten small ones. */
const followMs = 250
/** So many entries are worth a transaction at once; who asks waits for no more of them than these. */
const followEntries = 512
/** After a fault (a full disk), the next try. */
const retryMs = 1000

interface FoundPage extends Omit<EntryPage, 'entries'> {
  readonly entries: readonly { readonly index: number; readonly bytes: Uint8Array }[]
}

interface Waiter {
  readonly size: number
  /** Waits on after a fault; else it is content with what there is then. */
  readonly patient: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * The search tables of one directory, kept and asked in a thread of their own. They follow the log lazily, and at once
 * when somebody asks: an answer knows of all that was durable before it, unless the index is far behind.
 */
export class EmbeddedIndex implements EntryIndex, BlobFinder {
  readonly #caller: Caller
  readonly #progress: (indexed: number) => void
  #indexed: number
  #size: number
  #timer: NodeJS.Timeout | undefined
  /** The timer is due at once. */
  #soon = false
  #following = false
  /** The last try did not take in anything: the next is not to be hurried by growth. */
  #failing = false
  #closed = false
  #waiting: Waiter[] = []

  private constructor(caller: Caller, at: { indexed: number; size: number; progress: (n: number) => void }) {
    this.#caller = caller
    this.#indexed = at.indexed
    this.#size = at.size
    this.#progress = at.progress
  }

  static async open(start: IndexStart, progress: (indexed: number) => void): Promise<EmbeddedIndex> {
    const caller = startCaller(new URL('./index-worker.ts', import.meta.url), start)
    const indexed = await caller.call<number>('open', undefined)
    const index = new EmbeddedIndex(caller, { indexed, size: start.size, progress })
    index.#schedule(0)
    return index
  }

  get indexed(): number {
    return this.#indexed
  }

  /** Says that entries below `size` are durable. */
  grow(size: number): void {
    this.#size = size
    const wanted = this.#waiting.length > 0 || size - this.#indexed >= followEntries
    this.#schedule(wanted && !this.#failing ? 0 : followMs)
  }

  whenIndexed(size: number): Promise<void> {
    if (size <= this.#indexed) return Promise.resolve()
    if (this.#closed) return Promise.reject(new Error('the index is closed'))
    return this.#reached(size, true)
  }

  async search(query: EntryQuery): Promise<EntryPage> {
    checkQuery(query)
    await this.#catchUp()
    const page = await this.#caller.call<FoundPage>('search', query)
    const entries = page.entries.map(({ index, bytes }) => {
      return { index, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
    })
    return { ...page, entries }
  }

  async count(query: CountQuery): Promise<EntryCounts> {
    checkCount(query)
    await this.#catchUp()
    return await this.#caller.call('count', query)
  }

  async identities(query: { name?: string; before?: number; limit: number }): Promise<SeenPage> {
    await this.#catchUp()
    return await this.#caller.call('identities', query)
  }

  async prune(below: number): Promise<void> {
    await this.#caller.call('prune', { below })
  }

  findBlob(digest: string): Promise<BlobPlace | undefined> {
    return this.#caller.call('blob', { digest })
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the index is closed'))
    await this.#caller.call('close', undefined).catch(() => undefined)
    await this.#caller.end()
  }

  /** Takes in what is durable by now, where that is little, as it is but after a start. */
  async #catchUp(): Promise<void> {
    const behind = this.#size - this.#indexed
    if (behind > 0 && behind <= 2 * followEntries && !this.#closed) await this.#reached(this.#size, false)
  }

  #reached(size: number, patient: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ size, patient, resolve, reject })
      this.#schedule(0)
    })
  }

  #schedule(ms: number): void {
    if (this.#closed || this.#following || this.#indexed >= this.#size) return
    if (this.#timer === undefined || (ms === 0 && !this.#soon)) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.#follow(), ms).unref()
      this.#soon = ms === 0
    }
    // A wait keeps the process alive, idle catching up does not.
    if (this.#waiting.length > 0) this.#timer.ref()
  }

  async #follow(): Promise<void> {
    this.#following = true
    this.#timer = undefined
    try {
      while (this.#indexed < this.#size && !this.#closed) {
        const indexed = await this.#caller.call<number>('follow', { size: this.#size })
        this.#reach(indexed)
        if (this.#size - indexed < followEntries && this.#waiting.length === 0) break
      }
      this.#failing = false
    } catch {
      // Search falls behind, and `indexed` says so; the log itself is not touched by it.
      this.#failing = true
      this.#settle(each => !each.patient)
    }
    this.#following = false
    if (this.#failing) this.#schedule(retryMs)
    else this.#schedule(this.#waiting.length > 0 ? 0 : followMs)
  }

  #reach(indexed: number): void {
    this.#indexed = indexed
    this.#progress(indexed)
    this.#settle(each => each.size <= indexed)
  }

  #settle(done: (waiter: Waiter) => boolean): void {
    const settled = this.#waiting.filter(done)
    this.#waiting = this.#waiting.filter(each => !done(each))
    for (const { resolve } of settled) resolve()
  }
}
