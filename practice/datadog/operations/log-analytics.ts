/** Counting over logs as Datadog does: by group, with the aggregations of its queries. Exact where Datadog estimates. */
import { type SearchedLog, valuesOf } from './log-query.ts'

const plain = ['count', 'cardinality', 'sum', 'avg', 'min', 'max', 'median'] as const
type Plain = (typeof plain)[number]

export type Aggregation = Plain | `pc${number}`

export interface Compute {
  readonly aggregation: Aggregation
  /** A facet or measure; all but `count` need one. */
  readonly metric?: string
}

export function isAggregation(text: string): text is Aggregation {
  return (plain as readonly string[]).includes(text) || /^pc\d{2}$/.test(text)
}

export interface Group {
  /** Facet to value. */
  readonly by: Readonly<Record<string, string>>
  /** One for each compute. */
  readonly values: readonly number[]
  readonly logs: readonly SearchedLog[]
}

/** Groups with the largest first value first. Logs without one of the facets are in no group. */
export function aggregate(
  logs: readonly SearchedLog[],
  groups: readonly { readonly facet: string; readonly limit?: number }[],
  computes: readonly Compute[],
): Group[] {
  if (groups.length === 0) return [{ by: {}, values: computes.map(each => computed(logs, each)), logs }]
  const facets = groups.map(({ facet }) => ({ facet, of: valuesOf(facet) }))
  const having = logs.filter(log => facets.every(({ of }) => of(log).length > 0))
  const together = Map.groupBy(having, log => JSON.stringify(facets.map(({ of }) => of(log)[0])))
  const made = [...together].map(([key, own]) => {
    const values = JSON.parse(key) as string[]
    return {
      by: Object.fromEntries(facets.map(({ facet }, i) => [facet, values[i]!])),
      values: computes.map(each => computed(own, each)),
      logs: own,
    }
  })
  const limit = groups.reduce((product, each) => product * (each.limit ?? 1000), 1)
  return made.toSorted((a, b) => (b.values[0] ?? 0) - (a.values[0] ?? 0)).slice(0, limit)
}

/** Of nothing, a count is 0 and anything else NaN. */
export function computed(logs: readonly SearchedLog[], { aggregation, metric = '' }: Compute): number {
  if (aggregation === 'count') return logs.length
  const values = logs.flatMap(valuesOf(metric))
  if (aggregation === 'cardinality') return new Set(values).size
  const numbers = values.map(Number).filter(Number.isFinite)
  if (aggregation === 'sum') return numbers.reduce((total, each) => total + each, 0)
  if (numbers.length === 0) return Number.NaN
  switch (aggregation) {
    case 'avg':
      return numbers.reduce((total, each) => total + each, 0) / numbers.length
    case 'min':
      return numbers.reduce((least, each) => Math.min(least, each), Infinity)
    case 'max':
      return numbers.reduce((most, each) => Math.max(most, each), -Infinity)
    case 'median':
      return percentile(numbers, 50)
    default:
      return percentile(numbers, Number(aggregation.slice(2)))
  }
}

/** By nearest rank. */
function percentile(numbers: readonly number[], percent: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}
