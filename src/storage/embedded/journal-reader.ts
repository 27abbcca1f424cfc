import { type FileHandle, open } from 'node:fs/promises'
import { EntriesPrunedError, StorageFaultError } from '../storage.ts'
import { codeOf } from './files.ts'
import {
  type BlobPlace,
  blobsOf,
  entriesOf,
  type FrameHeader,
  headerBytes,
  isBodyWhole,
  readHeader,
} from './frame.ts'
import type { Mark } from './recover-journal.ts'
import { seedOf, segmentHeaderBytes, segmentName, segmentPath } from './segment.ts'

export interface ReadFrame {
  readonly start: number
  /** Views into a shared chunk: copy what is kept. */
  readonly entries: readonly Buffer[]
  readonly blobs: readonly BlobPlace[]
}

const chunkBytes = 128 * 1024
const markEvery = 64 * 1024
const mostOpen = 8

interface Place {
  readonly segment: number
  readonly offset: number
}

/**
 * Reads a journal while it is written, up to a size that is known to be durable. Every body is checked against its sum;
 * damage is a StorageFaultError with file and offset. Keeps the place of about one frame per 64 KiB that it has seen.
 */
export class JournalReader {
  readonly #directory: string
  readonly #seed: number
  readonly #marks: Mark[]
  readonly #open = new Map<number, Promise<FileHandle>>()

  constructor(options: {
    readonly directory: string
    readonly id: Buffer
    readonly marks?: readonly Mark[]
  }) {
    this.#directory = options.directory
    this.#seed = seedOf(options.id)
    this.#marks = [...(options.marks ?? [])]
  }

  /** Takes note of a frame's place. Those after the last mark alone are of use, and only if far enough from it. */
  mark(mark: Mark): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && last.start >= mark.start) return
    if (last?.segment === mark.segment && mark.offset - last.offset < markEvery) return
    this.#marks.push(mark)
  }

  /** The first entry that is still there. */
  get first(): number {
    const mark = this.#marks[0]
    return mark === undefined || mark.segment === 1 ? 0 : mark.start
  }

  /** The last segment that begins at `below` or before, and with which entry; undefined where there is none. */
  segmentAt(below: number): { readonly segment: number; readonly start: number } | undefined {
    let found: Mark | undefined
    for (const mark of this.#marks) {
      if (mark.start > below) break
      if (mark.segment !== found?.segment) found = mark
    }
    return found && { segment: found.segment, start: found.start }
  }

  /** Forgets the segments before this one, which are about to be removed. */
  async forgetBefore(segment: number): Promise<void> {
    const kept = this.#marks.findIndex(mark => mark.segment >= segment)
    this.#marks.splice(0, Math.max(0, kept))
    const past = [...this.#open].filter(([number]) => number < segment)
    for (const [number] of past) this.#open.delete(number)
    await Promise.allSettled(past.map(async ([, file]) => (await file).close()))
  }

  /**
   * Frames, whole, from the one that holds entry `from` to the one that holds the entry before `end`, all of which must
   * be durable.
   */
  async *frames(from: number, end: number): AsyncGenerator<ReadFrame> {
    if (from >= end) return
    if (from < this.first) throw new EntriesPrunedError(this.first)
    let place: Place = this.#nearest(from)
    let next = -1
    let chunk: { readonly bytes: Buffer; readonly at: Place } | undefined
    while (next < end) {
      const within = chunk?.at.segment === place.segment ? place.offset - chunk.at.offset : -1
      let bytes = within >= 0 && within < chunk!.bytes.length ? chunk!.bytes.subarray(within) : undefined
      if (bytes === undefined || bytes.length < headerBytes) {
        bytes = await this.#read(place, chunkBytes)
        chunk = { bytes, at: place }
      }
      const header = readHeader(bytes, this.#seed)
      if (header === undefined) {
        place = this.#following(place, bytes)
        chunk = undefined
        continue
      }
      if (next >= 0 && header.start !== next) throw damage(place, `entry ${header.start} is not ${next}`)
      next = header.start + header.count
      if (next > from) {
        this.mark({ start: header.start, ...place })
        if (bytes.length < headerBytes + header.bodyBytes) {
          bytes = await this.#read(place, Math.max(chunkBytes, headerBytes + header.bodyBytes))
          chunk = { bytes, at: place }
        }
        yield frameOf(header, bytes, place)
      }
      place = { segment: place.segment, offset: place.offset + header.length }
    }
  }

  /** The bytes at a place that a frame named. */
  async blob(place: BlobPlace): Promise<Buffer> {
    const bytes = await this.#read(place, place.length)
    if (bytes.length < place.length) throw damage(place, 'the file ends')
    return bytes
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.allSettled(open.map(async each => (await each).close()))
  }

  /** The last mark at or before an entry. */
  #nearest(entry: number): Place {
    let low = 0
    let high = this.#marks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#marks[middle]!.start <= entry) low = middle + 1
      else high = middle
    }
    const { segment, offset } = this.#marks[low - 1] ?? { segment: 1, offset: segmentHeaderBytes }
    return { segment, offset }
  }

  /** No frame here, though there are entries to come: they are in the next segment, or it is damage. */
  #following(place: Place, bytes: Buffer): Place {
    if (bytes.subarray(0, headerBytes).some(byte => byte !== 0)) throw damage(place, 'no whole frame')
    return { segment: place.segment + 1, offset: segmentHeaderBytes }
  }

  async #read(place: Place, length: number): Promise<Buffer> {
    try {
      return await this.#readFile(place, length)
    } catch (error) {
      // Removed while it was read: that is no damage.
      if (place.segment < (this.#marks[0]?.segment ?? 0)) throw new EntriesPrunedError(this.first)
      throw error
    }
  }

  async #readFile({ segment, offset }: Place, length: number): Promise<Buffer> {
    const file = await this.#file(segment)
    const target = Buffer.allocUnsafeSlow(length)
    let at = 0
    while (at < length) {
      const { bytesRead } = await file.read(target, at, length - at, offset + at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return target.subarray(0, at)
  }

  #file(segment: number): Promise<FileHandle> {
    const known = this.#open.get(segment)
    if (known !== undefined) return known
    const opened = open(segmentPath(this.#directory, segment), 'r').catch((error: unknown) => {
      this.#open.delete(segment)
      if (codeOf(error) !== 'ENOENT') throw error
      throw new StorageFaultError(`journal: ${segmentName(segment)} is missing`, { cause: error })
    })
    this.#open.set(segment, opened)
    if (this.#open.size > mostOpen) this.#drop()
    return opened
  }

  /** Forgets the file that was opened first. It is closed when its last read is done and it is collected. */
  #drop(): void {
    const [segment, file] = this.#open.entries().next().value!
    this.#open.delete(segment)
    // Reads that are under way hold the file; a second is longer than any of them waits to begin.
    setTimeout(() => void file.then(each => each.close()).catch(() => undefined), 1000).unref()
  }
}

function frameOf(header: FrameHeader, bytes: Buffer, place: Place): ReadFrame {
  if (!isBodyWhole(header, bytes)) throw damage(place, 'the sum of the entries does not hold')
  return { start: header.start, entries: entriesOf(header, bytes), blobs: blobsOf(header, bytes, place) }
}

function damage({ segment, offset }: Place, what: string): StorageFaultError {
  return new StorageFaultError(`journal/${segmentName(segment)}: damaged at offset ${offset}: ${what}`)
}
