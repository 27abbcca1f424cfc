import { createHash } from 'node:crypto'
import type { Connection } from '../model/connection.ts'

const known = new WeakMap<Connection, string>()

/**
 * SHA-256, hex, of everything that is configured of a connection (references to secrets, never secrets): an approval
 * shown for one upstream must not be used on another of the same name.
 */
export function connectionVersion(connection: Connection): string {
  let version = known.get(connection)
  if (version === undefined) {
    version = createHash('sha256').update(JSON.stringify(connection, plain)).digest('hex')
    known.set(connection, version)
  }
  return version
}

/** Sorted keys, and a form for what JSON would drop. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof RegExp || typeof value === 'function' || typeof value === 'bigint')
    return String(value)
  if (value instanceof Map || value instanceof Set) return [...value]
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
