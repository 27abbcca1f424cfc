import { checkCount, checkQuery } from '../check-query.ts'
import type { CountQuery, EntryCounts, EntryIndex, EntryPage, EntryQuery, SeenPage } from '../storage.ts'
import type { BlobFinder } from './embedded-log.ts'
import type { BlobPlace } from './frame.ts'
import type { IndexStart } from './index-worker.ts'
import { type Caller, startCaller } from './worker-call.ts'

/** While the log grows it is taken in this often, rather than an entry at a time. */
const followMs = 25
/** After a fault (a full disk), the next try. */
const retryMs = 1000

interface FoundPage extends Omit<EntryPage, 'entries'> {
  readonly entries: readonly { readonly index: number; readonly bytes: Uint8Array }[]
}

/** The search tables of one directory, kept and asked in a thread of their own. */
export class EmbeddedIndex implements EntryIndex, BlobFinder {
  readonly #caller: Caller
  readonly #progress: (indexed: number) => void
  #indexed: number
  #size: number
  #timer: NodeJS.Timeout | undefined
  #following = false
  #closed = false
  #waiting: { size: number; resolve: () => void; reject: (error: Error) => void }[] = []

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
    this.#schedule(followMs)
  }

  whenIndexed(size: number): Promise<void> {
    if (size <= this.#indexed) return Promise.resolve()
    if (this.#closed) return Promise.reject(new Error('the index is closed'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ size, resolve, reject })
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#schedule(0)
    })
  }

  async search(query: EntryQuery): Promise<EntryPage> {
    checkQuery(query)
    const page = await this.#caller.call<FoundPage>('search', query)
    const entries = page.entries.map(({ index, bytes }) => {
      return { index, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
    })
    return { ...page, entries }
  }

  async count(query: CountQuery): Promise<EntryCounts> {
    checkCount(query)
    return await this.#caller.call('count', query)
  }

  async identities(query: { name?: string; before?: number; limit: number }): Promise<SeenPage> {
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

  #schedule(ms: number): void {
    if (this.#closed || this.#following || this.#timer !== undefined || this.#indexed >= this.#size) return
    this.#timer = setTimeout(() => void this.#follow(), ms)
    // A wait keeps the process alive, idle catching up does not.
    if (this.#waiting.length === 0) this.#timer.unref()
  }

  async #follow(): Promise<void> {
    this.#following = true
    this.#timer = undefined
    let pause = followMs
    try {
      while (this.#indexed < this.#size && !this.#closed) {
        const indexed = await this.#caller.call<number>('follow', { size: this.#size })
        this.#reach(indexed)
        if (this.#size - indexed < 256 && this.#waiting.length === 0) break
      }
    } catch {
      // Search falls behind, and `indexed` says so; the log itself is not touched by it.
      pause = retryMs
    }
    this.#following = false
    this.#schedule(this.#waiting.length > 0 && pause === followMs ? 0 : pause)
  }

  #reach(indexed: number): void {
    this.#indexed = indexed
    this.#progress(indexed)
    const done = this.#waiting.filter(each => each.size <= indexed)
    this.#waiting = this.#waiting.filter(each => each.size > indexed)
    for (const { resolve } of done) resolve()
  }
}
