import { checkCount, checkQuery } from '../check-query.ts'
import { type EntryFacts, readFacts } from '../entry-facts.ts'
import { filterMatcher } from '../matches-filter.ts'
import type {
  CountField,
  CountQuery,
  EntryCounts,
  EntryIndex,
  EntryPage,
  EntryQuery,
  FieldCounts,
  PrunableLog,
  SeenIdentity,
  SeenPage,
} from '../storage.ts'
import { approvalKey, bucketOf, fieldCounts, timesOf, topKeys } from '../tally.ts'

/** Search over a log in memory: facts are read once per entry, and every query walks all of them. */
export class MemoryIndex implements EntryIndex {
  readonly #log: PrunableLog
  readonly #facts: EntryFacts[] = []

  constructor(log: PrunableLog) {
    this.#log = log
  }

  get indexed(): number {
    return this.#log.size
  }

  async whenIndexed(size: number): Promise<void> {
    while (this.#log.size < size) await new Promise(resolve => setImmediate(resolve))
  }

  async prune(): Promise<void> {
    // It keeps nothing that the log does not.
  }

  async search(query: EntryQuery): Promise<EntryPage> {
    checkQuery(query)
    const size = await this.#catchUp()
    const { after, descending = false, limit } = query
    const matches = filterMatcher(query)
    const found: number[] = []
    const step = descending ? -1 : 1
    const { first } = this.#log
    const from = descending ? Math.min(after ?? size, size) - 1 : Math.max((after ?? -1) + 1, first)
    for (let i = from; i >= first && i < size && found.length <= limit; i += step) {
      if (matches(this.#facts[i]!)) found.push(i)
    }
    const page = found.slice(0, limit)
    const entries = await Promise.all(
      page.map(async index => ({ index, bytes: (await this.#log.read(index, 1))[0]! })),
    )
    return { entries, indexed: size, ...(found.length > limit ? { next: page.at(-1)! } : {}) }
  }

  async count(query: CountQuery): Promise<EntryCounts> {
    checkCount(query)
    const indexed = await this.#catchUp()
    const matches = filterMatcher({ ...query.filter, ...timesOf(query) })
    const found = this.#facts.slice(this.#log.first, indexed).filter(matches)
    const fields = query.fields.map(field => [field, countBy(field, found, query)] as const)
    return { entries: found.length, fields: Object.fromEntries(fields), indexed }
  }

  async identities(query: { name?: string; before?: number; limit: number }): Promise<SeenPage> {
    const size = await this.#catchUp()
    const seen = new Map<string, SeenIdentity>()
    const part = query.name?.toLowerCase() ?? ''
    for (let i = this.#log.first; i < size; i++) {
      const { names } = this.#facts[i]!
      if (names.length === 0 || !names.some(name => name.includes(part))) continue
      const key = names.join('\n')
      const before = seen.get(key)
      seen.set(key, { entries: (before?.entries ?? 0) + 1, first: before?.first ?? i, last: i })
    }
    const sorted = [...seen.values()]
      .filter(({ last }) => query.before === undefined || last < query.before)
      .sort((a, b) => b.last - a.last)
    const identities = sorted.slice(0, query.limit)
    return { identities, ...(sorted.length > query.limit ? { next: identities.at(-1)!.last } : {}) }
  }

  async #catchUp(): Promise<number> {
    const size = this.#log.size
    while (this.#facts.length < this.#log.first) this.#facts.push(readFacts(Buffer.alloc(0)))
    while (this.#facts.length < size) {
      for (const entry of await this.#log.read(this.#facts.length, 1000)) this.#facts.push(readFacts(entry))
    }
    return size
  }
}

function countBy(field: CountField, found: readonly EntryFacts[], { top, buckets }: CountQuery): FieldCounts {
  const totals = new Map<string, number>()
  for (const facts of found) totals.set(keyOf(field, facts), (totals.get(keyOf(field, facts)) ?? 0) + 1)
  const keys = topKeys(totals, top)
  if (buckets === undefined) return fieldCounts(totals, keys, undefined)
  const row = (): number[] => Array.from({ length: buckets.count }, () => 0)
  const rows = new Map(keys.first.map(key => [key, row()]))
  const others = row()
  for (const facts of found) {
    const key = keyOf(field, facts)
    if (key !== '') (rows.get(key) ?? others)[bucketOf(facts.time, buckets)]!++
  }
  return fieldCounts(totals, keys, { of: key => rows.get(key)!, others })
}

function keyOf(field: CountField, facts: EntryFacts): string {
  if (field === 'identity') return facts.names[0] ?? ''
  return field === 'approval' ? approvalKey(facts.kind) : facts[field]
}
