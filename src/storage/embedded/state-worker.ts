/**
 * State in SQLite, in a thread of its own: write-ahead log, synced at each commit. A deletion overwrites the value's
 * bytes, empties the write-ahead log, and then looks whether any copy is left in the file.
 */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { serve } from './worker-call.ts'

const { path } = workerData as { path: string }
const database = new DatabaseSync(path)
database.exec(`
  PRAGMA secure_delete = ON;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS state (
    space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (space, key)
  ) WITHOUT ROWID;
`)

const get = database.prepare('SELECT value, version FROM state WHERE space = ? AND key = ?')
const insert = database.prepare('INSERT OR IGNORE INTO state VALUES (?, ?, ?, 1)')
const update = database.prepare(
  'UPDATE state SET value = ?, version = version + 1 WHERE space = ? AND key = ? AND version = ?',
)
const remove = database.prepare('DELETE FROM state WHERE space = ? AND key = ?')
const list = database.prepare(`
  SELECT key, value, version FROM state
  WHERE space = :space AND key >= :from AND key > :after AND substr(key, 1, length(:from)) = :from
  ORDER BY key LIMIT :limit
`)

serve({
  open: () => undefined,
  get: ({ space, key }: { space: string; key: string }) => get.get(space, key),
  put({ space, key, value, expected }: { space: string; key: string; value: string; expected: number }) {
    const { changes } =
      expected === 0 ? insert.run(space, key, value) : update.run(value, space, key, expected)
    return changes === 1
  },
  delete({ space, key }: { space: string; key: string }) {
    const found = get.get(space, key)
    if (found === undefined) return
    remove.run(space, key)
    emptyWriteAheadLog()
    if (isLeftBehind(String(found['value']))) {
      database.exec('VACUUM')
      emptyWriteAheadLog()
    }
  },
  list: ({ space, prefix, after, limit }: { space: string; prefix: string; after: string; limit: number }) =>
    list.all({ space, from: prefix, after, limit }),
  close() {
    database.close()
  },
})

function emptyWriteAheadLog(): void {
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

const pieceBytes = 48

/**
 * Whether a piece of the value still stands in the file. `secure_delete` overwrites what it frees, but a page that was
 * rearranged may keep an old copy in its unused middle. Values too short to tell apart hold no secret.
 */
function isLeftBehind(value: string): boolean {
  const bytes = Buffer.from(value)
  if (bytes.length < 16) return false
  const file = readFileSync(path)
  for (let at = 0; at < bytes.length; at += Math.max(pieceBytes, bytes.length >> 4)) {
    const piece = bytes.subarray(Math.max(0, Math.min(at, bytes.length - pieceBytes)), at + pieceBytes)
    if (file.includes(piece)) return true
  }
  return false
}
