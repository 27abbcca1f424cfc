/**
 * The search tables. Texts that few entries differ in (kind, who, connection, operation, outcome) are numbers into
 * `word`, with a count of their entries; ids that nearly every entry differs in are hashes. A row is about 40 bytes, so
 * that even walking all of a million rows is quick. Ids have no trees of their own, in which each would go to a place of
 * its own: they are among the entry's words, and the full-text index, which merges sorted runs, finds them.
 */
import type { DatabaseSync } from 'node:sqlite'
import { sha256 } from '../../sha256.ts'

export const schemaVersion = 4

/** Columns that hold numbers into `word`; `who` is all names of an entry in one. 0 is the empty text. */
export const wordFields = ['kind', 'who', 'connection', 'operation', 'outcome'] as const
export type WordField = (typeof wordFields)[number]

/** Columns that hold hashes. 0 is the empty text. */
export const idFields = ['session', 'action', 'approval', 'trace'] as const

/** Entries per row of `span`, which keeps the least and greatest time of so many. */
export const spanEntries = 1024

export function createTables(database: DatabaseSync): void {
  const columns = [...wordFields, ...idFields]
  database.exec(`
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE word (
      id INTEGER PRIMARY KEY, field TEXT NOT NULL, text TEXT NOT NULL, entries INTEGER NOT NULL, UNIQUE (field, text)
    );
    CREATE TABLE name (name TEXT NOT NULL, who INTEGER NOT NULL, PRIMARY KEY (name, who)) WITHOUT ROWID;
    CREATE TABLE entry (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, ${columns.map(each => `${each} INTEGER NOT NULL`).join(', ')});
    ${wordFields.map(each => `CREATE INDEX entry_${each} ON entry (${each}) WHERE ${each} <> 0;`).join('\n')}
    CREATE TABLE span (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);
    CREATE TABLE columns (
      block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL, entries INTEGER NOT NULL, body BLOB NOT NULL
    );
    CREATE TABLE blob (
      digest BLOB PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5 (body, content = '', columnsize = 0, detail = none, tokenize = 'ascii');
  `)
}

/** A text as 63 bits; two texts of one log are the same number only by a chance of 1 in 2^63. */
export function idNumber(text: string): bigint {
  if (text === '') return 0n
  return sha256(text).readBigUInt64LE(0) >> 1n
}
