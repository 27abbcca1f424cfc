import type { CountQuery, EntryQuery } from './storage.ts'

/** Throws TypeError for a query that no caller should make. */
export function checkQuery(query: EntryQuery): void {
  const { limit, after } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new TypeError('limit must be 1 to 1000')
  if (after !== undefined && !Number.isSafeInteger(after)) throw new TypeError('after must be a leaf index')
}

/** As `checkQuery`, for counts. */
export function checkCount({ fields, top, buckets }: CountQuery): void {
  if (fields.length < 1 || fields.length > 6) throw new TypeError('count by 1 to 6 fields')
  if (!Number.isInteger(top) || top < 1 || top > 100) throw new TypeError('top must be 1 to 100')
  if (buckets === undefined) return
  const { from, width, count } = buckets
  if (!Number.isSafeInteger(from)) throw new TypeError('from must be milliseconds')
  if (!Number.isSafeInteger(width) || width < 1) throw new TypeError('width must be milliseconds')
  if (!Number.isInteger(count) || count < 1 || count > 1000) throw new TypeError('1 to 1000 buckets')
}
