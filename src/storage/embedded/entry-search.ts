import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { matchesGlob, wordsOf } from '../entry-facts.ts'
import type { EntryFilter, EntryQuery } from '../storage.ts'
import { type Columns, emptyColumns } from './columns.ts'
import { idFields, idNumber, spanEntries, wordFields, type WordField } from './index-schema.ts'

/** One filter on a column: the numbers it may hold, and about how many entries hold one of them. */
export interface Filter {
  readonly column: WordField
  readonly values: readonly number[]
  readonly entries: number
  /** Whether the empty text passes too. */
  readonly orEmpty: boolean
}

/** Walking this many rows costs about as much as finding one by an index. */
const walkFactor = 10

/**
 * Answers queries from the search tables. The walk is chosen here and not by SQLite: along the full-text index where
 * there are words or ids; else along the index of the rarest filter; else, where all filters are common, along the entries
 * themselves, where matches then come soon. Columns that must not steer are written with a `+`.
 */
export class EntrySearch {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Indexes of the entries that match, in the order asked for, at most one more than the limit. */
  find(query: EntryQuery): number[] {
    const statement = this.#select(query, [])
    if (statement === undefined) return []
    return statement.prepared.all(...statement.values, query.limit + 1).map(row => Number(row['seq']))
  }

  /** The columns of the newest entries that match, at most `most`. */
  columns(filter: EntryFilter, most: number): Columns {
    const names = ['time', ...wordFields]
    const statement = this.#select({ ...filter, descending: true, limit: most }, names)
    if (statement === undefined) return emptyColumns(0)
    statement.prepared.setReturnArrays(true)
    const rows = statement.prepared.all(...statement.values, most) as unknown as number[][]
    const columns = emptyColumns(rows.length)
    rows.forEach((row, i) => {
      columns.time[i] = row[1]!
      wordFields.forEach((field, at) => (columns[field][i] = row[at + 2]!))
    })
    return columns
  }

