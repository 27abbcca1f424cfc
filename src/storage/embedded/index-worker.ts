/**
 * The search tables' thread: follows the log, and answers. The file is derived: damaged, of another version or of
 * another log, it is deleted and built again.
 */
import { hash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import type { CountQuery, EntryQuery } from '../storage.ts'
import { EntryCount } from './entry-count.ts'
import { EntrySearch } from './entry-search.ts'
import { EntryTaker } from './entry-taker.ts'
import type { BlobPlace } from './frame.ts'
import { createTables, schemaVersion } from './index-schema.ts'
import { JournalReader, type ReadFrame } from './journal-reader.ts'
import type { Mark } from './recover-journal.ts'
import { serve, sqliteCode } from './worker-call.ts'

export interface IndexStart {
  readonly path: string
  readonly journal: string
  readonly id: Uint8Array
  readonly marks: readonly Mark[]
  readonly size: number
}

const start = workerData as IndexStart
const reader = new JournalReader({ directory: start.journal, id: Buffer.from(start.id), marks: start.marks })

/** Entries taken at once: a search waits no longer than for these. */
const chunkEntries = 512

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const damaged = new Set([11, 26])

interface Tables {
  readonly database: DatabaseSync
  readonly taker: EntryTaker
  readonly search: EntrySearch
  readonly counter: EntryCount
}

let tables = await openTables()
let indexed = indexedOf(tables.database)

serve({
  open: () => indexed,
  follow: ({ size }: { size: number }) => guarded(() => follow(size)),
  search: (query: EntryQuery) => guarded(() => search(query)),
  count: (query: CountQuery) => guarded(() => tables.counter.count(query, indexed)),
  identities: (query: { name?: string; before?: number; limit: number }) =>
    guarded(() => tables.counter.identities(query)),
  prune: ({ below }: { below: number }) => guarded(() => prune(below)),
  blob: ({ digest }: { digest: string }) => guarded(() => findBlob(digest)),
  close() {
    tables.database.close()
  },
})

/** Takes the next chunk below `size`; returns how far it came. */
async function follow(size: number): Promise<number> {
  const frames: ReadFrame[] = []
  let count = 0
  if (indexed < size) {
    for await (const frame of reader.frames(indexed, size)) {
      frames.push(frame)
      count += frame.entries.length
      if (count >= chunkEntries) break
    }
  }
  if (frames.length > 0) indexed = tables.taker.take(frames, indexed)
  return indexed
}

/** Forgets entries below `below`, a frame at a time, then the places in their files. */
async function prune(below: number): Promise<void> {
  for await (const frame of reader.frames(reader.first, Math.min(below, indexed))) {
    tables.taker.forget(frame, below)
  }
  const at = reader.segmentAt(below)
  if (at === undefined) return
  tables.taker.forgetRest(below, at.segment)
  await reader.forgetBefore(at.segment)
}

async function search(query: EntryQuery) {
  const found = tables.search.find(query)
  const page = found.slice(0, query.limit)
  const entries = new Map<number, Buffer>()
  const wanted = new Set(page)
  // In log order, so that neighbours come out of one read.
  const ascending = page.toSorted((a, b) => a - b)
  for (const seq of ascending) {
    if (entries.has(seq)) continue
    for await (const frame of reader.frames(seq, seq + 1)) takeWanted(frame, wanted, entries)
  }
  return {
    entries: page.map(index => ({ index, bytes: new Uint8Array(entries.get(index)!) })),
    indexed,
    ...(found.length > page.length ? { next: page.at(-1)! } : {}),
  }
}

function takeWanted(frame: ReadFrame, wanted: ReadonlySet<number>, entries: Map<number, Buffer>): void {
  frame.entries.forEach((entry, i) => {
    if (wanted.has(frame.start + i)) entries.set(frame.start + i, entry)
  })
}

function findBlob(digest: string): BlobPlace | undefined {
  const row = tables.database
    .prepare('SELECT segment, offset, length FROM blob WHERE digest = ?')
    .get(Buffer.from(digest, 'hex'))
  if (row === undefined) return undefined
  const { segment, offset, length } = row
  return { digest, segment: Number(segment), offset: Number(offset), length: Number(length) }
}

/** A file that turns out damaged is built again, from the first entry. */
async function guarded<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!damaged.has(sqliteCode(error) ?? 0)) throw error
    tables.database.close()
    tables = createFresh()
    indexed = reader.first
    return run()
  }
}

async function openTables(): Promise<Tables> {
  try {
    const opened = openFile()
    if (await isOfThisLog(opened)) return prepare(opened)
    opened.close()
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error
  }
  return createFresh()
}

function createFresh(): Tables {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${start.path}${suffix}`, { force: true })
  const database = openFile()
  createTables(database)
  const put = database.prepare('INSERT INTO meta VALUES (?, ?)')
  put.run('version', schemaVersion)
  put.run('journal', Buffer.from(start.id).toString('hex'))
  put.run('indexed', reader.first)
  return prepare(database)
}

function openFile(): DatabaseSync {
  const database = new DatabaseSync(start.path)
  // Synced at checkpoints alone: after a power loss the file is older, and sound. The hashes of ids go to places all
  // over their trees: rare checkpoints (64 MiB) write each such page once for many rows, and 64 MiB of cache find it.
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384
  `)
  return database
}

function prepare(database: DatabaseSync): Tables {
  const search = new EntrySearch(database)
  return { database, taker: new EntryTaker(database), search, counter: new EntryCount(database, search) }
}

function indexedOf(database: DatabaseSync): number {
  return Number(database.prepare(`SELECT value FROM meta WHERE key = 'indexed'`).get()?.['value'] ?? 0)
}

/** Whether the file is of this schema and journal, and its last entry is the log's. */
async function isOfThisLog(database: DatabaseSync): Promise<boolean> {
  const rows = database.prepare('SELECT key, value FROM meta').all()
  const meta = new Map(rows.map(row => [row['key'], row['value']]))
  const taken = Number(meta.get('indexed'))
  if (meta.get('version') !== schemaVersion || taken > start.size || taken < reader.first) return false
  if (meta.get('journal') !== Buffer.from(start.id).toString('hex')) return false
  for await (const frame of reader.frames(Math.max(reader.first, taken - 1), taken)) {
    return hash('sha256', frame.entries[taken - 1 - frame.start]!) === meta.get('last')
  }
  return taken === reader.first
}
