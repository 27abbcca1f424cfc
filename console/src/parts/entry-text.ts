import type { EntryView } from '../api/views.ts'
import { nameOf } from './subject.tsx'
import { visible } from './visible.ts'

function word(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? visible(String(value)) : ''
}

/** What an entry says beside who, where and when: the resource, or why it ended as it did. */
export function entryDetail(entry: EntryView): string {
  const { kind, resource, error, decision, outcome, approval } = entry
  if (kind.startsWith('action.')) {
    if (outcome === 'denied')
      return [decision?.rule ?? decision?.reason ?? error?.code ?? '', error?.detail ?? '']
        .filter(each => each !== '')
        .map(visible)
        .join(': ')
    if (error !== undefined) return visible(error.detail ?? error.code)
    return visible(resource ?? '')
  }
  if (kind.startsWith('approval.'))
    return [word(entry['operation']), word(approval?.approvers?.join(', '))]
      .filter(each => each !== '')
      .join(' · ')
  const detection = entry['detection'] as { readonly words?: unknown } | undefined
  if (detection !== undefined) return word(detection.words)
  const told = ['detail', 'reason', 'name', 'purpose', 'summary', 'what', 'change', 'sink', 'by'].map(key =>
    word(entry[key]),
  )
  return told.find(each => each !== '') ?? ''
}

/** All that a reader may look for, in one text, lower case. */
export function entryHaystack(entry: EntryView): string {
  const { subject } = entry
  const person = subject?.on_behalf_of
  return [
    entry.kind,
    entry.outcome,
    entry.operation,
    entry.resource,
    entry.connection?.name,
    entry.risk,
    entry.session,
    subject?.email,
    subject && nameOf(subject),
    person && nameOf(person),
    person?.email,
    entryDetail(entry),
  ]
    .filter(each => each !== undefined)
    .join(' ')
    .toLowerCase()
}
