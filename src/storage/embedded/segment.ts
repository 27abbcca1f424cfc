/**
 * A segment file: `journal/00000001.seg`, counted from 1. Its first 64 bytes are "SALLYJ1\n", the journal's random id
 * (8 bytes), the segment's number (32 bits) and a CRC-32 of these; frames follow; the rest is zeros.
 */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

export const segmentHeaderBytes = 64
const magic = Buffer.from('SALLYJ1\n')

export function segmentName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.seg`
}

export function segmentPath(directory: string, segment: number): string {
  return join(directory, segmentName(segment))
}

/**
 * An empty file that says in its name which segment is the first one that is kept: those before it were removed on
 * purpose, or are about to be.
 */
export function floorName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.first`
}

/** The number in the name of such a file; undefined for other files. */
export function floorNumber(name: string): number | undefined {
  return /^\d{8}\.first$/.test(name) ? Number(name.slice(0, 8)) : undefined
}

/** The number in the name of a segment file; undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{8}\.seg$/.test(name) ? Number(name.slice(0, 8)) : undefined
}

export function writeSegmentHeader(segment: number, id: Buffer): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes)
  magic.copy(header)
  id.copy(header, 8)
  header.writeUInt32LE(segment, 16)
  header.writeUInt32LE(crc32(header.subarray(0, 20)), 20)
  return header
}

/** The journal's id; undefined where the header is not that of this segment. */
export function readSegmentHeader(bytes: Buffer, segment: number): Buffer | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(magic)) return undefined
  if (bytes.readUInt32LE(20) !== crc32(bytes.subarray(0, 20))) return undefined
  return bytes.readUInt32LE(16) === segment ? Buffer.from(bytes.subarray(8, 16)) : undefined
}

/** What frame sums start from. */
export function seedOf(id: Buffer): number {
  return crc32(id)
}

const zeros = Buffer.alloc(1024 * 1024)

/** Whether every byte is 0. */
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length)
    if (part.compare(zeros, 0, part.length) !== 0) return false
  }
  return true
}
