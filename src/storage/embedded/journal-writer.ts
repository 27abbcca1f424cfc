/**
 * The one writer of the journal, blocking: it runs in a thread of its own. One write and one fdatasync per batch, into
 * space that was filled with zeros before, so that neither touches the file's size or its blocks.
 *
 * Space is taken ahead in slices between batches. Of what is ahead, the last `reserveBytes` are for urgent batches, so
 * a disk that other files have filled still takes the ends of what was begun.
 */
import { randomBytes } from 'node:crypto'
import { StorageFaultError, StorageFullError } from '../storage.ts'
import { datasync, type Files, isNoRoom, systemFiles, writeAll } from './files.ts'
import { frameEntries, maxFrameBytes, sealFrame } from './frame.ts'
import { type Recovered, recoverJournal } from './recover-journal.ts'
import { seedOf, segmentHeaderBytes, segmentPath, writeSegmentHeader } from './segment.ts'

export interface JournalOptions {
  /** The journal's own directory; made when absent. */
  readonly directory: string
  readonly segmentBytes: number
  readonly reserveBytes: number
  /** How many of the newest segments are read whole on opening. */
  readonly checkSegments: number
  readonly files?: Files
}

export interface Place {
  readonly segment: number
  readonly offset: number
}

interface Segment {
  readonly number: number
  readonly fd: number
  /** Bytes that hold zeros or frames, and are on the disk. */
  prepared: number
}

const sliceBytes = 1024 * 1024
const slice = Buffer.alloc(sliceBytes)

export class JournalWriter {
  readonly recovered: Recovered
  readonly id: Buffer
  readonly #files: Files
  readonly #directory: string
  readonly #seed: number
  readonly #capacity: number
  readonly #reserve: number
  #current: Segment
  /** The segment after the current one, prepared ahead. */
  #next: Segment | undefined
  #at: number
  /** Index of the entry that comes next. */
  #entry: number
  /** A failed batch left bytes here, to be overwritten before anything else is written. */
  #dirty: { readonly segment: Segment; readonly offset: number; readonly length: number } | undefined
  #fault: StorageFaultError | undefined

  /** Opens or makes the journal. Throws StorageFaultError for damage, StorageFullError when it can't be made. */
  constructor(options: JournalOptions) {
    const { directory, files = systemFiles } = options
    this.#files = files
    this.#directory = directory
    files.makeDirectory(directory)
    const { totalBytes } = files.space(directory)
    // On a small disk neither may take what the rest of the store needs.
    this.#capacity = Math.min(options.segmentBytes, Math.max(sliceBytes, Math.floor(totalBytes / 8)))
    this.#reserve = Math.min(options.reserveBytes, Math.floor(totalBytes / 16), this.#capacity)
    this.recovered = recoverJournal({ files, directory, checkSegments: options.checkSegments })
    this.id = this.recovered.id ?? randomBytes(8)
    this.#seed = seedOf(this.id)
    const { tail, lastSegment, size } = this.recovered
    this.#entry = size
    try {
      this.#current = tail.segment === 0 ? this.#create(1) : this.#open(tail.segment)
      this.#at = Math.max(tail.offset, segmentHeaderBytes)
      if (lastSegment > tail.segment) this.#next = this.#open(tail.segment + 1)
    } catch (error) {
      throw isNoRoom(error) ? new StorageFullError('no room for the journal', { cause: error }) : error
    }
    this.#takeReserve()
  }

