import type { Entry } from '../audit/events.ts'
import { clockTime, paint, paintOutcome } from './output.ts'

function who(subject: Entry['subject']): string {
  if (subject === undefined) return ''
  const name = subject.email ?? subject.name ?? subject.id
  const acted = subject.on_behalf_of
  return acted === undefined ? name : `${name} for ${acted.email ?? acted.name ?? acted.id}`
}

/** What stands where the outcome of an action would, for other kinds. */
function mark(entry: Entry): string {
  if (entry.outcome !== undefined) return paintOutcome(entry.outcome)
  return paint('dim', entry.kind.slice(entry.kind.indexOf('.') + 1))
}

function extras(entry: Entry): string {
  const http = entry['http'] as { status_code?: number } | undefined
  const voter = entry['voter'] as { email?: string; id: string } | undefined
  const detection = entry['detection'] as { words?: string; answer?: string } | undefined
  const restriction = entry['restriction'] as { id?: string; until?: string } | undefined
  const parts = [
    detection?.words === undefined ? undefined : paint('yellow', detection.words),
    detection?.answer === undefined ? undefined : paint('red', `answer: ${detection.answer}`),
    restriction?.id,
    restriction?.until === undefined ? undefined : `until ${clockTime(restriction.until)}`,
    voter === undefined ? undefined : `by ${voter.email ?? voter.id}`,
    http?.status_code === undefined ? undefined : String(http.status_code),
    entry.duration === undefined || entry.kind.startsWith('session.')
      ? undefined
      : `${(entry.duration / 1e6).toFixed(1)} ms`,
    entry.masked === undefined || entry.masked.count === 0
      ? undefined
      : paint('cyan', `${entry.masked.count} masked`),
    entry.decision?.rule === undefined ? undefined : `rule ${entry.decision.rule}`,
    entry.decision !== undefined && entry.decision.effect === 'deny' ? entry.decision.reason : undefined,
    entry.approval === undefined
      ? undefined
      : `${String(entry.approval['id'])} ${String(entry.approval['state'])}`,
    entry.error === undefined ? undefined : paint('red', entry.error.code),
    typeof entry['reason'] === 'string' && entry['reason'] !== entry.decision?.reason
      ? entry['reason']
      : undefined,
  ]
  return parts.filter(part => part !== undefined).join('  ')
}

/** One entry on one line: index, time, outcome, who, where, what. */
export function entryLine(entry: Entry): string {
  const what = entry.kind.startsWith('detection.') ? entry.kind : (entry.operation ?? entry.kind)
  const where = entry.connection?.name ?? ''
  const cells = [
    paint('dim', `#${entry.seq}`),
    clockTime(entry.time),
    mark(entry),
    who(entry.subject),
    where,
    paint('bold', what),
    extras(entry),
  ]
  return cells.filter(cell => cell !== '').join('  ')
}

/** One entry in full, for reading. */
export function entryText(entry: Entry): string {
  return `${entryLine(entry)}\n${JSON.stringify(entry, null, 2)}`
}
