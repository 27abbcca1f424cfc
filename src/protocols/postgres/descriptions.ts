/**
 * Row descriptions that came before: the same statement is described with the same bytes each time. What was made of
 * them is kept by the bytes alone, and holds nothing but what they say.
 */
import { type Column, readRowDescription } from './messages.ts'
import { Recent } from './recent.ts'

const kept = new Recent<readonly Column[]>(2048)
/** Longer ones are read each time. */
const longestKept = 4096

/** The columns of a RowDescription; the same list for the same bytes, mostly. Throws FrameError. */
export function columnsIn(bytes: Buffer): readonly Column[] {
  if (bytes.length > longestKept) return readRowDescription(bytes)
  const key = bytes.toString('latin1')
  const before = kept.get(key)
  if (before !== undefined) return before
  const columns = readRowDescription(bytes)
  kept.set(key, columns)
  return columns
}

const heads = new WeakMap<readonly Column[], Buffer>()

/** How a recording names these columns. Not to be changed. */
export function headOf(columns: readonly Column[]): Buffer {
  let head = heads.get(columns)
  if (head === undefined) {
    const headers = columns.flatMap(({ name, type }) => [name, `type ${type}`])
    head = Buffer.from(JSON.stringify({ status: 'columns', headers }))
    heads.set(columns, head)
  }
  return head
}
