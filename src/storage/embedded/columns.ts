/**
 * The search tables once more, by column: for counting a million entries in some tens of milliseconds. Each whole block
 * of entries has a row with the arrays of its columns; the newest entries, and blocks that were pruned in part, are
 * counted from `entry` itself. A block's row is derived from `entry` and made when the block is full.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { wordFields, type WordField } from './index-schema.ts'

export const blockEntries = 8192

/** The columns of some entries, in log order. All arrays have the same length. */
export interface Columns extends Readonly<Record<WordField, Uint32Array>> {
  readonly time: Float64Array
}

const columnNames = wordFields.join(', ')

export class ColumnBlocks {
  readonly #database: DatabaseSync
  readonly #rows: StatementSync
  readonly #put: StatementSync
  readonly #get: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#rows = database.prepare(
      `SELECT time, ${columnNames} FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq`,
    )
    this.#rows.setReturnArrays(true)
    this.#put = database.prepare('INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?)')
    this.#get = database.prepare('SELECT low, high, entries, body FROM columns WHERE block = ?')
  }

  /** Makes the rows of blocks that became full between the two indexes. Inside the caller's transaction. */
  fill(from: number, next: number): void {
    const first = Math.floor(from / blockEntries)
    for (let block = first; (block + 1) * blockEntries <= next; block++) {
      const { time, ...words } = this.#read(block)
      if (time.length === 0) continue
      const [low, high] = rangeOf(time)
      const arrays = [time, ...wordFields.map(field => words[field])]
      const body = Buffer.concat(arrays.map(each => new Uint8Array(each.buffer)))
      this.#put.run(block, low, high, time.length, body)
    }
  }

  /** Blocks that hold entries below `below`: those that keep some are counted from `entry` from here on. */
  forget(below: number): void {
    this.#database.prepare('DELETE FROM columns WHERE block * ? < ?').run(blockEntries, below)
  }

  /** The columns of all entries that may have a time in `[since, until)`, a block at a time. */
  *between(since: number, until: number, indexed: number): Generator<Columns> {
    const first = this.#database.prepare('SELECT min(seq) AS seq FROM entry').get()?.['seq']
    if (first == null) return
    for (let block = Math.floor(Number(first) / blockEntries); block * blockEntries < indexed; block++) {
      const row = this.#get.get(block)
      if (row === undefined) yield this.#read(block)
      else if (Number(row['high']) >= since && Number(row['low']) < until) yield unpack(row)
    }
  }

  #read(block: number): Columns {
    const rows = this.#rows.all(block * blockEntries, (block + 1) * blockEntries) as unknown as number[][]
    const columns = emptyColumns(rows.length)
    rows.forEach((row, i) => {
      columns.time[i] = row[0]!
      wordFields.forEach((field, at) => (columns[field][i] = row[at + 1]!))
    })
    return columns
  }
}

export function emptyColumns(length: number): Columns {
  const words = wordFields.map(field => [field, new Uint32Array(length)] as const)
  return { time: new Float64Array(length), ...(Object.fromEntries(words) as Record<WordField, Uint32Array>) }
}

function unpack(row: Readonly<Record<string, unknown>>): Columns {
  const length = Number(row['entries'])
  const body = row['body'] as Uint8Array
  // Arrays of eight bytes begin at a multiple of eight.
  const bytes = body.byteOffset % 8 === 0 ? body : body.slice()
  const at = (field: number): number => bytes.byteOffset + length * (8 + 4 * field)
  const words = wordFields.map((field, i) => [field, new Uint32Array(bytes.buffer, at(i), length)] as const)
  return {
    time: new Float64Array(bytes.buffer, bytes.byteOffset, length),
    ...(Object.fromEntries(words) as Record<WordField, Uint32Array>),
  }
}

function rangeOf(time: Float64Array): [low: number, high: number] {
  let low = Infinity
  let high = -Infinity
  for (const each of time) {
    if (each < low) low = each
    if (each > high) high = each
  }
  return [low, high]
}
