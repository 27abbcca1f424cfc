/**
 * Compares what a far end holds with the log. The log is walked in chunks by index; for each, the far end is asked for
 * the time that the chunk covers, so that whatever the window, memory holds one chunk and one page. The times of the
 * chunks follow each other without a gap: an event that somebody put between two of ours is met too.
 */
import { createHash, type Hash } from 'node:crypto'
import { setImmediate as breathe } from 'node:timers/promises'
import { type BatchSource, isWanted, timeOf } from './batch.ts'
import type { ExpectedEvent, HeldEvent, Holdings } from './holdings.ts'
import { LogRecord } from './record.ts'

/** Entries compared at once: what bounds memory. */
const chunkEntries = 10_000
/** Of one kind, that a result names. */
const mostExamples = 10
/** Added to both ends of the window: what lies on its edge is read, and judged by its number. */
const edgeMs = 1000
/** Events that are remembered as told of. */
const mostTold = 10_000
/** So few missing entries are looked for one by one, whether or not anything was late. */
const fewMissing = 500

export interface Comparison {
  /** Entries `from` to `to` (exclusive) of the log. */
  readonly from: number
  readonly to: number
  /** ISO 8601: the times that were read back. */
  readonly since: string
  readonly until: string
  /** Entries of the range that the sink gets. */
  readonly entries: number
  /** Of them, those that the far end holds as they are in the log. */
  readonly held: number
  /** Of them, those for which a stub stands there, with a dead letter here. */
  readonly stubs: number
  readonly missing: number
  /** Events with the number of an entry and other content. */
  readonly altered: number
  /** Events that name no entry of this log. */
  readonly foreign: number
  /** Events that arrived again as they were: delivery is at least once, so they are no fault. */
  readonly duplicates: number
  /** SHA-256 over the leaf hashes in order: of the entries, and of those that are held. Equal only if all are. */
  readonly leaves: { readonly log: string; readonly sink: string }
  /** Ids of entries, and of events at the far end; the first few of each kind. */
  readonly examples: {
    readonly missing: readonly string[]
    readonly altered: readonly string[]
    readonly foreign: readonly string[]
  }
}

export interface CompareParts {
  readonly source: BatchSource
  readonly holdings: Holdings
  /** Whether a stub stands for the entry by right. */
  readonly isDeadLetter: (index: number) => Promise<boolean>
  /** Entries compared at once; default: 10,000. */
  readonly chunk?: number
  /** Told what is missing of each chunk, in order, before the next is read. */
  readonly onMissing?: (indexes: ReadonlySet<number>) => Promise<void>
}

export function isEqual({ missing, altered, foreign }: Comparison): boolean {
  return missing === 0 && altered === 0 && foreign === 0
}

/** Range by index, window in milliseconds. Throws GatewayError where the far end can't be read. */
export async function compare(
  parts: CompareParts,
  range: { readonly from: number; readonly to: number; readonly since: number; readonly until: number },
  signal: AbortSignal,
): Promise<Comparison> {
  const run = new Run(parts, signal)
  let tile = range.since - edgeMs
  let index = range.from
  while (index < range.to) {
    signal.throwIfAborted()
    const chunk = await readChunk(parts, index, range.to)
    index = chunk.end
    const end = index >= range.to ? Math.max(range.until + edgeMs, chunk.latest) : chunk.latest
    await run.compare(chunk, Math.min(tile, chunk.earliest), end)
    tile = end + 1
  }
  if (range.from === range.to) await run.compare(emptyChunk(index), tile, range.until + edgeMs)
  return run.result(range)
}

interface Chunk {
  readonly start: number
  readonly end: number
  readonly expected: ReadonlyMap<number, ExpectedEvent & { readonly wanted: boolean }>
  /** Milliseconds since the epoch. */
  readonly earliest: number
  readonly latest: number
}

function emptyChunk(start: number): Chunk {
  return { start, end: start, expected: new Map(), earliest: Infinity, latest: -Infinity }
}

/** Ends between two milliseconds wherever it can, so that each event has one chunk. */
async function readChunk(parts: CompareParts, start: number, to: number): Promise<Chunk> {
  const expected = new Map<number, ExpectedEvent & { readonly wanted: boolean }>()
  const times: number[] = []
  const most = Math.min(to, start + (parts.chunk ?? chunkEntries))
  await eachRecord(parts, { start, end: most }, (record, index, wanted) => {
    expected.set(index, { ...parts.holdings.expected(record), wanted })
    times.push(timeOf(record) ?? times.at(-1) ?? 0)
  })
  let end = most
  if (most < to) {
    const last = times.at(-1)!
    while (end > start + 1 && times[end - start - 1] === last) end--
    if (end === start + 1) end = most
    for (let index = end; index < most; index++) expected.delete(index)
    times.length = end - start
  }
  const span = times.filter(time => time > 0)
  return {
    start,
    end,
    expected,
    earliest: span.reduce((least, each) => Math.min(least, each), Infinity),
    latest: span.reduce((latest, each) => Math.max(latest, each), -Infinity),
  }
}

async function eachRecord(
  { source }: CompareParts,
  range: { readonly start: number; readonly end: number },
  take: (shown: LogRecord, index: number, wanted: boolean) => void,
): Promise<void> {
  const view = await source.view?.()
  for (let index = range.start; index < range.end; ) {
    const read = await source.log.read(index, Math.min(500, range.end - index))
    if (read.length === 0) throw new Error(`the log has no entry ${index}`)
    for (const bytes of read) {
      const record = new LogRecord(source.origin, index, bytes)
      const wanted = source.wanted === undefined || isWanted(record, source.wanted)
      take(view?.(record) ?? record, index, wanted)
      index++
    }
    await breathe()
  }
}

