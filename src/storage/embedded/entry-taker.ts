import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { hash } from 'node:crypto'
import { type EntryFacts, readFacts } from '../entry-facts.ts'
import { ColumnBlocks } from './columns.ts'
import { idFields, idNumber, spanEntries, wordFields, type WordField } from './index-schema.ts'
import type { ReadFrame } from './journal-reader.ts'

const mostKnown = 20_000
const mostIds = 4096

/** Takes frames into the search tables. What it has taken is kept with each transaction. */
export class EntryTaker {
  readonly #database: DatabaseSync
  readonly #insert: Readonly<
    Record<'entry' | 'words' | 'word' | 'name' | 'span' | 'blob' | 'meta', StatementSync>
  >
  readonly #find: StatementSync
  readonly #count: StatementSync
  readonly #columns: ColumnBlocks
  /** Numbers of words, `field` and text in one key. */
  #known = new Map<string, number>()
  #counts = new Map<number, number>()
  /** The least and greatest time of each block of `span`, of the entries that are being taken. */
  #spans = new Map<number, { low: number; high: number }>()
  /** Hashes of ids of late. */
  readonly #ids = new Map<string, bigint>()

  constructor(database: DatabaseSync) {
    this.#database = database
    const columns = wordFields.length + idFields.length
    this.#insert = {
      entry: database.prepare(`INSERT INTO entry VALUES (?, ?${', ?'.repeat(columns)})`),
      words: database.prepare('INSERT INTO words (rowid, body) VALUES (?, ?)'),
      word: database.prepare('INSERT INTO word (field, text, entries) VALUES (?, ?, 0)'),
      name: database.prepare('INSERT OR IGNORE INTO name VALUES (?, ?)'),
      span: database.prepare(
        'INSERT INTO span VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)',
      ),
      blob: database.prepare('INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?)'),
      meta: database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    }
    this.#find = database.prepare('SELECT id FROM word WHERE field = ? AND text = ?')
    this.#columns = new ColumnBlocks(database)
    this.#count = database.prepare('UPDATE word SET entries = entries + ? WHERE id = ?')
  }

  /**
   * Takes in the entries of `frames` from `from`, all or none. Returns the index after the last. It does one thing for
   * all of them before it does the next: in turn, parser, trees and words would drive each other out of the CPU's caches.
   */
  take(frames: readonly ReadFrame[], from: number): number {
    const entries = frames.flatMap(frame => frame.entries.slice(Math.max(0, from - frame.start)))
    const facts = entries.map(entry => readFacts(entry))
    const bodies = facts.map(bodyOf)
    const next = from + entries.length
    const last = entries.at(-1)
    this.#database.exec('BEGIN')
    try {
      for (const [i, each] of facts.entries()) this.#takeEntry(from + i, each)
      for (const [i, body] of bodies.entries()) this.#insert.words.run(from + i, body)
      for (const { digest, segment, offset, length } of frames.flatMap(frame => frame.blobs))
        this.#insert.blob.run(Buffer.from(digest, 'hex'), segment, offset, length)
      for (const [id, count] of this.#counts) this.#count.run(count, id)
      for (const [block, { low, high }] of this.#spans) this.#insert.span.run(block, low, high)
      this.#columns.fill(from, next)
      this.#insert.meta.run('indexed', next)
      if (last !== undefined) this.#insert.meta.run('last', hash('sha256', last))
      this.#database.exec('COMMIT')
      return next
    } catch (error) {
      // Words that were new in this transaction are gone with it.
      this.#known.clear()
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    } finally {
      this.#counts.clear()
      this.#spans.clear()
    }
  }

  /** Forgets the entries of a frame below `below`: their rows, their words, and what no other entry has. */
  forget(frame: ReadFrame, below: number): void {
    this.#database.exec('BEGIN')
    try {
      this.#columns.forget(Math.min(below, frame.start + frame.entries.length))
      for (const [i, entry] of frame.entries.entries()) {
        if (frame.start + i < below) this.#forgetEntry(frame.start + i, readFacts(entry))
      }
      for (const [id, count] of this.#counts) this.#count.run(-count, id)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    } finally {
      this.#counts.clear()
    }
  }

  /** Forgets the times, texts and places that belonged to entries below `below` alone, in segments before `segment`. */
  forgetRest(below: number, segment: number): void {
    this.#known.clear()
    this.#ids.clear()
    this.#database.exec('BEGIN')
    this.#database.prepare('DELETE FROM blob WHERE segment < ?').run(segment)
    this.#database.prepare('DELETE FROM span WHERE block < ?').run(Math.floor(below / spanEntries))
    this.#database.exec(`
      DELETE FROM name WHERE who IN (SELECT id FROM word WHERE entries <= 0);
      DELETE FROM word WHERE entries <= 0;
      INSERT INTO words (words) VALUES ('optimize');
    `)
    this.#database.exec('COMMIT')
    this.#database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)')
  }

  #forgetEntry(seq: number, facts: EntryFacts): void {
    const { changes } = this.#database.prepare('DELETE FROM entry WHERE seq = ?').run(seq)
    // Forgotten already, by an attempt that was interrupted: its words are gone too.
    if (changes === 0) return
    this.#database
      .prepare(`INSERT INTO words (words, rowid, body) VALUES ('delete', ?, ?)`)
      .run(seq, bodyOf(facts))
    for (const field of wordFields) this.#word(field, facts)
  }

  #takeEntry(seq: number, facts: EntryFacts): void {
    const words = wordFields.map(field => this.#word(field, facts))
    const ids = idFields.map(field => this.#id(facts[field]))
    this.#insert.entry.run(seq, facts.time, ...words, ...ids)
    this.#span(Math.floor(seq / spanEntries), facts.time)
  }

  #span(block: number, time: number): void {
    const span = this.#spans.get(block)
    if (span === undefined) this.#spans.set(block, { low: time, high: time })
    else {
      span.low = Math.min(span.low, time)
      span.high = Math.max(span.high, time)
    }
  }

  /** An id comes again soon, if it does: in the other entry of its action, in the next of its session. */
  #id(text: string): bigint {
    let id = this.#ids.get(text)
    if (id !== undefined) return id
    if (this.#ids.size >= mostIds) this.#ids.clear()
    this.#ids.set(text, (id = idNumber(text)))
    return id
  }

  #word(field: WordField, facts: EntryFacts): number {
    const text = field === 'who' ? facts.names.join('\n') : facts[field]
    if (text === '') return 0
    const id = this.#wordId(field, text)
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
    return id
  }

  #wordId(field: WordField, text: string): number {
    const key = `${field}\n${text}`
    const known = this.#known.get(key) ?? this.#find.get(field, text)?.['id']
    let id = known === undefined ? undefined : Number(known)
    if (id === undefined) {
      id = Number(this.#insert.word.run(field, text).lastInsertRowid)
      if (field === 'who') for (const name of text.split('\n')) this.#insert.name.run(name, id)
    }
    if (this.#known.size >= mostKnown) this.#known.clear()
    this.#known.set(key, id)
    return id
  }
}

/** What the full-text index has of an entry, and must be given again to forget it. */
function bodyOf({ words }: EntryFacts): string {
  return [...words].join(' ')
}
