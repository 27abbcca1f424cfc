/**
 * The queries of monitors, read as Datadog documents them: `logs("...").index("*").rollup("cardinality", "@a").by("@b")
 * .last("5m") > 0`, `audits(...)`, `formula("a - b").last("15m") > 0`, `avg(last_4h):anomalies(sum:metric{*} by
 * {tag}.as_count(), ...) >= 1`. What is not understood throws SyntaxError: a stand-in must not guess.
 */

export type Comparator = '>' | '>=' | '<' | '<='

export interface Threshold {
  readonly comparator: Comparator
  readonly value: number
}

export interface CountQuery extends Threshold {
  readonly kind: 'logs' | 'audits'
  readonly search: string
  readonly aggregation: 'count' | 'cardinality' | 'avg' | 'sum' | 'min' | 'max'
  readonly metric: string | undefined
  readonly by: readonly string[]
  readonly lastMs: number
}

export interface FormulaQuery extends Threshold {
  readonly kind: 'formula'
  readonly formula: string
  readonly lastMs: number
}

export interface AnomalyQuery extends Threshold {
  readonly kind: 'anomalies'
  readonly metric: string
  readonly by: readonly string[]
  readonly deviations: number
  readonly direction: string
  readonly intervalMs: number
  readonly alertWindowMs: number
  readonly zeroDefault: boolean
}

export type MonitorQuery = CountQuery | FormulaQuery | AnomalyQuery

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function durationOf(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  if (count === undefined || unit === undefined) throw new SyntaxError(`no duration: ${text}`)
  return Number(count) * units[unit]!
}

export function exceeds(value: number, { comparator, value: limit }: Threshold): boolean {
  switch (comparator) {
    case '>':
      return value > limit
    case '>=':
      return value >= limit
    case '<':
      return value < limit
    case '<=':
      return value <= limit
  }
}

export function parseMonitorQuery(query: string): MonitorQuery {
  const end = /\s(>=|<=|>|<)\s(-?\d+(?:\.\d+)?)$/.exec(query)
  if (end === null) throw new SyntaxError(`no comparison at the end of ${query}`)
  const threshold: Threshold = { comparator: end[1] as Comparator, value: Number(end[2]) }
  const body = query.slice(0, end.index)
  const anomalies = /^avg\(last_\w+\):anomalies\((.*)\)$/.exec(body)
  if (anomalies !== null) return anomalyOf(anomalies[1]!, threshold)
  const [first, ...rest] = callsOf(body)
  const last = rest.find(({ name }) => name === 'last')?.args[0]
  if (first === undefined || last === undefined) throw new SyntaxError(`no window in ${query}`)
  const lastMs = durationOf(last)
  // Datadog's windows of log monitors: 1 to 2880 minutes.
  if (lastMs < 60_000 || lastMs > 48 * 3_600_000) throw new SyntaxError(`no window of a monitor: ${last}`)
  if (first.name === 'formula') return { kind: 'formula', formula: first.args[0]!, lastMs, ...threshold }
  if (first.name !== 'logs' && first.name !== 'audits') throw new SyntaxError(`unknown: ${first.name}`)
  const rollup = rest.find(({ name }) => name === 'rollup')?.args ?? []
  const by = rest.find(({ name }) => name === 'by')?.args[0]
  return {
    kind: first.name,
    search: first.args[0]!,
    aggregation: aggregationOf(rollup[0]),
    metric: rollup[1],
    by: by === undefined ? [] : by.split(','),
    lastMs,
    ...threshold,
  }
}

function aggregationOf(text: string | undefined): CountQuery['aggregation'] {
  const known = ['count', 'cardinality', 'avg', 'sum', 'min', 'max'] as const
  const found = known.find(each => each === text)
  if (found === undefined) throw new SyntaxError(`unknown rollup: ${text}`)
  return found
}

/** `a("x").b("y", "z")` as names and the texts of their arguments. */
function callsOf(text: string): { readonly name: string; readonly args: readonly string[] }[] {
  const calls: { name: string; args: string[] }[] = []
  const call = /\.?([a-z]+)\(((?:\s*"(?:\\.|[^"\\])*"\s*,?)*)\)/y
  while (call.lastIndex < text.length) {
    const at = call.lastIndex
    const found = call.exec(text)
    if (found === null) throw new SyntaxError(`not understood: ${text.slice(at)}`)
    const args = [...found[2]!.matchAll(/"((?:\\.|[^"\\])*)"/g)].map(([, each]) =>
      each!.replaceAll('\\"', '"'),
    )
    calls.push({ name: found[1]!, args })
  }
  return calls
}

function anomalyOf(text: string, threshold: Threshold): AnomalyQuery {
  const form =
    /^sum:([\w.]+)\{\*\} by \{([\w,]+)\}\.as_count\(\), '(?:basic|agile|robust)', (\d+)((?:, \w+='?\w+'?)*)$/
  const [, metric, by, deviations, rest] = form.exec(text) ?? []
  if (metric === undefined || by === undefined) throw new SyntaxError(`not understood: ${text}`)
  const options = new Map([...rest!.matchAll(/(\w+)='?(\w+)'?/g)].map(([, name, value]) => [name!, value!]))
  return {
    kind: 'anomalies',
    metric,
    by: by.split(','),
    deviations: Number(deviations),
    direction: options.get('direction') ?? 'both',
    intervalMs: Number(options.get('interval') ?? 60) * 1000,
    alertWindowMs: durationOf((options.get('alert_window') ?? 'last_15m').replace('last_', '')),
    zeroDefault: options.get('count_default_zero') === 'true',
    ...threshold,
  }
}

/** Sums and differences of names and whole numbers, which is all that formulas here may be. */
export function evaluateFormula(formula: string, values: Readonly<Record<string, number>>): number {
  const parts = formula.match(/[+-]|\w+/g) ?? []
  if (parts.join('') !== formula.replaceAll(/\s/g, '')) throw new SyntaxError(`not understood: ${formula}`)
  let total = 0
  let sign = 1
  for (const part of parts) {
    if (part === '+' || part === '-') sign = part === '+' ? 1 : -1
    else {
      const value = /^\d+$/.test(part) ? Number(part) : values[part]
      if (value === undefined) throw new SyntaxError(`${part} is no variable of ${formula}`)
      total += sign * value
    }
  }
  return total
}