  /** Undefined where nothing can match. The last parameter to bind is the limit. */
  #select(
    query: EntryQuery,
    columns: readonly string[],
  ): { readonly prepared: StatementSync; readonly values: SQLInputValue[] } | undefined {
    const filters = this.filters(query)
    const [low, high] = this.#bounds(query)
    if (low >= high || filters.some(each => each.values.length === 0 && !each.orEmpty)) return undefined
    const where: string[] = []
    const values: SQLInputValue[] = []
    const add = (term: string, ...more: SQLInputValue[]): void => {
      where.push(term)
      values.push(...more)
    }
    const ids = idFields.filter(column => query[column] !== undefined)
    const words = [...wordsOf(query.text ?? ''), ...ids.flatMap(column => longestWord(query[column]!))]
    const { seq, from } = words.length > 0 ? byWords : byEntry
    if (words.length > 0) add('words MATCH ?', words.map(word => `"${word}"`).join(' '))
    const guide = words.length > 0 ? undefined : guideOf(filters, high - low)
    add(
      `${guide === undefined ? '' : '+'}${seq} >= ? AND ${guide === undefined ? '' : '+'}${seq} < ?`,
      low,
      high,
    )
    for (const filter of filters) {
      if (filter === guide) add(`entry.${filter.column} <> 0`)
      add(`${filter === guide ? '' : '+'}entry.${filter.column} IN (${listOf(filter)})`, ...valuesOf(filter))
    }
    for (const column of ids) add(`entry.${column} = ?`, idNumber(query[column]!))
    if (query.since !== undefined) add('+entry.time >= ?', query.since)
    if (query.until !== undefined) add('+entry.time < ?', query.until)
    const order = query.descending === true ? 'DESC' : 'ASC'
    const selected = [`${seq} AS seq`, ...columns.map(each => `entry.${each}`)].join(', ')
    const prepared = this.#database.prepare(
      `SELECT ${selected} FROM ${from} WHERE ${where.join(' AND ')} ORDER BY ${seq} ${order} LIMIT ?`,
    )
    return { prepared, values }
  }

  /** The filters on columns of words; one with no value and without `orEmpty` matches nothing. */
  filters(query: EntryFilter): Filter[] {
    const filters: Filter[] = []
    const { kinds, identity, operation } = query
    if (kinds !== undefined) filters.push(this.#words('kind', kinds))
    if (identity !== undefined) filters.push(this.#who(identity.toLowerCase()))
    if (operation !== undefined) filters.push(this.#operation(operation))
    for (const field of ['connection', 'outcome'] as const) {
      const text = query[field]
      if (text !== undefined) filters.push(this.#words(field, [text]))
    }
    return filters
  }

  #words(field: WordField, texts: readonly string[]): Filter {
    const find = this.#database.prepare('SELECT id, entries FROM word WHERE field = ? AND text = ?')
    const rows = texts.map(text => find.get(field, text)).filter(row => row !== undefined)
    return filterOf(field, rows, texts.includes(''))
  }

  #who(name: string): Filter {
    const rows = this.#database
      .prepare('SELECT id, entries FROM word WHERE id IN (SELECT who FROM name WHERE name = ?)')
      .all(name)
    return filterOf('who', rows, false)
  }

  #operation(pattern: string): Filter {
    if (!pattern.includes('*')) return this.#words('operation', [pattern])
    const prefix = pattern.slice(0, pattern.indexOf('*'))
    const rows: Record<string, unknown>[] = []
    const all = this.#database.prepare(
      `SELECT id, text, entries FROM word WHERE field = 'operation' AND text >= ? AND text < ?`,
    )
    // U+10FFFF sorts after every text that has the prefix.
    for (const row of all.iterate(prefix, `${prefix}\u{10FFFF}`)) {
      if (matchesGlob(pattern, String(row['text']))) rows.push(row)
    }
    return filterOf('operation', rows, matchesGlob(pattern, ''))
  }

  /** The range of entries that can match: after the cursor, and in blocks whose times reach into the time asked for. */
  #bounds({ after, descending = false, since, until }: EntryQuery): [low: number, high: number] {
    let low = descending ? 0 : (after ?? -1) + 1
    let high = descending && after !== undefined ? after : Number.MAX_SAFE_INTEGER
    if (since !== undefined || until !== undefined) {
      const blocks = this.#database
        .prepare('SELECT min(block) AS first, max(block) AS last FROM span WHERE high >= ? AND low < ?')
        .get(since ?? -Number.MAX_SAFE_INTEGER, until ?? Number.MAX_SAFE_INTEGER)
      if (blocks?.['first'] == null) return [0, 0]
      low = Math.max(low, Number(blocks['first']) * spanEntries)
      high = Math.min(high, (Number(blocks['last']) + 1) * spanEntries)
    }
    return [Math.max(low, 0), high]
  }
}

const byEntry = { seq: 'entry.seq', from: 'entry' }
// CROSS JOIN keeps the order of the two: the full-text index leads.
const byWords = { seq: 'words.rowid', from: 'words CROSS JOIN entry ON entry.seq = words.rowid' }

/** By which an id is looked for: its longest word is the one that the fewest other entries have. */
function longestWord(id: string): string[] {
  return wordsOf(id)
    .toSorted((a, b) => b.length - a.length)
    .slice(0, 1)
}

function filterOf(column: WordField, rows: readonly Record<string, unknown>[], orEmpty: boolean): Filter {
  const values = rows.map(row => Number(row['id']))
  return { column, values, entries: rows.reduce((sum, row) => sum + Number(row['entries']), 0), orEmpty }
}

/** The filter to walk along; undefined to walk along the entries. */
function guideOf(filters: readonly Filter[], range: number): Filter | undefined {
  const rarest = filters.filter(each => !each.orEmpty).sort((a, b) => a.entries - b.entries)[0]
  if (rarest === undefined) return undefined
  // An index on one value gives entries in order; on several they must all be sorted first.
  const ordered = rarest.values.length === 1
  return rarest.entries * walkFactor < range || (ordered && filters.length === 1) ? rarest : undefined
}

/** Lists that are long go as one JSON parameter: SQLite bounds the number of parameters. */
function listOf({ values, orEmpty }: Filter): string {
  const empty = orEmpty ? '0' : ''
  if (values.length > 100) return `SELECT value FROM json_each(?)${orEmpty ? ' UNION ALL SELECT 0' : ''}`
  return [...values.map(() => '?'), empty].filter(each => each !== '').join(', ')
}

function valuesOf({ values }: Filter): SQLInputValue[] {
  return values.length > 100 ? [JSON.stringify(values)] : [...values]
}
