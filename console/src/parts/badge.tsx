import type { ReactNode } from 'react'
import type { EntryView } from '../api/views.ts'

export type BadgeTone = 'good' | 'bad' | 'warn' | 'odd' | 'accent' | 'plain'

export function Badge({
  tone = 'plain',
  children,
}: {
  readonly tone?: BadgeTone
  readonly children: ReactNode
}) {
  return (
    <span className="badge" data-tone={tone}>
      {children}
    </span>
  )
}

const outcomes: Readonly<Record<string, BadgeTone>> = {
  success: 'good',
  failure: 'warn',
  denied: 'bad',
  unknown: 'odd',
}

export function outcomeTone(outcome: string): BadgeTone {
  return outcomes[outcome] ?? 'plain'
}

const kindTones: Readonly<Record<string, BadgeTone>> = {
  'identity.refused': 'bad',
  'request.refused': 'warn',
  'approval.requested': 'warn',
  'approval.granted': 'good',
  'approval.denied': 'bad',
  'break_glass.used': 'bad',
  'export.dead_lettered': 'warn',
  'export.held': 'warn',
  'policy.rejected': 'warn',
  'configuration.rejected': 'warn',
  'checkpoint.unwitnessed': 'bad',
  'action.intended': 'accent',
}

/** How an action ended, or what kind of entry it is. */
export function EntryBadge({ entry }: { readonly entry: EntryView }) {
  const { kind, outcome } = entry
  if (outcome !== undefined && kind.startsWith('action.'))
    return <Badge tone={outcomeTone(outcome)}>{outcome}</Badge>
  if (kind === 'action.intended') return <Badge tone="accent">asked</Badge>
  const tone = kindTones[kind] ?? (kind.startsWith('detection.') ? 'odd' : 'plain')
  return <Badge tone={tone}>{kind.replaceAll('_', ' ')}</Badge>
}

const riskTones: Readonly<Record<string, BadgeTone>> = {
  read: 'plain',
  write: 'warn',
  delete: 'bad',
  admin: 'bad',
}

export function RiskBadge({ risk }: { readonly risk: string }) {
  return <Badge tone={riskTones[risk] ?? 'plain'}>{risk}</Badge>
}

const states: Readonly<Record<string, BadgeTone>> = {
  pending: 'warn',
  approved: 'good',
  consumed: 'good',
  denied: 'bad',
  running: 'accent',
  ok: 'good',
  shipping: 'good',
  idle: 'good',
  held: 'bad',
  failing: 'bad',
  retrying: 'warn',
  lost: 'odd',
  active: 'good',
  proposed: 'warn',
}

export function StateBadge({ state }: { readonly state: string }) {
  return <Badge tone={states[state] ?? 'plain'}>{state}</Badge>
}