  /**
   * Makes a frame durable that `layOutFrame` laid out. Throws StorageFullError, after which the journal is as before,
   * or StorageFaultError, after which it takes nothing more: also for a frame that does not begin with the next entry,
   * which would make the journal one that can't be opened.
   */
  append(frame: Buffer, urgent: boolean): Place {
    if (this.#fault !== undefined) throw this.#fault
    if (frame.length > maxFrameBytes) throw new TypeError('the batch is too large')
    const { start, count } = frameEntries(frame)
    if (start !== this.#entry) {
      throw this.#fail(new StorageFaultError(`a batch of entry ${start}, where ${this.#entry} is next`))
    }
    sealFrame(frame, this.#seed)
    try {
      this.#clean()
      this.#makeRoom(frame.length, urgent)
      this.#write(frame)
    } catch (error) {
      if (error instanceof StorageFullError) throw error
      if (isNoRoom(error)) throw new StorageFullError('no room for the batch', { cause: error })
      throw this.#fail(error)
    }
    const place = { segment: this.#current.number, offset: this.#at }
    this.#at += frame.length
    this.#entry += count
    return place
  }

  /** Whether less is ready than should be; `prepare` then does a part of the work. */
  get wantsPreparation(): boolean {
    const ahead = this.#next?.prepared ?? 0
    return this.#fault === undefined && ahead < this.#capacity && this.#spare < this.#reserve + this.#capacity
  }

  /** Little enough is ready that the next batches may have to wait. */
  get runsShort(): boolean {
    return this.wantsPreparation && this.#spare < this.#reserve + 4 * sliceBytes
  }

  /** Takes one more slice of space. Returns false when there is no room, or no more should be taken. */
  prepare(): boolean {
    if (!this.wantsPreparation) return false
    try {
      // Ahead of need no more than an eighth of what is left, so as not to be what fills the disk.
      if (this.#spare > this.#reserve + this.#files.space(this.#directory).freeBytes / 8) return false
      this.#extend()
      return true
    } catch (error) {
      if (!isNoRoom(error)) this.#fail(error)
      return false
    }
  }

  close(): void {
    this.#files.close(this.#current.fd)
    if (this.#next !== undefined) this.#files.close(this.#next.fd)
  }

  get #spare(): number {
    return this.#current.prepared - this.#at + (this.#next?.prepared ?? 0)
  }

  #takeReserve(): void {
    try {
      while (this.#spare < this.#reserve) this.#extend()
    } catch (error) {
      if (!isNoRoom(error)) throw error
      // A full disk at start: what is there of the reserve has to do, and new work is refused.
    }
  }

  #makeRoom(length: number, urgent: boolean): void {
    const needed = urgent ? 0 : this.#reserve
    while (!this.#fits(length) || this.#spare - length < needed) this.#extend(length)
    if (this.#at + length <= this.#current.prepared) return
    this.#files.close(this.#current.fd)
    this.#current = this.#next!
    this.#next = undefined
    this.#at = segmentHeaderBytes
  }

  #fits(length: number): boolean {
    if (this.#at + length <= this.#current.prepared) return true
    const { prepared = 0 } = this.#next ?? {}
    return segmentHeaderBytes + length <= prepared
  }

  /** Takes one more slice: in the current segment up to its size, then in the next. Throws when there is no room. */
  #extend(length = 0): void {
    const capacity = Math.max(this.#capacity, segmentHeaderBytes + length)
    const whole = this.#next !== undefined || this.#current.prepared >= this.#capacity
    if (!whole) return this.#grow(this.#current, this.#capacity)
    if (this.#next === undefined) this.#next = this.#create(this.#current.number + 1)
    const { prepared } = this.#next
    // A batch and the reserve together may need more than a segment: then the next one is longer.
    this.#grow(this.#next, prepared < capacity ? capacity : prepared + sliceBytes)
  }

  #grow(segment: Segment, capacity: number): void {
    const wanted = Math.min(sliceBytes, capacity - segment.prepared)
    const from = segment.prepared
    let grown = 0
    try {
      const to = { fd: segment.fd, position: from, done: (written: number) => void (grown = written) }
      writeAll(this.#files, to, slice.subarray(0, wanted))
    } catch (error) {
      if (!isNoRoom(error) || grown === 0) throw error
    }
    datasync(this.#files, segment.fd)
    segment.prepared = from + grown
  }

  #write(frame: Buffer): void {
    const { fd } = this.#current
    try {
      writeAll(this.#files, { fd, position: this.#at }, frame)
      datasync(this.#files, fd)
    } catch (error) {
      if (isNoRoom(error)) {
        this.#dirty = { segment: this.#current, offset: this.#at, length: frame.length }
        this.#tryClean()
      }
      throw error
    }
  }

  /** Puts zeros where a batch failed: a later, shorter one must not be followed by its remains. */
  #clean(): void {
    if (this.#dirty === undefined) return
    const { segment, offset, length } = this.#dirty
    writeAll(this.#files, { fd: segment.fd, position: offset }, Buffer.alloc(length))
    datasync(this.#files, segment.fd)
    this.#dirty = undefined
  }

  #tryClean(): void {
    try {
      this.#clean()
    } catch (error) {
      // On a disk that copies on write even zeros need room: the next append tries again before it writes.
      if (!isNoRoom(error)) throw this.#fail(error)
    }
  }

  #create(number: number): Segment {
    const path = segmentPath(this.#directory, number)
    const fd = this.#files.open(path, 'wx+')
    try {
      writeAll(this.#files, { fd, position: 0 }, writeSegmentHeader(number, this.id))
      datasync(this.#files, fd)
      this.#files.syncDirectory(this.#directory)
    } catch (error) {
      this.#files.close(fd)
      if (isNoRoom(error)) this.#files.remove(path)
      throw error
    }
    return { number, fd, prepared: segmentHeaderBytes }
  }

  #open(number: number): Segment {
    const fd = this.#files.open(segmentPath(this.#directory, number), 'r+')
    return { number, fd, prepared: this.#files.size(fd) }
  }

  #fail(error: unknown): StorageFaultError {
    return (this.#fault ??=
      error instanceof StorageFaultError
        ? error
        : new StorageFaultError('the journal could not be written', { cause: error }))
  }
}
