/**
 * One batch as it lies in a segment, little-endian, padded with zeros to 8 bytes:
 *
 *     0  magic "SJF1"        4  CRC-32 of bytes 8..40, seeded with the journal's id
 *     8  index of the first entry (64 bits)
 *    16  number of entries  20  number of blobs
 *    24  length of the body 28  length of the blobs
 *    32  CRC-32 of the body 36  CRC-32 of the blobs
 *    40  body: entry lengths (32 bits each), then per blob its SHA-256 and length (36 bytes), then the entries
 *        blobs: their bytes
 *
 * The id in the seed keeps bytes of another journal, or a frame inside a blob, from passing for a frame of this one.
 * Body and blobs are summed apart so that entries can be read without the blobs between them.
 */
import { crc32 } from 'node:zlib'
import type { Batch } from '../storage.ts'

export const headerBytes = 40
const magic = 0x31464a53
const blobRow = 36

/** The largest frame, so that a damaged length can't ask for all memory. */
export const maxFrameBytes = 256 * 1024 * 1024

export interface FrameHeader {
  readonly start: number
  readonly count: number
  readonly blobCount: number
  readonly bodyBytes: number
  readonly blobBytes: number
  readonly bodyCrc: number
  readonly blobCrc: number
  /** All of the frame with header and padding. */
  readonly length: number
}

/** A blob of a batch: where its bytes are. */
export interface BlobPlace {
  /** 64 hex digits. */
  readonly digest: string
  readonly segment: number
  readonly offset: number
  readonly length: number
}

/** Bytes that the batch needs as a frame. */
export function frameLength({ entries, blobs }: Batch): number {
  let bytes = headerBytes + entries.length * 4 + blobs.length * blobRow
  for (const entry of entries) bytes += entry.length
  for (const blob of blobs) bytes += blob.bytes.length
  return padded(bytes)
}

/** Lays the batch out at the start of `target`, all but the sums. Blob names have been checked. */
export function layOutFrame({ start, entries, blobs }: Batch, target: Buffer): void {
  let at = headerBytes
  for (const entry of entries) at = target.writeUInt32LE(entry.length, at)
  for (const { hash, bytes } of blobs) {
    at += target.write(hash.slice('sha256:'.length), at, 'hex')
    at = target.writeUInt32LE(bytes.length, at)
  }
  for (const entry of entries) {
    target.set(entry, at)
    at += entry.length
  }
  const bodyBytes = at - headerBytes
  for (const { bytes } of blobs) {
    target.set(bytes, at)
    at += bytes.length
  }
  target.fill(0, at, padded(at))
  target.writeUInt32LE(magic, 0)
  target.writeBigUInt64LE(BigInt(start), 8)
  target.writeUInt32LE(entries.length, 16)
  target.writeUInt32LE(blobs.length, 20)
  target.writeUInt32LE(bodyBytes, 24)
  target.writeUInt32LE(at - headerBytes - bodyBytes, 28)
}

/** Which entries a frame holds that was laid out. */
export function frameEntries(frame: Buffer): { readonly start: number; readonly count: number } {
  return { start: Number(frame.readBigUInt64LE(8)), count: frame.readUInt32LE(16) }
}

/** Writes the sums into a frame that was laid out. */
export function sealFrame(frame: Buffer, seed: number): void {
  const bodyBytes = frame.readUInt32LE(24)
  const blobBytes = frame.readUInt32LE(28)
  const blobsAt = headerBytes + bodyBytes
  frame.writeUInt32LE(crc32(frame.subarray(headerBytes, blobsAt)), 32)
  frame.writeUInt32LE(crc32(frame.subarray(blobsAt, blobsAt + blobBytes)), 36)
  frame.writeUInt32LE(crc32(frame.subarray(8, headerBytes), seed), 4)
}

/** The header at the start of `bytes`; undefined where there is none that holds. */
export function readHeader(bytes: Buffer, seed: number): FrameHeader | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32LE(0) !== magic) return undefined
  if (bytes.readUInt32LE(4) !== crc32(bytes.subarray(8, headerBytes), seed)) return undefined
  const start = Number(bytes.readBigUInt64LE(8))
  const count = bytes.readUInt32LE(16)
  const blobCount = bytes.readUInt32LE(20)
  const bodyBytes = bytes.readUInt32LE(24)
  const blobBytes = bytes.readUInt32LE(28)
  const length = padded(headerBytes + bodyBytes + blobBytes)
  if (count === 0 || length > maxFrameBytes || bodyBytes < count * 4 + blobCount * blobRow) return undefined
  const bodyCrc = bytes.readUInt32LE(32)
  const blobCrc = bytes.readUInt32LE(36)
  return { start, count, blobCount, bodyBytes, blobBytes, bodyCrc, blobCrc, length }
}

/** Whether body and blobs of a whole frame are as they were written. */
export function isWhole(header: FrameHeader, frame: Buffer): boolean {
  if (frame.length < header.length) return false
  const blobsAt = headerBytes + header.bodyBytes
  const blobs = frame.subarray(blobsAt, blobsAt + header.blobBytes)
  return isBodyWhole(header, frame) && crc32(blobs) === header.blobCrc
}

/** Whether the body is as it was written; `frame` may end after it. */
export function isBodyWhole(header: FrameHeader, frame: Buffer): boolean {
  const end = headerBytes + header.bodyBytes
  return frame.length >= end && crc32(frame.subarray(headerBytes, end)) === header.bodyCrc
}

/** The entries of a checked body, as views. */
export function entriesOf(header: FrameHeader, frame: Buffer): Buffer[] {
  let at = headerBytes + header.count * 4 + header.blobCount * blobRow
  return Array.from({ length: header.count }, (_, i) => {
    const length = frame.readUInt32LE(headerBytes + i * 4)
    at += length
    return frame.subarray(at - length, at)
  })
}

/** Where the blobs of a checked body are. */
export function blobsOf(
  header: FrameHeader,
  frame: Buffer,
  of: { readonly segment: number; readonly offset: number },
): BlobPlace[] {
  const table = headerBytes + header.count * 4
  let offset = of.offset + headerBytes + header.bodyBytes
  return Array.from({ length: header.blobCount }, (_, i) => {
    const row = table + i * blobRow
    const length = frame.readUInt32LE(row + 32)
    offset += length
    const digest = frame.toString('hex', row, row + 32)
    return { digest, segment: of.segment, offset: offset - length, length }
  })
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

/** Where the blobs of a batch come to lie in a frame at `of`. */
export function blobsIn(
  { entries, blobs }: Batch,
  of: { readonly segment: number; readonly offset: number },
): BlobPlace[] {
  let offset = of.offset + headerBytes + entries.length * 4 + blobs.length * blobRow
  for (const entry of entries) offset += entry.length
  return blobs.map(({ hash, bytes }) => {
    offset += bytes.length
    const digest = hash.slice('sha256:'.length)
    return { digest, segment: of.segment, offset: offset - bytes.length, length: bytes.length }
  })
}
