import type { EntryQuery } from './storage.ts'

/** Throws TypeError for a query that no caller should make. */
export function checkQuery(query: EntryQuery): void {
  const { limit, after } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new TypeError('limit must be 1 to 1000')
  if (after !== undefined && !Number.isSafeInteger(after)) throw new TypeError('after must be a leaf index')
}
