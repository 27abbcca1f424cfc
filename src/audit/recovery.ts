/**
 * What a log that is opened again left behind. A heartbeat says what was open at its own number, so only what came
 * after it is read: the cost of a start does not grow with the log.
 */
import type { LogStore } from '../storage/storage.ts'
import type { Entry } from './events.ts'
import { terminalKinds } from './events.ts'
import { type Counters, countedKinds, type Ledger, readList } from './ledger.ts'

const page = 1024
const terminal: ReadonlySet<string> = new Set(terminalKinds)

/** A log whose oldest entries may have been removed: those below `first`. */
type OldestKnown = LogStore & { readonly first?: number }

export interface LeftOpen {
  /** Intents without an end, by number, ascending. */
  readonly intents: ReadonlyMap<number, Entry>
  /** `session.started` of sessions without an end, by session. */
  readonly sessions: ReadonlyMap<string, Entry>
  /** The last entry: `log.closed` where the log was left in good order. */
  readonly last: Entry | undefined
}

/** Reads the end of the log into `ledger`, and gives the entries of what it left open. */
export async function findLeftOpen(store: OldestKnown, ledger: Ledger): Promise<LeftOpen> {
  const intents = new Map<number, Entry>()
  const sessions = new Map<string, Entry>()
  let last: Entry | undefined
  const mark = await findMark(store)
  const list = mark?.open
  // What retention removed had its end long before.
  let from = Math.max(mark?.oldest ?? 0, store.first ?? 0)
  if (mark !== undefined && list !== undefined) {
    from = mark.seq
    for (const seq of list) take(await readOne(store, seq), seq)
  }
  for (let start = from; start < store.size; ) {
    const entries = await store.read(start, page)
    if (entries.length === 0)
      throw new Error(`the store holds ${store.size} entries but gives none from ${start}`)
    for (let i = 0; i < entries.length; i++) {
      last = parseEntry(entries[i]!)
      take(last, start + i)
    }
    start += entries.length
  }
  return { intents, sessions, last }

  function take(entry: Entry, seq: number): void {
    const { session } = entry
    const intent = entry.intent === undefined ? {} : { intent: Number(entry.intent) }
    ledger.take(seq, entry.kind, { ...intent, ...(session === undefined ? {} : { session }) })
    if (entry.kind === 'action.intended') intents.set(seq, entry)
    else if (terminal.has(entry.kind)) intents.delete(Number(entry.intent))
    else if (entry.kind === 'session.started' && entry.session !== undefined)
      sessions.set(entry.session, entry)
    else if (entry.kind === 'session.ended' && entry.session !== undefined) sessions.delete(entry.session)
  }
}

interface Mark {
  readonly seq: number
  /** Nothing below it was open then. */
  readonly oldest: number
  /** The numbers of all that was open then; absent where it was too much to list. */
  readonly open: readonly number[] | undefined
}

/** The last entry that carries the counters, found from the end backwards. */
async function findMark(store: OldestKnown): Promise<Mark | undefined> {
  const first = store.first ?? 0
  for (let end = store.size; end > first; ) {
    const start = Math.max(first, end - page)
    const entries: Buffer[] = []
    while (start + entries.length < end) {
      const more = await store.read(start + entries.length, end - start - entries.length)
      if (more.length === 0) throw new Error(`the store holds ${store.size} entries but ends before ${end}`)
      entries.push(...more)
    }
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = parseEntry(entries[i]!)
      const counters = entry['counters'] as Counters | undefined
      if (countedKinds.has(entry.kind) && counters !== undefined) return markOf(counters, start + i)
    }
    end = start
  }
  return undefined
}

function markOf({ oldest_open, open }: Counters, seq: number): Mark {
  const listed = open && [...readList(open.intents), ...readList(open.sessions)].sort((a, b) => a - b)
  return { seq, oldest: Number(oldest_open), open: listed }
}

async function readOne(store: LogStore, seq: number): Promise<Entry> {
  const [bytes] = await store.read(seq, 1)
  if (bytes === undefined) throw new Error(`the store does not give entry ${seq}`)
  return parseEntry(bytes)
}

function parseEntry(bytes: Buffer): Entry {
  return JSON.parse(bytes.toString()) as Entry
}
