/**
 * Whether a detection rule of Cloud SIEM would make a signal, over logs that are at hand. Threshold, new value and
 * sequence as documented; the learned anomaly is imitated by a multiple of the busiest window before.
 */
import { aggregate } from './operations/log-analytics.ts'
import { parseLogQuery, type SearchedLog, valuesOf } from './operations/log-query.ts'
import type { Json } from './wire.ts'

interface RuleQuery {
  readonly query: string
  readonly aggregation: string
  readonly groupByFields: readonly string[]
  readonly metric?: string
}

/** One signal: the group it is about, and when what it is about was complete, milliseconds. */
export interface Signal {
  readonly by: Readonly<Record<string, string>>
  readonly at: number
}

/** The signals that these logs, all of them, make. Throws SyntaxError for what it does not understand. */
export function evaluateRule(rule: Json, logs: readonly SearchedLog[]): Signal[] {
  const queries = rule['queries'] as readonly RuleQuery[]
  const options = rule['options'] as Json
  const found = queries.map(({ query }) =>
    logs.filter(parseLogQuery(query)).toSorted((a, b) => a.time - b.time),
  )
  switch (options['detectionMethod']) {
    case 'threshold':
      return thresholds(rule, queries, found)
    case 'new_value':
      return newValues(options, queries[0]!, found[0]!)
    case 'sequence_detection':
      return sequences(options, queries, found)
    case 'anomaly_detection':
      return anomalies(options, queries[0]!, found[0]!)
    default:
      throw new SyntaxError(`unknown method: ${String(options['detectionMethod'])}`)
  }
}

interface Condition {
  readonly letter: string
  readonly limit: number
}

/** `a > 0`. */
function conditionOf(text: unknown): Condition {
  const [, letter, limit] = /^([a-z_]+) > (\d+(?:\.\d+)?)$/.exec(String(text)) ?? []
  if (letter === undefined) throw new SyntaxError(`not understood: ${String(text)}`)
  return { letter, limit: Number(limit) }
}

function grouped({ groupByFields }: RuleQuery, logs: readonly SearchedLog[]) {
  return aggregate(
    logs,
    groupByFields.map(facet => ({ facet })),
    [{ aggregation: 'count' }],
  )
}

/** When, for the first time, more than `limit` of them were within the window; undefined where never. */
function reached(logs: readonly SearchedLog[], limit: number, windowMs: number): number | undefined {
  for (let i = limit; i < logs.length; i++) {
    if (logs[i]!.time - logs[i - limit]!.time <= windowMs) return logs[i]!.time
  }
  return undefined
}

function thresholds(rule: Json, queries: readonly RuleQuery[], found: readonly SearchedLog[][]): Signal[] {
  const windowMs = Number((rule['options'] as Json)['evaluationWindow']) * 1000
  return (rule['cases'] as Json[]).flatMap(each => {
    const { letter, limit } = conditionOf(each['condition'])
    const index = letter.charCodeAt(0) - 97
    return grouped(queries[index]!, found[index]!).flatMap(({ by, logs }) => {
      const at = reached(logs, limit, windowMs)
      return at === undefined ? [] : [{ by, at }]
    })
  })
}

/** A value that a group did not have while it was learned, `learningDuration` days from its first log on. */
function newValues(options: Json, query: RuleQuery, found: readonly SearchedLog[]): Signal[] {
  const { learningDuration } = options['newValueOptions'] as { learningDuration: number }
  const of = valuesOf(query.metric!)
  return grouped(query, found).flatMap(({ by, logs }) => {
    const learned = logs[0]!.time + learningDuration * 86_400_000
    const seen = new Set(logs.filter(({ time }) => time < learned).flatMap(of))
    const signals: Signal[] = []
    for (const log of logs.filter(({ time }) => time >= learned)) {
      const fresh = of(log).filter(value => !seen.has(value))
      fresh.forEach(value => seen.add(value))
      if (fresh.length > 0) signals.push({ by, at: log.time })
    }
    return signals
  })
}

interface Sequence {
  readonly steps: readonly {
    readonly name: string
    readonly condition: string
    readonly evaluationWindow: number
  }[]
  readonly stepTransitions: readonly {
    readonly parent: string
    readonly child: string
    readonly evaluationWindow: number
  }[]
}

/** Two steps of one group, the second after the first and within the transition's time. */
function sequences(options: Json, queries: readonly RuleQuery[], found: readonly SearchedLog[][]): Signal[] {
  const { steps, stepTransitions } = options['sequenceDetectionOptions'] as Sequence
  const [transition, ...more] = stepTransitions
  if (transition === undefined || more.length > 0) throw new SyntaxError('two steps are understood, no more')
  const step = (name: string) => {
    const { condition, evaluationWindow } = steps.find(each => each.name === name)!
    const { letter, limit } = conditionOf(condition)
    const index = letter.charCodeAt(0) - 97
    return { limit, windowMs: evaluationWindow * 1000, groups: grouped(queries[index]!, found[index]!) }
  }
  const [first, second] = [step(transition.parent), step(transition.child)]
  return first.groups.flatMap(({ by, logs }) => {
    const at = reached(logs, first.limit, first.windowMs)
    const own = second.groups.find(each => JSON.stringify(each.by) === JSON.stringify(by))
    if (at === undefined || own === undefined) return []
    const after = own.logs.filter(({ time }) => time > at && time <= at + transition.evaluationWindow * 1000)
    const end = reached(after, second.limit, second.windowMs)
    return end === undefined ? [] : [{ by, at: end }]
  })
}

function anomalies(options: Json, query: RuleQuery, found: readonly SearchedLog[]): Signal[] {
  const { bucketDuration, detectionTolerance, learningDuration } = options[
    'anomalyDetectionOptions'
  ] as Readonly<Record<string, number>>
  const bucketMs = bucketDuration! * 1000
  return grouped(query, found).flatMap(({ by, logs }) => {
    const first = logs[0]!.time
    const counts = Map.groupBy(logs, ({ time }) => Math.floor((time - first) / bucketMs))
    const learned = (learningDuration! * 3_600_000) / bucketMs
    const usual = [...counts].filter(([bucket]) => bucket < learned).map(([, each]) => each.length)
    const limit = Math.max(0, ...usual) * detectionTolerance!
    return [...counts]
      .filter(([bucket, each]) => bucket >= learned && each.length > limit)
      .map(([bucket]) => ({ by, at: first + bucket * bucketMs }))
  })
}
