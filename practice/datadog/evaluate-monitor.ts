/**
 * Whether a monitor would fire, over logs that are at hand: a stand-in for Datadog's own evaluation. Windows, groups,
 * rollups, thresholds and missing data as documented. What Datadog learns is only imitated: `anomalies` compares with
 * the median and the spread of the same hour before, which is neither of its algorithms.
 */
import { aggregate, type Compute, isAggregation } from './operations/log-analytics.ts'
import { parseLogQuery, type SearchedLog, valuesOf } from './operations/log-query.ts'
import {
  type AnomalyQuery,
  type CountQuery,
  durationOf,
  evaluateFormula,
  exceeds,
  type FormulaQuery,
  parseMonitorQuery,
} from './monitor-query.ts'
import type { Json } from './wire.ts'

/** What monitors look at. */
export interface Watched {
  readonly logs: readonly SearchedLog[]
  readonly audits?: readonly SearchedLog[]
  /** Log-based metrics by id: the `attributes` of their definition. */
  readonly metrics?: ReadonlyMap<string, Json>
}

/** One group that is in alert. */
export interface Alert {
  readonly by: Readonly<Record<string, string>>
  readonly value: number
}

/** The groups in alert at `now` (milliseconds). Throws SyntaxError for what it does not understand. */
export function evaluateMonitor(monitor: Json, watched: Watched, now: number): Alert[] {
  const query = parseMonitorQuery(String(monitor['query']))
  const options = (monitor['options'] ?? {}) as Json
  const thresholds = options['thresholds'] as Json
  if (thresholds['critical'] !== query.value)
    throw new SyntaxError('the critical threshold is not that of the query')
  switch (query.kind) {
    case 'formula':
      return formula(query, options, { watched, now })
    case 'anomalies':
      return anomalies(query, watched, now)
    case 'logs':
    case 'audits':
      return counted(query, options, { watched, now })
  }
}

interface At {
  readonly watched: Watched
  readonly now: number
}

function inside(logs: readonly SearchedLog[], now: number, lastMs: number): SearchedLog[] {
  return logs.filter(({ time }) => time > now - lastMs && time <= now)
}

function counted(query: CountQuery, options: Json, { watched, now }: At): Alert[] {
  const isWanted = parseLogQuery(query.search)
  const all = (query.kind === 'logs' ? watched.logs : (watched.audits ?? [])).filter(isWanted)
  const facets = query.by.map(facet => ({ facet }))
  const compute: Compute = {
    aggregation: query.aggregation,
    ...(query.metric === undefined ? {} : { metric: query.metric }),
  }
  const here = aggregate(inside(all, now, query.lastMs), facets, [compute])
  const values = new Map(here.map(({ by, values: [value] }) => [JSON.stringify(by), value!]))
  // A group that was there before is known for a while; without events it counts as none, where that is asked for.
  if (options['on_missing_data'] === 'default') {
    const known = durationOf(String(options['group_retention_duration'] ?? '1d'))
    for (const { by } of aggregate(inside(all, now, known), facets, [compute])) {
      const key = JSON.stringify(by)
      if (!values.has(key)) values.set(key, 0)
    }
  }
  return [...values]
    .filter(([, value]) => exceeds(value, query))
    .map(([by, value]) => ({ by: JSON.parse(by) as Alert['by'], value }))
}

interface Variable {
  readonly name: string
  readonly search: { readonly query: string }
  readonly compute: { readonly aggregation: string; readonly metric?: string }
  readonly group_by: readonly { readonly facet: string }[]
}

/** Groups that every variable has. */
function formula(query: FormulaQuery, options: Json, { watched, now }: At): Alert[] {
  const groups = new Map<string, Record<string, number>>()
  const variables = options['variables'] as readonly Variable[]
  for (const { name, search, compute, group_by: facets } of variables) {
    const { aggregation } = compute
    if (!isAggregation(aggregation)) throw new SyntaxError(`unknown: ${aggregation}`)
    const found = inside(watched.logs, now, query.lastMs).filter(parseLogQuery(search.query))
    for (const { by, values } of aggregate(found, facets, [{ ...compute, aggregation }])) {
      const key = JSON.stringify(by)
      groups.set(key, { ...groups.get(key), [name]: values[0]! })
    }
  }
  return [...groups]
    .filter(([, values]) => Object.keys(values).length === variables.length)
    .map(([by, values]) => ({
      by: JSON.parse(by) as Alert['by'],
      value: evaluateFormula(query.formula, values),
    }))
    .filter(({ value }) => exceeds(value, query))
}

/** One count of a log-based metric. */
export interface MetricPoint {
  readonly tags: Readonly<Record<string, string>>
  readonly time: number
}

/** The points of a log-based metric: one for each log it takes, with the tags it groups by. */
export function metricPoints(definition: Json, logs: readonly SearchedLog[]): MetricPoint[] {
  const { query } = definition['filter'] as { query: string }
  const groups = (definition['group_by'] ?? []) as { path: string; tag_name: string }[]
  return logs.filter(parseLogQuery(query)).map(log => ({
    time: log.time,
    tags: Object.fromEntries(groups.map(({ path, tag_name }) => [tag_name, valuesOf(path)(log)[0] ?? 'N/A'])),
  }))
}

function anomalies(query: AnomalyQuery, { logs, metrics }: Watched, now: number): Alert[] {
  const definition = metrics?.get(query.metric)
  if (definition === undefined) throw new SyntaxError(`there is no metric ${query.metric}`)
  const points = metricPoints(definition, logs)
  for (const tag of query.by) {
    if (points.some(({ tags }) => !(tag in tags))) throw new SyntaxError(`${query.metric} has no tag ${tag}`)
  }
  const groups = Map.groupBy(points, ({ tags }) => JSON.stringify(query.by.map(tag => tags[tag])))
  return [...groups]
    .map(([key, own]) => {
      const names = JSON.parse(key) as string[]
      return {
        by: Object.fromEntries(query.by.map((tag, i) => [tag, names[i]!])),
        value: anomalousShare(query, own, now),
      }
    })
    .filter(({ value }) => exceeds(value, query))
}

/** The share of the intervals of the alert window that are above what was usual, 0 to 1. */
function anomalousShare(query: AnomalyQuery, points: readonly MetricPoint[], now: number): number {
  const { intervalMs, alertWindowMs, deviations } = query
  const count = (end: number) => points.filter(({ time }) => time > end - intervalMs && time <= end).length
  const ends = Array.from({ length: alertWindowMs / intervalMs }, (_, i) => now - i * intervalMs)
  const hour = 3_600_000
  const usual = Array.from({ length: 6 }, (_, i) =>
    ends.map(end => count(end - (i + 1) * (i < 3 ? hour : 24 * hour))),
  ).flat()
  const middle = medianOf(usual)
  // At least one, since counts that never vary would else make every further one unusual.
  const spread = Math.max(1, medianOf(usual.map(each => Math.abs(each - middle))) * 1.4826)
  const above = ends.filter(end => count(end) > middle + deviations * spread)
  return above.length / ends.length
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
}
