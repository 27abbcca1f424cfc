import { createHash } from 'node:crypto'
import {
  type Batch,
  type Blob,
  type BlobStore,
  type BlobWriter,
  EntriesPrunedError,
  type PrunableLog,
  StorageFaultError,
} from '../storage.ts'

const readBytes = 4 * 1024 * 1024

/** The log in memory: the contract of the log but for durability. Each batch counts as a file of its own. */
export class MemoryLog implements PrunableLog, BlobStore {
  readonly #entries: Buffer[] = []
  readonly #starts: number[] = []
  #first = 0
  readonly #blobs = new Map<string, Buffer>()
  #closed = false
  #appending = false

  get size(): number {
    return this.#entries.length
  }

  async append({ start, entries, blobs }: Batch): Promise<void> {
    this.#check()
    if (this.#appending) throw new TypeError('an append is in flight')
    if (entries.length === 0) throw new TypeError('a batch without entries')
    if (start !== this.size) throw new TypeError(`a batch that starts at ${start}, not at ${this.size}`)
    this.#appending = true
    // A turn of the loop, as with a disk, so that nothing comes to rely on an append that is instant.
    await new Promise(resolve => setImmediate(resolve))
    this.#appending = false
    this.#starts.push(start)
    for (const entry of entries) this.#entries.push(Buffer.from(entry))
    for (const blob of blobs) this.#blobs.set(blob.hash, Buffer.from(blob.bytes))
  }

  get first(): number {
    return this.#first
  }

  prunableTo(below: number): number {
    return this.#starts.findLast(each => each <= below) ?? this.#first
  }

  async prune(below: number): Promise<void> {
    this.#check()
    if (below <= this.#first) return
    if (!this.#starts.includes(below)) throw new TypeError('no file of the log begins there')
    // Their places stay, so that an index still counts from the first entry there ever was.
    this.#entries.fill(Buffer.alloc(0), this.#first, below)
    this.#first = below
  }

  async read(start: number, limit: number): Promise<Buffer[]> {
    this.#check()
    if (start < this.#first) throw new EntriesPrunedError(this.#first)
    const found: Buffer[] = []
    let bytes = 0
    for (let at = Math.max(0, start); at < this.size && found.length < limit; at++) {
      const entry = this.#entries[at]!
      bytes += entry.length
      if (found.length > 0 && bytes > readBytes) break
      found.push(Buffer.from(entry))
    }
    return found
  }

  async readBlob(hash: string): Promise<Buffer | undefined> {
    this.#check()
    const found = this.#blobs.get(hash)
    return found === undefined ? undefined : Buffer.from(found)
  }

  async writeBlob({ hash, bytes }: Blob): Promise<void> {
    this.#check()
    this.#blobs.set(hash, Buffer.from(bytes))
  }

  async openBlob(): Promise<BlobWriter> {
    this.#check()
    const pieces: Buffer[] = []
    return {
      write: async bytes => void pieces.push(Buffer.from(bytes)),
      finish: async () => {
        const bytes = Buffer.concat(pieces)
        const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
        await this.writeBlob({ hash, bytes })
        return { hash, length: bytes.length }
      },
      abort: async () => void (pieces.length = 0),
    }
  }

  async streamBlob(hash: string): Promise<AsyncIterable<Buffer> | undefined> {
    const bytes = await this.readBlob(hash)
    if (bytes === undefined) return undefined
    return (async function* () {
      yield bytes
    })()
  }

  async removeBlob(hash: string): Promise<boolean> {
    this.#check()
    return this.#blobs.delete(hash)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #check(): void {
    if (this.#closed) throw new StorageFaultError('the log store is closed')
  }
}
