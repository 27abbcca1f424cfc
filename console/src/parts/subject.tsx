import type { Principal, SubjectView } from '../api/views.ts'
import { visible } from './visible.ts'

export function nameOf({ email, name, id }: Principal): string {
  return visible(name ?? email ?? id)
}

/** Who: the agent, and the person it acts for. */
export function Subject({ subject }: { readonly subject: SubjectView }) {
  const { on_behalf_of: person } = subject
  return (
    <span title={`${subject.kind} ${visible(subject.id)} · ${visible(subject.issuer ?? '')}`}>
      {nameOf(subject)}
      {person !== undefined && <span className="faint"> for {nameOf(person)}</span>}
    </span>
  )
}