/** One comparison under way. */
class Run {
  readonly #parts: CompareParts
  readonly #signal: AbortSignal
  readonly #counts = { entries: 0, held: 0, stubs: 0, missing: 0, altered: 0, foreign: 0, duplicates: 0 }
  readonly #examples = { missing: [] as string[], altered: [] as string[], foreign: [] as string[] }
  readonly #logLeaves = createHash('sha256')
  readonly #sinkLeaves = createHash('sha256')
  /** Of the chunk at hand. */
  #held = new Set<number>()
  #stubbed = new Set<number>()
  /** Events met in a chunk whose number is of another: judged together, by the log. */
  #strays: HeldEvent[] = []
  /** Events of the far end that were told of: a search by id finds again what a search by time has found. */
  readonly #told = new Set<string>()

  constructor(parts: CompareParts, signal: AbortSignal) {
    this.#parts = parts
    this.#signal = signal
  }

  async compare(chunk: Chunk, from: number, to: number): Promise<void> {
    const { holdings, source } = this.#parts
    this.#held = new Set()
    this.#stubbed = new Set()
    for await (const event of holdings.between({ log: source.origin, from, to }, this.#signal))
      await this.#take(event, chunk)
    await this.#judgeStrays()
    await this.#lookForMissing(chunk, from)
    await this.#close(chunk)
  }

  result(range: { from: number; to: number; since: number; until: number }): Comparison {
    return {
      from: range.from,
      to: range.to,
      since: new Date(range.since).toISOString(),
      until: new Date(range.until).toISOString(),
      ...this.#counts,
      leaves: { log: digestOf(this.#logLeaves), sink: digestOf(this.#sinkLeaves) },
      examples: this.#examples,
    }
  }

  async #take(event: HeldEvent, chunk: Chunk): Promise<void> {
    const { origin, log } = this.#parts.source
    const { index } = event
    if (index === undefined || index >= log.size || event.id !== `${origin}/${index}`)
      return this.#tell('foreign', event.remote)
    const expected = chunk.expected.get(index)
    if (expected !== undefined) return this.#judge(event, index, expected)
    this.#strays.push(event)
    if (this.#strays.length >= 500) await this.#judgeStrays()
  }

  #judge(event: HeldEvent, index: number, expected: ExpectedEvent): void {
    const same = event.leafHash === expected.leafHash && (event.stub || event.facts === expected.facts)
    if (!same) return this.#tell('altered', event.remote)
    if (event.stub) this.#stubbed.add(index)
    else if (this.#held.has(index)) this.#counts.duplicates++
    else this.#held.add(index)
  }

  /** One that is as the log has it was sent late, or lies on the edge: its own chunk counts it. */
  async #judgeStrays(): Promise<void> {
    const strays = this.#strays.toSorted((a, b) => a.index! - b.index!)
    this.#strays = []
    const { holdings, source } = this.#parts
    const first = (source.log as { readonly first?: number }).first ?? 0
    for (let i = 0; i < strays.length; ) {
      const start = strays[i]!.index!
      const near = strays.filter(({ index }) => index! >= start && index! < start + 1000)
      i += near.length
      // What the log no longer keeps can't be judged.
      if (start < first) continue
      const end = near.at(-1)!.index! + 1
      await eachRecord(this.#parts, { start, end }, (record, index) => {
        const here = near.filter(each => each.index === index)
        if (here.length === 0) return
        const expected = holdings.expected(record)
        for (const each of here) {
          const same = each.leafHash === expected.leafHash && (each.stub || each.facts === expected.facts)
          if (!same) this.#tell('altered', each.remote)
        }
      })
    }
  }

  /** What was sent too late has the time of its sending, and is found by its id. */
  async #lookForMissing(chunk: Chunk, from: number): Promise<void> {
    const { holdings, source } = this.#parts
    const missing = this.#missingOf(chunk)
    if (missing.length === 0) return
    const log = source.origin
    if (missing.length > fewMissing && !(await holdings.hasLate({ log, from }, this.#signal))) return
    for (let i = 0; i < missing.length; i += holdings.mostIds) {
      const ids = missing.slice(i, i + holdings.mostIds).map(index => `${log}/${index}`)
      for await (const event of holdings.byIds(ids, from, this.#signal)) await this.#take(event, chunk)
    }
    await this.#judgeStrays()
  }

  #missingOf({ expected }: Chunk): number[] {
    return [...expected]
      .filter(([index, { wanted }]) => wanted && !this.#held.has(index))
      .map(([index]) => index)
  }

  async #close(chunk: Chunk): Promise<void> {
    const missing = new Set<number>()
    for (const [index, { wanted, leafHash }] of chunk.expected) {
      if (!wanted) continue
      this.#counts.entries++
      this.#logLeaves.update(leafHash)
      const stub = this.#stubbed.has(index) && (await this.#parts.isDeadLetter(index))
      if (this.#held.has(index)) this.#counts.held++
      else if (stub) this.#counts.stubs++
      else {
        missing.add(index)
        this.#tell('missing', `${this.#parts.source.origin}/${index}`)
        continue
      }
      this.#sinkLeaves.update(leafHash)
    }
    if (missing.size > 0) await this.#parts.onMissing?.(missing)
  }

  /** Ids come from the far end: whatever stands in them, they are shown as one short word. */
  #tell(what: 'missing' | 'altered' | 'foreign', id: string): void {
    if (this.#told.has(id)) return
    if (what !== 'missing' && this.#told.size < mostTold) this.#told.add(id)
    this.#counts[what]++
    const { [what]: examples } = this.#examples
    if (examples.length < mostExamples) examples.push(id.replaceAll(/[^\w./:+=-]+/g, '_').slice(0, 200))
  }
}

function digestOf(hash: Hash): string {
  return hash.digest('hex')
}
