/**
 * Opening a journal. What is kept: a frame that was acknowledged is never dropped, and what is damaged is never passed
 * over. A bad frame is a torn tail, and cut, only where no whole frame follows it anywhere; one append is in flight at
 * a time, so a whole frame after a bad one proves that the bad one had been durable.
 */
import { join } from 'node:path'
import { StorageFaultError } from '../storage.ts'
import { datasync, type Files, readFull, writeAll } from './files.ts'
import { type FrameHeader, headerBytes, isWhole, readHeader } from './frame.ts'
import {
  floorNumber,
  isZero,
  readSegmentHeader,
  seedOf,
  segmentHeaderBytes,
  segmentName,
  segmentNumber,
  segmentPath,
} from './segment.ts'

/** A frame's place; the reader starts from the nearest one. */
export interface Mark {
  readonly start: number
  readonly segment: number
  readonly offset: number
}

export interface Recovered {
  /** Undefined where there is no journal yet. */
  readonly id: Buffer | undefined
  readonly size: number
  /** Where the next frame goes; segment 0 where there is none. */
  readonly tail: { readonly segment: number; readonly offset: number }
  /** The last segment file, prepared ahead where it is not that of the tail. */
  readonly lastSegment: number
  /** Ascending; the first frame of each segment and, in those that were read, one every 64 KiB. */
  readonly marks: Mark[]
  /** Bytes of a batch that was in flight at a crash, and is gone. */
  readonly cutBytes: number
}

export interface RecoverOptions {
  readonly files: Files
  /** The journal's own directory. */
  readonly directory: string
  /** How many of the newest segments are read whole. */
  readonly checkSegments: number
}

const markEvery = 64 * 1024

/** Reads what is there, and cuts a torn tail. Throws StorageFaultError with file and offset for damage. */
export function recoverJournal(options: RecoverOptions): Recovered {
  const { files, directory } = options
  const segments = listSegments(options)
  if (segments.length === 0) {
    return { id: undefined, size: 0, tail: { segment: 0, offset: 0 }, lastSegment: 0, marks: [], cutBytes: 0 }
  }
  const scan = new Scan(options, segments[0]!)
  const first = firstToRead(options, segments, scan)
  for (const segment of segments.slice(first)) scan.segment(segment)
  const { torn } = scan
  if (torn !== undefined) {
    const fd = files.open(segmentPath(directory, torn.segment), 'r+')
    writeAll(files, { fd, position: torn.offset }, Buffer.alloc(torn.length))
    datasync(files, fd)
    files.close(fd)
  }
  return {
    id: scan.id,
    size: scan.expected,
    tail: scan.tail,
    lastSegment: segments.at(-1)!,
    marks: scan.marks,
    cutBytes: torn?.length ?? 0,
  }
}

/** Numbers of the segments, without a gap; what a crash left of one that was being made is removed. */
function listSegments({ files, directory }: RecoverOptions): number[] {
  const names = files.list(directory)
  const found = names.map(segmentNumber)
  const floor = Math.max(1, ...names.map(floorNumber).filter(each => each !== undefined))
  const all = found.filter(each => each !== undefined).sort((a, b) => a - b)
  // What a removal had not come to when it was interrupted.
  const past = all.filter(each => each < floor)
  for (const each of past) files.remove(segmentPath(directory, each))
  if (past.length > 0) files.syncDirectory(directory)
  const segments = all.slice(past.length)
  const last = segments.at(-1)
  if (last !== undefined && isUnborn(files, segmentPath(directory, last))) {
    files.remove(segmentPath(directory, last))
    segments.pop()
  }
  if ((segments[0] ?? floor) !== floor || (segments.length === 0 && floor > 1)) {
    throw new StorageFaultError(`journal: ${segmentName(floor)} is missing`)
  }
  for (let i = 1; i < segments.length; i++) {
    if (segments[i] === segments[i - 1]! + 1) continue
    throw new StorageFaultError(`journal: ${segmentName(segments[i - 1]! + 1)} is missing`)
  }
  return segments
}

function isUnborn(files: Files, path: string): boolean {
  const fd = files.open(path, 'r')
  try {
    const size = files.size(fd)
    const head = readFull(files, { fd, position: 0 }, Buffer.alloc(segmentHeaderBytes))
    if (head.length === segmentHeaderBytes && !isZero(head)) return false
    return isZero(readFull(files, { fd, position: 0 }, Buffer.alloc(size))) || size < segmentHeaderBytes
  } finally {
    files.close(fd)
  }
}

