import { type Batch, type Blob, type LogStore, StorageFaultError } from '../storage.ts'

const readBytes = 4 * 1024 * 1024

/** The log in memory: the contract of LogStore but for durability. */
export class MemoryLog implements LogStore {
  readonly #entries: Buffer[] = []
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
    for (const entry of entries) this.#entries.push(Buffer.from(entry))
    for (const blob of blobs) this.#blobs.set(blob.hash, Buffer.from(blob.bytes))
  }

  async read(start: number, limit: number): Promise<Buffer[]> {
    this.#check()
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

  async close(): Promise<void> {
    this.#closed = true
  }

  #check(): void {
    if (this.#closed) throw new StorageFaultError('the log store is closed')
  }
}
