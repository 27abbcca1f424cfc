import { subtle } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type AppendOptions,
  type Batch,
  type Blob,
  type BlobStore,
  type BlobWriter,
  EntriesPrunedError,
  type PrunableLog,
  StorageFaultError,
} from '../storage.ts'
import { BlobFiles, syncDirectory } from './blob-files.ts'
import { codeOf } from './files.ts'
import { type BlobPlace, blobsIn } from './frame.ts'
import { JournalReader } from './journal-reader.ts'
import type { JournalThread } from './journal-thread.ts'
import { floorName, segmentPath } from './segment.ts'

const readBytes = 4 * 1024 * 1024
const blobName = /^sha256:[0-9a-f]{64}$/

/** Finds blobs of batches by what the index knows. */
export interface BlobFinder {
  readonly indexed: number
  /** Where a blob's bytes are; undefined when no entry below `indexed` came with it. */
  findBlob(digest: string): Promise<BlobPlace | undefined>
  whenIndexed(size: number): Promise<void>
}

/** The log of one directory: the journal's thread writes, this side reads. */
export class EmbeddedLog implements PrunableLog, BlobStore {
  readonly #thread: JournalThread
  readonly #reader: JournalReader
  readonly #files: BlobFiles
  readonly #journal: string
  /** Blobs that came after what the index has taken in, in log order. */
  readonly #recent = new Map<string, { readonly entry: number; readonly place: BlobPlace }>()
  #finder: BlobFinder | undefined
  #size: number
  #appending = false
  #fault: StorageFaultError | undefined
  onGrowth: (size: number) => void = () => undefined

  constructor(thread: JournalThread, directory: string) {
    this.#thread = thread
    this.#size = thread.recovered.size
    this.#files = new BlobFiles(join(directory, 'blobs'))
    const { id, recovered } = thread
    this.#journal = join(directory, 'journal')
    this.#reader = new JournalReader({ directory: this.#journal, id, marks: recovered.marks })
  }

  set finder(finder: BlobFinder) {
    this.#finder = finder
  }

  get size(): number {
    return this.#size
  }

  async append(batch: Batch, options?: AppendOptions): Promise<void> {
    const { start, entries, blobs } = batch
    this.#check()
    if (this.#appending) throw new TypeError('an append is in flight')
    if (entries.length === 0) throw new TypeError('a batch without entries')
    if (start !== this.#size) throw new TypeError(`a batch that starts at ${start}, not at ${this.#size}`)
    for (const { hash } of blobs) digestOf(hash)
    this.#appending = true
    try {
      const place = await this.#thread.append(batch, options)
      this.#reader.mark({ start, ...place })
      if (blobs.length > 0) this.#remember(batch, place)
      this.#size = start + entries.length
    } finally {
      this.#appending = false
    }
    this.onGrowth(this.#size)
  }

  async read(start: number, limit: number): Promise<Buffer[]> {
    this.#check()
    const found: Buffer[] = []
    const end = Math.min(this.#size, start + limit)
    if (start < 0 || start >= end) return found
    if (start < this.first) throw new EntriesPrunedError(this.first)
    let bytes = 0
    for await (const frame of this.#reader.frames(start, end)) {
      const first = Math.max(0, start - frame.start)
      for (const entry of frame.entries.slice(first, end - frame.start)) {
        bytes += entry.length
        if (found.length > 0 && bytes > readBytes) return found
        found.push(Buffer.from(entry))
      }
    }
    return found
  }

  async readBlob(hash: string): Promise<Buffer | undefined> {
    this.#check()
    const digest = digestOf(hash)
    const place = this.#recent.get(digest)?.place
    const bytes = place ? await this.#reader.blob(place) : await this.#readKept(digest)
    if (bytes === undefined) return undefined
    const found = Buffer.from(await subtle.digest('SHA-256', new Uint8Array(bytes)))
    if (found.toString('hex') !== digest) throw new StorageFaultError(`blob ${hash} is damaged`)
    return bytes
  }

  async writeBlob(blob: Blob): Promise<void> {
    this.#check()
    try {
      await this.#files.write(digestOf(blob.hash), blob)
    } catch (error) {
      if (error instanceof StorageFaultError) this.#fault ??= error
      throw error
    }
  }

  get first(): number {
    return this.#reader.first
  }

  prunableTo(below: number): number {
    return Math.max(this.first, this.#reader.segmentAt(below)?.start ?? 0)
  }

  async prune(below: number): Promise<void> {
    this.#check()
    if (below <= this.first) return
    const at = this.#reader.segmentAt(below)
    if (at?.start !== below) throw new TypeError('no file of the log begins there')
    const before = this.#reader.segmentAt(this.first)!.segment
    try {
      // Durable first: a start that finds files before this one removes them, rather than miss the others.
      const floor = await open(join(this.#journal, floorName(at.segment)), 'a', 0o600)
      await floor.close()
      await syncDirectory(this.#journal)
      await this.#reader.forgetBefore(at.segment)
      for (let each = before; each < at.segment; each++) {
        await removeFile(segmentPath(this.#journal, each))
        await removeFile(join(this.#journal, floorName(each)))
      }
      await syncDirectory(this.#journal)
    } catch (error) {
      throw new StorageFaultError('old files of the log could not be removed', { cause: error })
    }
    for (const [digest, { entry }] of this.#recent) if (entry < below) this.#recent.delete(digest)
  }

  async openBlob(): Promise<BlobWriter> {
    this.#check()
    return await this.#files.begin(error => void (this.#fault ??= error))
  }

  async streamBlob(hash: string): Promise<AsyncIterable<Buffer> | undefined> {
    this.#check()
    const large = await this.#files.stream(digestOf(hash))
    if (large !== undefined) return large
    // What came with a batch is small.
    const small = await this.readBlob(hash)
    return small && onePiece(small)
  }

  async removeBlob(hash: string): Promise<boolean> {
    this.#check()
    return await this.#files.remove(digestOf(hash))
  }

  /** Removes what an earlier run left of blobs that it did not finish. */
  async sweep(): Promise<void> {
    await this.#files.sweep()
  }

  async close(): Promise<void> {
    if (this.#fault?.message === closed) return
    this.#fault = new StorageFaultError(closed)
    await this.#thread.close()
    await this.#reader.close()
  }

  /** Forgets the places that the index knows by now. */
  forgetIndexed(indexed: number): void {
    for (const [digest, { entry }] of this.#recent) {
      if (entry >= indexed) return
      this.#recent.delete(digest)
    }
  }

  async #readKept(digest: string): Promise<Buffer | undefined> {
    const large = await this.#files.read(digest)
    if (large !== undefined) return large
    const size = this.#size
    let place = await this.#finder?.findBlob(digest)
    if (place === undefined && this.#finder !== undefined && this.#finder.indexed < size) {
      // After a start the index may lag behind what the last run wrote.
      await this.#finder.whenIndexed(size)
      place = await this.#finder.findBlob(digest)
    }
    return place && this.#reader.blob(place)
  }

  #remember(batch: Batch, place: { readonly segment: number; readonly offset: number }): void {
    for (const each of blobsIn(batch, place)) {
      this.#recent.delete(each.digest)
      this.#recent.set(each.digest, { entry: batch.start, place: each })
    }
  }

  #check(): void {
    if (this.#fault !== undefined) throw this.#fault
  }
}

async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}

const closed = 'the log store is closed'

function digestOf(hash: string): string {
  if (!blobName.test(hash)) throw new TypeError('a blob is named by sha256: and 64 hex digits')
  return hash.slice('sha256:'.length)
}
