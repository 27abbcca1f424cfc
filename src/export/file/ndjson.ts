import type { LogRecord } from '../record.ts'

/** The entry's exact bytes; canonical JSON has no line feed in it. Bytes that are none of ours become a stub. */
export function lineOf(record: LogRecord): Buffer {
  if (record.bytes.includes(0x0a)) throw new TypeError('an entry with a line feed')
  return record.bytes
}

export function stubLine(record: LogRecord, reason: string): Buffer {
  const { origin, index, id, leafHash } = record
  return Buffer.from(
    JSON.stringify({ stub: true, log: origin, seq: String(index), id, leaf_hash: leafHash, reason }),
  )
}
