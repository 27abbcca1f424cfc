import type { CountField, CountQuery, FieldCounts, KeyCount } from './storage.ts'

const approvals = 'approval.'

/** The key under which an entry of this kind counts by `approval`; empty for entries that are about none. */
export function approvalKey(kind: string): string {
  return kind.startsWith(approvals) ? kind.slice(approvals.length) : ''
}

/** The `top` keys with most entries, ties by name, and the others together. `keys` without a name count nowhere. */
export function topKeys(
  entries: ReadonlyMap<string, number>,
  top: number,
): { readonly first: readonly string[]; readonly rest: readonly string[] } {
  const sorted = [...entries]
    .filter(([key]) => key !== '')
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .map(([key]) => key)
  return { first: sorted.slice(0, top), rest: sorted.slice(top) }
}

/** One field's answer from the totals of its keys and, with buckets, a row of counts per named key and one for the others. */
export function fieldCounts(
  totals: ReadonlyMap<string, number>,
  { first, rest }: ReturnType<typeof topKeys>,
  rows: { readonly of: (key: string) => readonly number[]; readonly others: readonly number[] } | undefined,
): FieldCounts {
  const keys: KeyCount[] = first.map(key => ({
    key,
    entries: totals.get(key)!,
    ...(rows === undefined ? {} : { buckets: rows.of(key) }),
  }))
  if (rest.length === 0) return { keys }
  const entries = rest.reduce((sum, key) => sum + totals.get(key)!, 0)
  return {
    keys,
    other: { keys: rest.length, entries, ...(rows === undefined ? {} : { buckets: rows.others }) },
  }
}

/** The bucket of a time; -1 for a time outside of them. */
export function bucketOf(time: number, { from, width, count }: NonNullable<CountQuery['buckets']>): number {
  const at = Math.floor((time - from) / width)
  return at >= 0 && at < count ? at : -1
}

/** The filter's times, narrowed to those of the buckets. */
export function timesOf({ filter, buckets }: CountQuery): { readonly since: number; readonly until: number } {
  const { since = -Number.MAX_SAFE_INTEGER, until = Number.MAX_SAFE_INTEGER } = filter
  if (buckets === undefined) return { since, until }
  const { from, width, count } = buckets
  return { since: Math.max(since, from), until: Math.min(until, from + width * count) }
}

/** The column that a field's keys are in. */
export function columnOf(field: CountField): 'kind' | 'who' | 'connection' | 'operation' | 'outcome' {
  if (field === 'identity') return 'who'
  return field === 'approval' ? 'kind' : field
}
