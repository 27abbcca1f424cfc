import { checkQuery } from '../check-query.ts'
import { type EntryFacts, matchesGlob, readFacts, wordsOf } from '../entry-facts.ts'
import type { EntryIndex, EntryPage, EntryQuery, PrunableLog } from '../storage.ts'

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
    const size = this.#log.size
    while (this.#facts.length < this.#log.first) this.#facts.push(readFacts(Buffer.alloc(0)))
    while (this.#facts.length < size) {
      for (const entry of await this.#log.read(this.#facts.length, 1000)) this.#facts.push(readFacts(entry))
    }
    const { after, descending = false, limit } = query
    const matches = matcher(query)
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
}

function matcher(query: EntryQuery): (facts: EntryFacts) => boolean {
  const { since, until, kinds, operation } = query
  const identity = query.identity?.toLowerCase()
  const words = query.text === undefined ? [] : wordsOf(query.text)
  const exact = (['connection', 'outcome', 'session', 'action', 'approval'] as const).filter(
    name => query[name] !== undefined,
  )
  return facts =>
    (since === undefined || facts.time >= since) &&
    (until === undefined || facts.time < until) &&
    (kinds === undefined || kinds.includes(facts.kind)) &&
    (identity === undefined || facts.names.includes(identity)) &&
    (operation === undefined || matchesGlob(operation, facts.operation)) &&
    exact.every(name => facts[name] === query[name]) &&
    words.every(word => facts.words.has(word))
}
