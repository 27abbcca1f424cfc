import { type KindSet, kindSets } from '../../api/kinds.ts'
import type { EntriesQuery } from '../../api/views.ts'
import type { SearchParams } from '../../search-params.ts'

export const standardSince = '24h'

/** What the API is asked for what the address says. `all`: from the beginning of the log. */
export function queryOf(search: SearchParams): EntriesQuery {
  const { show = 'actions', kind, since = standardSince, outcome, ...rest } = search
  const kinds = kind ?? kindSets[show as KindSet]?.kinds.join(',') ?? ''
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  return {
    ...(given as Readonly<Record<string, string>>),
    ...(since === 'all' ? {} : { since }),
    ...(kinds === '' ? {} : { kind: kinds }),
    ...(isOutcome(outcome) ? { outcome } : {}),
  }
}

export const outcomes = ['success', 'failure', 'denied', 'unknown'] as const

function isOutcome(value: string | undefined): value is (typeof outcomes)[number] {
  return outcomes.some(each => each === value)
}

/** As an address has it after `?`. */
export function addressOf(query: EntriesQuery): string {
  return new URLSearchParams(
    Object.entries(query).map(([key, value]) => [key, String(value)] as [string, string]),
  ).toString()
}
