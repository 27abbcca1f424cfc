/**
 * What Datadog takes of one log: fewer than 256 attributes, names under 50 characters, nested under 10 levels, and of
 * our own choice at most 64 kB (a log over 1 MB is cut with a 2xx: a silent loss).
 */

/** Attributes of one event, the leaf count that Datadog limits. */
export const maxAttributes = 250
export const maxNameLength = 49
export const maxDepth = 9

export type Attributes = Record<string, unknown>

/** Counts down the attributes that are left and remembers whether anything had to be left out. */
export interface Budget {
  attributes: number
  readonly maxString: number
  truncated: boolean
}

/**
 * A copy of `value` within the limits, for an attribute at `depth` (1: top level). Undefined where nothing is left of
 * it. An array counts as one attribute per element, since objects in arrays are indexed one by one.
 */
export function fit(value: unknown, depth: number, budget: Budget): unknown {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'object') {
    if (depth >= maxDepth) return leave(budget)
    return Array.isArray(value) ? fitArray(value, depth, budget) : fitObject(value, depth, budget)
  }
  if (budget.attributes <= 0) return leave(budget)
  budget.attributes--
  return typeof value === 'string' ? fitString(value, budget) : value
}

/** Members in their order until the budget is spent. */
export function fitObject(value: object, depth: number, budget: Budget): Attributes | undefined {
  const out: Attributes = Object.create(null) as Attributes
  let any = false
  for (const [name, each] of Object.entries(value)) {
    const fitted = fit(each, depth + 1, budget)
    if (fitted === undefined) continue
    out[fitName(name, budget)] = fitted
    any = true
  }
  return any ? out : undefined
}

function fitArray(value: readonly unknown[], depth: number, budget: Budget): unknown[] {
  const out: unknown[] = []
  for (const each of value) {
    const fitted = fit(each, depth + 1, budget)
    if (fitted !== undefined) out.push(fitted)
    if (budget.attributes <= 0) break
  }
  if (out.length < value.length) budget.truncated = true
  return out
}

function fitString(value: string, budget: Budget): string {
  if (value.length <= budget.maxString) return value
  budget.truncated = true
  return `${value.slice(0, budget.maxString).toWellFormed()}…`
}

/** A dot in a name would read as nesting at the far end. */
function fitName(name: string, budget: Budget): string {
  if (name.length <= maxNameLength) return name
  budget.truncated = true
  return name.slice(0, maxNameLength).toWellFormed()
}

function leave(budget: Budget): undefined {
  budget.truncated = true
  return undefined
}
