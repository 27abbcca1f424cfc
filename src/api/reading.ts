import { subjectFacts } from '../model/subject.ts'
import type { Call } from './route.ts'

const quietFor = 10 * 60_000
const remembered = 1000
const recent = new Map<string, number>()

/**
 * Writes that the caller reads the log (P10). A caller who pages or polls with the same filters is noted once in ten
 * minutes, or following the log would itself fill the log.
 */
export async function noteReading(call: Call<unknown, unknown, unknown>, what: string): Promise<void> {
  const filters = describeFilters(call.query)
  const hours = Object.entries(filters).map(([name, value]) => [
    name,
    times.has(name) ? hourOf(value) : value,
  ])
  const { subject } = call.caller
  const key = JSON.stringify([subject.issuer, subject.id, what, hours])
  const now = Date.now()
  if ((recent.get(key) ?? 0) > now - quietFor) return
  recent.delete(key)
  recent.set(key, now)
  if (recent.size > remembered) recent.delete(recent.keys().next().value!)
  try {
    await call.services.audit.note('audit.read', { subject: subjectFacts(subject), what, filters })
  } catch (error) {
    recent.delete(key)
    throw error
  }
}

/** A moving window of time would make every look at it another one. */
const times: ReadonlySet<string> = new Set(['since', 'until', 'to'])

function hourOf(value: unknown): number {
  return Math.floor(Number(value) / 3_600_000)
}

/** The filters without the cursor, which changes with every page. */
function describeFilters(query: unknown): Record<string, unknown> {
  const { after: _after, from: _from, limit: _limit, ...filters } = (query ?? {}) as Record<string, unknown>
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined))
}
