import { type EntryFacts, matchesGlob, wordsOf } from './entry-facts.ts'
import type { EntryFilter } from './storage.ts'

/** Whether an entry passes a filter, from its facts alone: what the search tables find, for one entry. */
export function filterMatcher(filter: EntryFilter): (facts: EntryFacts) => boolean {
  const { since, until, kinds, operation } = filter
  const identity = filter.identity?.toLowerCase()
  const words = filter.text === undefined ? [] : wordsOf(filter.text)
  const exact = (['connection', 'outcome', 'session', 'action', 'approval', 'trace'] as const).filter(
    name => filter[name] !== undefined,
  )
  return facts =>
    (since === undefined || facts.time >= since) &&
    (until === undefined || facts.time < until) &&
    (kinds === undefined || kinds.includes(facts.kind)) &&
    (identity === undefined || facts.names.includes(identity)) &&
    (operation === undefined || matchesGlob(operation, facts.operation)) &&
    exact.every(name => facts[name] === filter[name]) &&
    words.every(word => facts.words.has(word))
}