/** Position in `segments` of the first that is read whole; the starts of those before it are taken on the way. */
function firstToRead(options: RecoverOptions, segments: readonly number[], scan: Scan): number {
  const starts = segments.map(segment => scan.firstStart(segment))
  const used = starts.findLastIndex(start => start !== undefined)
  const first = Math.max(0, Math.min(used, segments.length - 1) - options.checkSegments + 1)
  for (let i = 0; i < first; i++) {
    const start = starts[i]
    if (start === undefined || (i > 0 && start <= starts[i - 1]!)) {
      throw new StorageFaultError(
        `journal/${segmentName(segments[i]!)}: damaged at offset ${segmentHeaderBytes}`,
      )
    }
    scan.marks.push({ start, segment: segments[i]!, offset: segmentHeaderBytes })
  }
  // A log whose oldest entries were removed begins where its first file does.
  if (first > 0 || segments[0]! > 1) scan.expected = starts[first] ?? scan.expected
  return first
}

class Scan {
  readonly marks: Mark[] = []
  readonly id: Buffer
  expected = 0
  tail: { segment: number; offset: number }
  torn: { segment: number; offset: number; length: number } | undefined
  readonly #options: RecoverOptions
  readonly #seed: number

  constructor(options: RecoverOptions, first: number) {
    this.#options = options
    const head = this.#read(first, segmentHeaderBytes)
    const id = readSegmentHeader(head, first)
    if (id === undefined) throw this.#damage(first, 0, 'the header does not hold')
    this.id = id
    this.#seed = seedOf(id)
    this.tail = { segment: first, offset: segmentHeaderBytes }
  }

  /** Index of the first entry of a segment; undefined where no frame starts it. */
  firstStart(segment: number): number | undefined {
    const head = this.#read(segment, segmentHeaderBytes + headerBytes)
    this.#checkHead(head, segment)
    return readHeader(head.subarray(segmentHeaderBytes), this.#seed)?.start
  }

  segment(segment: number): void {
    const bytes = this.#read(segment)
    this.#checkHead(bytes, segment)
    let at = segmentHeaderBytes
    let marked = -markEvery
    for (;;) {
      const header = this.#frameAt(bytes, at)
      if (header === undefined) break
      if (header.start !== this.expected) {
        throw this.#damage(segment, at, `entry ${header.start} stands where ${this.expected} belongs`)
      }
      if (this.torn !== undefined) {
        throw this.#damage(
          this.torn.segment,
          this.torn.offset,
          `a whole frame follows in ${segmentName(segment)}`,
        )
      }
      if (at - marked >= markEvery) {
        this.marks.push({ start: header.start, segment, offset: at })
        marked = at
      }
      this.expected += header.count
      at += header.length
      this.tail = { segment, offset: at }
    }
    this.#checkRest(bytes, segment, at)
  }

  /** After the last whole frame there are zeros, or what is left of one append. */
  #checkRest(bytes: Buffer, segment: number, at: number): void {
    const rest = bytes.subarray(at)
    if (isZero(rest)) return
    for (let next = 8; next + headerBytes <= rest.length; next += 8) {
      const found = this.#frameAt(rest, next)
      if (found !== undefined) throw this.#damage(segment, at, `a whole frame follows at offset ${at + next}`)
    }
    if (this.torn !== undefined || segment !== this.tail.segment) {
      // Nothing is ever written after the place where the next frame goes, but for the first of a fresh segment.
      if (this.torn !== undefined || at !== segmentHeaderBytes) throw this.#damage(segment, at, 'stray bytes')
    }
    let length = rest.length
    while (length > 0 && rest[length - 1] === 0) length--
    this.torn = { segment, offset: at, length }
  }

  #frameAt(bytes: Buffer, at: number): FrameHeader | undefined {
    const frame = bytes.subarray(at)
    const header = readHeader(frame, this.#seed)
    return header !== undefined && isWhole(header, frame) ? header : undefined
  }

  #checkHead(bytes: Buffer, segment: number): void {
    const id = readSegmentHeader(bytes, segment)
    if (id === undefined) throw this.#damage(segment, 0, 'the header does not hold')
    if (!id.equals(this.id)) throw this.#damage(segment, 0, 'it belongs to another journal')
  }

  #read(segment: number, length?: number): Buffer {
    const { files, directory } = this.#options
    const fd = files.open(join(directory, segmentName(segment)), 'r')
    try {
      return readFull(files, { fd, position: 0 }, Buffer.allocUnsafe(length ?? files.size(fd)))
    } finally {
      files.close(fd)
    }
  }

  #damage(segment: number, offset: number, what: string): StorageFaultError {
    return new StorageFaultError(`journal/${segmentName(segment)}: damaged at offset ${offset}: ${what}`)
  }
}
