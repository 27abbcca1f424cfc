/** Counts entries by field and time: from the columns where the filter is on words of few, else along an index. */
import type { DatabaseSync } from 'node:sqlite'
import type { CountField, CountQuery, EntryCounts, FieldCounts, SeenPage } from '../storage.ts'
import { approvalKey, bucketOf, columnOf, fieldCounts, timesOf, topKeys } from '../tally.ts'
import { ColumnBlocks, type Columns } from './columns.ts'
import type { EntrySearch, Filter } from './entry-search.ts'
import { idFields, type WordField } from './index-schema.ts'

/** Entries found by id or text are counted one by one, the newest first, up to so many. */
const mostFound = 100_000

/** By word number: whether it passes, or the row that it counts in. */
type Table = Int32Array

interface Plan {
  readonly since: number
  readonly until: number
  readonly pass: readonly (readonly [WordField, Uint8Array])[]
}

export class EntryCount {
  readonly #database: DatabaseSync
  readonly #search: EntrySearch
  readonly #blocks: ColumnBlocks

  constructor(database: DatabaseSync, search: EntrySearch) {
    this.#database = database
    this.#search = search
    this.#blocks = new ColumnBlocks(database)
  }

  count(query: CountQuery, indexed: number): EntryCounts {
    const { since, until } = timesOf(query)
    const size = Number(this.#database.prepare('SELECT max(id) AS id FROM word').get()?.['id'] ?? 0) + 1
    if ((['text', ...idFields] as const).some(each => query.filter[each] !== undefined)) {
      const found = this.#search.columns({ ...query.filter, since, until }, mostFound)
      const all: Plan = { since, until, pass: [] }
      const counted = this.#tally(query, size, { plan: all, blocks: () => [found] })
      return { ...counted, indexed, ...(found.time.length < mostFound ? {} : { newestOnly: mostFound }) }
    }
    const pass = this.#search.filters(query.filter).map(each => [each.column, passing(each, size)] as const)
    const plan: Plan = { since, until, pass }
    const blocks = () => this.#blocks.between(since, until, indexed)
    return { ...this.#tally(query, size, { plan, blocks }), indexed }
  }

  /** Two passes: what there is of each word, then, with buckets, when it was, for the words that are told apart. */
  #tally(
    query: CountQuery,
    size: number,
    { plan, blocks }: { readonly plan: Plan; readonly blocks: () => Iterable<Columns> },
  ): Omit<EntryCounts, 'indexed'> {
    const columns = [...new Set(query.fields.map(columnOf))]
    const counts = new Map(columns.map(column => [column, new Uint32Array(size)]))
    const entries = countWords(blocks(), plan, counts)
    const fields: [CountField, FieldCounts][] = []
    for (const field of query.fields) {
      const column = columnOf(field)
      fields.push([field, this.#field(query, { field, column, counts: counts.get(column)!, plan, blocks })])
    }
    return { entries, fields: Object.fromEntries(fields) }
  }

  #field(
    { top, buckets }: CountQuery,
    of: {
      readonly field: CountField
      readonly column: WordField
      readonly counts: Uint32Array
      readonly plan: Plan
      readonly blocks: () => Iterable<Columns>
    },
  ): FieldCounts {
    const keyOf = this.#keys(of.field, of.counts)
    const totals = new Map<string, number>()
    for (const [id, key] of keyOf) totals.set(key, (totals.get(key) ?? 0) + of.counts[id]!)
    const keys = topKeys(totals, top)
    if (buckets === undefined) return fieldCounts(totals, keys, undefined)
    const rowOf = new Map(keys.first.map((key, i) => [key, i]))
    const table: Table = new Int32Array(of.counts.length).fill(-1)
    for (const [id, key] of keyOf) if (key !== '') table[id] = rowOf.get(key) ?? keys.first.length
    const rows = new Uint32Array((keys.first.length + 1) * buckets.count)
    for (const block of of.blocks())
      countTimes(block, of.plan, { words: block[of.column], table, rows, buckets })
    const row = (i: number): number[] => [...rows.subarray(i * buckets.count, (i + 1) * buckets.count)]
    return fieldCounts(totals, keys, { of: key => row(rowOf.get(key)!), others: row(keys.first.length) })
  }

  /** The key of each word that was counted. */
  #keys(field: CountField, counts: Uint32Array): Map<number, string> {
    const find = this.#database.prepare('SELECT text FROM word WHERE id = ?')
    const keys = new Map<number, string>()
    counts.forEach((count, id) => {
      if (count === 0 || id === 0) return
      const text = String(find.get(id)?.['text'] ?? '')
      if (field === 'identity') keys.set(id, text.split('\n', 1)[0]!)
      else keys.set(id, field === 'approval' ? approvalKey(text) : text)
    })
    return keys
  }

  identities({ name = '', before, limit }: { name?: string; before?: number; limit: number }): SeenPage {
    const rows = this.#database
      .prepare(
        `SELECT word.entries AS entries, (SELECT max(seq) FROM entry WHERE who = word.id AND who <> 0) AS last,
           (SELECT min(seq) FROM entry WHERE who = word.id AND who <> 0) AS first
         FROM word WHERE field = 'who' AND instr(text, ?) > 0 AND last < ? ORDER BY last DESC LIMIT ?`,
      )
      .all(name.toLowerCase(), before ?? Number.MAX_SAFE_INTEGER, limit + 1)
    const identities = rows.slice(0, limit).map(row => ({
      entries: Number(row['entries']),
      first: Number(row['first']),
      last: Number(row['last']),
    }))
    return { identities, ...(rows.length > limit ? { next: identities.at(-1)!.last } : {}) }
  }
}

function passing({ values, orEmpty }: Filter, size: number): Uint8Array {
  const pass = new Uint8Array(size)
  for (const id of values) pass[Number(id)] = 1
  if (orEmpty) pass[0] = 1
  return pass
}

/** Counts the words of the given columns among the entries that pass; returns how many passed. */
function countWords(
  blocks: Iterable<Columns>,
  { since, until, pass }: Plan,
  counts: ReadonlyMap<WordField, Uint32Array>,
): number {
  let entries = 0
  for (const block of blocks) {
    const { time } = block
    const filters = pass.map(([field, table]) => ({ words: block[field], table }))
    const counted = [...counts].map(([field, count]) => ({ words: block[field], count }))
    for (let i = 0; i < time.length; i++) {
      if (time[i]! < since || time[i]! >= until || !passes(filters, i)) continue
      entries++
      for (const { words, count } of counted) count[words[i]!]!++
    }
  }
  return entries
}

function countTimes(
  block: Columns,
  { since, until, pass }: Plan,
  {
    words,
    table,
    rows,
    buckets,
  }: {
    readonly words: Uint32Array
    readonly table: Table
    readonly rows: Uint32Array
    readonly buckets: NonNullable<CountQuery['buckets']>
  },
): void {
  const { time } = block
  const filters = pass.map(([field, each]) => ({ words: block[field], table: each }))
  for (let i = 0; i < time.length; i++) {
    const row = table[words[i]!]!
    if (row < 0 || time[i]! < since || time[i]! >= until || !passes(filters, i)) continue
    rows[row * buckets.count + bucketOf(time[i]!, buckets)]!++
  }
}

function passes(
  filters: readonly { readonly words: Uint32Array; readonly table: Uint8Array }[],
  i: number,
): boolean {
  for (const { words, table } of filters) if (table[words[i]!] !== 1) return false
  return true
}
