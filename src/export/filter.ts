import type { Entry } from '../audit/events.ts'
import type { SinkConfig } from '../config/sinks.ts'
import { compileGlobs } from '../policy/glob.ts'
import { humanFacts } from './datadog-events/index.ts'
import { describe } from './words.ts'

/** Whether a sink gets an entry. */
export type Filter = (entry: Entry) => boolean

/**
 * A sink's `filter`, all conditions of which must hold. Undefined where everything is wanted, so that a sink without a
 * filter parses nothing for it. An entry that concerns no connection is in no list of connections.
 */
export function filterOf({ filter, type }: Pick<SinkConfig, 'filter' | 'type'>): Filter | undefined {
  const { kinds = kindsOf[type], except, connections, outcomes } = filter
  const conditions: Filter[] = []
  if (kinds !== undefined) conditions.push(({ kind }) => isOneOf(kinds, kind))
  if (except.length > 0) conditions.push(({ kind }) => !isOneOf(except, kind))
  if (connections !== undefined) {
    const matches = compileGlobs(connections)
    conditions.push(({ connection }) => connection !== undefined && matches(connection.name))
  }
  if (outcomes !== undefined) {
    const wanted = new Set<string>(outcomes)
    conditions.push(entry => wanted.has(describe(entry).outcome))
  }
  return conditions.length === 0 ? undefined : entry => conditions.every(holds => holds(entry))
}

/** Of a sink that is not for everything, where its configuration names no kinds. */
const kindsOf: Partial<Record<SinkConfig['type'], readonly string[]>> = { 'datadog-events': humanFacts }

/**
 * Whether a sink can get entries of a kind at all: what is never shipped can't be watched at the far end. A filter by
 * connection or outcome lets through what actions and sessions have, and nothing that has neither.
 */
export function shippedKinds({ filter }: Pick<SinkConfig, 'filter'>): (kind: string) => boolean {
  const { kinds, except, connections, outcomes } = filter
  return kind =>
    (kinds === undefined || isOneOf(kinds, kind)) &&
    !isOneOf(except, kind) &&
    ((connections === undefined && outcomes === undefined) || /^(?:action|session)\./.test(kind))
}

function isOneOf(patterns: readonly string[], kind: string): boolean {
  return patterns.includes(kind) || patterns.includes(`${kind.split('.')[0]}.*`)
}
