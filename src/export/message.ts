import { displayName } from '../model/subject.ts'
import type { Entry } from '../audit/events.ts'
import { statusCode } from './words.ts'

type SubjectFacts = NonNullable<Entry['subject']>

/** `ci-triage (for ana@example.com)`: who acts, and for whom. */
export function nameOf(subject: SubjectFacts): string {
  const own = subject.name ?? subject.email ?? subject.id
  const person = subject.on_behalf_of
  return person === undefined ? own : `${own} (for ${displayName(person)})`
}

/** `v1.updateMonitor on datadog-prod by ci-triage (for ana@example.com): 200, 2 values masked`. */
export function actionMessage(entry: Entry): string {
  return `${entry.operation ?? 'an action'}${placeOf(entry)}${byWhom(entry)}: ${endOf(entry)}`
}

/** `Approval requested for v1.deleteDashboard on datadog-prod by ana@example.com (ap_77)`. */
export function factMessage(entry: Entry, phrase: string): string {
  const about = entry.operation === undefined ? '' : ` for ${entry.operation}`
  const id = entry.approval?.['id'] ?? entry.session
  const reason = entry['reason']
  const tail =
    typeof reason === 'string' ? `: ${reason}` : (noticedTail(entry) ?? comparedTail(entry['compared']))
  return `${phrase}${about}${placeOf(entry)}${byWhom(entry)}${typeof id === 'string' ? ` (${id})` : ''}${tail}`
}

/** `: 21 actions within a minute; the ceiling is 20 (answer: slow)`; what a finding has seen, and what was done. */
function noticedTail({ detection }: Entry): string | undefined {
  if (typeof detection !== 'object' || detection === null) return undefined
  const { words, answer } = detection as Readonly<Record<string, unknown>>
  if (typeof words !== 'string') return undefined
  return `: ${words}${typeof answer === 'string' ? ` (answer: ${answer})` : ''}`
}

/** `: 3 missing, 1 altered of 1000`; empty where nothing differs. */
function comparedTail(compared: unknown): string {
  if (typeof compared !== 'object' || compared === null) return ''
  const counts = compared as Readonly<Record<string, unknown>>
  const found = ['missing', 'altered', 'foreign'].filter(name => Number(counts[name]) > 0)
  const words = found.map(name => `${String(counts[name])} ${name}`).join(', ')
  return words === '' ? '' : `: ${words} of ${String(counts['entries'])}`
}

function placeOf(entry: Entry): string {
  return entry.connection === undefined ? '' : ` on ${entry.connection.name}`
}

function byWhom(entry: Entry): string {
  return entry.subject === undefined ? '' : ` by ${nameOf(entry.subject)}`
}

function endOf(entry: Entry): string {
  const { kind, decision, error, masked } = entry
  if (kind === 'action.intended') return 'asked'
  if (kind === 'action.completed') {
    const count = masked?.count ?? 0
    const values = count === 0 ? '' : `, ${count} ${count === 1 ? 'value' : 'values'} masked`
    return `${statusCode(entry) ?? entry.outcome ?? 'completed'}${values}`
  }
  if (kind === 'action.denied') {
    const reason = typeof entry['reason'] === 'string' ? entry['reason'] : decision?.reason
    const rule = decision?.rule === undefined ? '' : ` by rule ${decision.rule}`
    return `denied${reason === undefined ? '' : ` (${reason})`}${rule}`
  }
  if (kind === 'action.outcome_unknown') return 'outcome unknown, it may have run'
  const code = error === undefined ? '' : ` (${error.code})`
  return `${kind === 'action.failed' ? 'failed' : 'not forwarded'}${code}`
}
