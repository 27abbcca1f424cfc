import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StorageLockedError } from '../storage.ts'
import { sqliteCode } from './worker-call.ts'

const busy = 5

/**
 * Holds a directory for one writer. The lock is SQLite's own on an empty database, which is the kernel's (fcntl): it
 * goes with the process however that ends, holds across containers that share the directory, and between two openings
 * in one process. Throws StorageLockedError.
 */
export function lockDirectory(directory: string): () => void {
  const database = new DatabaseSync(join(directory, 'lock'))
  const holder = join(directory, 'lock.pid')
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (sqliteCode(error) !== busy) throw error
    throw new StorageLockedError(`the data directory is in use${describe(holder)}`)
  }
  writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 })
  return () => database.close()
}

/** The file is a hint for people; the lock does not depend on it. */
function describe(holder: string): string {
  try {
    return ` by process ${Number(readFileSync(holder, 'utf8'))}`
  } catch {
    return ''
  }
}
