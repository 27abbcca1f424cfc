/**
 * What people are told, the same for every way of telling. It is made of the stored approval, which is masked, and of
 * the entry; it holds no secret and nothing of a body but the masked fields that would change. All text in it may come
 * from an agent: it is cut and freed of control and direction characters here, and escaped by whoever renders it.
 */
import type { Entry, EventKind } from '../../audit/events.ts'
import type { NoticeTopic } from '../../config/approvals.ts'
import type { Approval } from '../approval.ts'

export interface NoticeChange {
  readonly path: string
  readonly before?: string
  readonly after?: string
}

export interface Notice {
  readonly topic: NoticeTopic
  readonly event: EventKind
  /** Of the approval, the grant or the broken glass. */
  readonly id: string
  /** `<origin>/<index>`: the same in every attempt. */
  readonly entry: string
  /** ISO 8601. */
  readonly at: string
  readonly title: string
  readonly urgent: boolean
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly changes: readonly NoticeChange[]
  /** There are more changes than are listed. */
  readonly cut: boolean
  readonly link: string
  /** Words for what a person can do about it now. */
  readonly todo?: string
  /** A vote is waited for. */
  readonly open: boolean
}

const mostChanges = 20
const longestValue = 200

const topics: Partial<Record<EventKind, NoticeTopic>> = {
  'approval.requested': 'requests',
  'approval.granted': 'decisions',
  'approval.denied': 'decisions',
  'approval.expired': 'decisions',
  'approval.cancelled': 'decisions',
  'grant.proposed': 'grants',
  'grant.created': 'grants',
  'grant.revoked': 'grants',
  'break_glass.used': 'break-glass',
  'break_glass.ended': 'break-glass',
  'detection.surge_found': 'detections',
  'detection.volume_found': 'detections',
  'detection.first_use_found': 'detections',
  'detection.sweep_found': 'detections',
  'detection.off_hours_found': 'detections',
  'detection.denial_streak_found': 'detections',
  'detection.silence_found': 'detections',
  'identity.suspended': 'detections',
  'identity.restricted': 'detections',
  'identity.cleared': 'detections',
}

/** What a kind of entry belongs to; undefined: nobody is told of it. */
export function topicOf(kind: string): NoticeTopic | undefined {
  return topics[kind as EventKind]
}

/** Where people look at it. */
export function linkTo(publicUrl: string, id: string): string {
  return `${publicUrl.replace(/\/+$/, '')}/console/approvals/${id}`
}

/** On one line, without what would move, hide or reverse text, and not longer than `longest`. */
export function plain(text: string, longest = longestValue): string {
  const clean = text.slice(0, longest * 2).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
  return clean.length > longest ? `${clean.slice(0, longest - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : clean
}

function shown(value: unknown): string {
  return plain(JSON.stringify(value) ?? '')
}

const words: Partial<Record<EventKind, string>> = {
  'approval.requested': 'Approval needed',
  'approval.granted': 'Approved',
  'approval.denied': 'Denied',
  'approval.expired': 'Expired',
  'approval.cancelled': 'Withdrawn',
  'grant.proposed': 'Grant proposed',
  'grant.created': 'Grant in force',
  'grant.revoked': 'Grant revoked',
  'break_glass.used': 'BREAK-GLASS: approvals are overridden',
  'break_glass.ended': 'Break-glass ended',
  'detection.surge_found': 'Unusually many actions',
  'detection.volume_found': 'Unusually much data',
  'detection.first_use_found': 'First use',
  'detection.sweep_found': 'Unusually many operations for the first time',
  'detection.off_hours_found': 'Active at an unusual hour',
  'detection.denial_streak_found': 'Refusals in a row, then a success',
  'detection.silence_found': 'An identity went silent',
  'identity.suspended': 'SUSPENDED',
  'identity.restricted': 'Restricted',
  'identity.cleared': 'Cleared',
}

export interface EntryAt {
  readonly entry: Entry
  readonly id: string
}

type Framed = Pick<Notice, 'topic' | 'event' | 'id' | 'entry' | 'at' | 'link' | 'urgent'>

function frame({ entry, id: entryId }: EntryAt, publicUrl: string): Framed {
  const { id = '' } = (entry.approval ?? {}) as { id?: string }
  return {
    topic: topicOf(entry.kind)!,
    event: entry.kind,
    id,
    entry: entryId,
    at: entry.time,
    link: linkTo(publicUrl, id),
    urgent: entry.kind === 'break_glass.used',
  }
}

/** Of an approval: who asks, where, what, why, what would change, or how it was decided. */
export function approvalNotice(of: EntryAt, approval: Approval, publicUrl: string): Notice {
  const { entry } = of
  const { requester, terms, preview, votes } = approval
  const acted = requester.on_behalf_of
  const open = entry.kind === 'approval.requested'
  const facts: [string, string][] = [
    ['Who', plain(`${requester.email ?? requester.name ?? requester.id} (${requester.kind})`)],
    ...(acted === undefined
      ? []
      : [['For', plain(acted.email ?? acted.name ?? acted.id)] as [string, string]]),
    ['Where', `${approval.connection} (${approval.sensitivity})`],
    ['What', plain(`${approval.operation} (${approval.risk})`)],
    ['On', plain(approval.resource)],
    ['Why', plain(`rule ${terms.rule}${approval.message === undefined ? '' : `: ${approval.message}`}`)],
  ]
  if (open) {
    for (const { name, text } of preview?.foreseen ?? [])
      if (!text.includes('\n')) facts.push([plain(name), plain(text)])
    const named = terms.approvers.join(', ') || 'any approver'
    facts.push(['Needs', plain(`${terms.quorum} of ${named}`)], ['Until', entry['expires'] as string])
  } else {
    for (const { effect, by, reason } of votes)
      facts.push([
        'Vote',
        plain(`${effect} by ${by.email ?? by.id}${reason === undefined ? '' : `: ${reason}`}`),
      ])
    if (approval.endReason !== undefined) facts.push(['Reason', plain(approval.endReason)])
  }
  return {
    ...frame(of, publicUrl),
    title: plain(`${words[entry.kind]}: ${approval.operation} on ${approval.connection}`),
    facts,
    changes: open ? changesOf(preview?.changes ?? []) : [],
    cut: open && preview !== undefined && (preview.cut || preview.changes.length > mostChanges),
    open,
    ...(open ? { todo: `sallyport approvals show ${approval.id}` } : {}),
  }
}

function changesOf(changes: NonNullable<Approval['preview']>['changes']): NoticeChange[] {
  return changes.slice(0, mostChanges).map(({ path, before, after }) => ({
    path: plain(path),
    ...(before === undefined ? {} : { before: shown(before) }),
    ...(after === undefined ? {} : { after: shown(after) }),
  }))
}

/** Of a grant or broken glass, from its entry alone. */
export function overrideNotice(of: EntryAt, publicUrl: string): Notice {
  const { entry } = of
  const { subject, connection, reason } = entry
  const consent = (entry.approval ?? {}) as { reason?: string; until?: string; approvers?: string[] }
  const grant = entry['grant'] as { to?: object; operations?: string[]; risks?: string[] } | undefined
  const why = consent.reason ?? (typeof reason === 'string' ? reason : undefined)
  const facts: [string, string][] = [
    ['Who', plain(subject?.email ?? subject?.name ?? subject?.id ?? '')],
    ['Where', connection?.name ?? ''],
  ]
  if (grant !== undefined) {
    facts.push(['To', plain(Object.values(grant.to ?? {}).join(' '))])
    facts.push([
      'Operations',
      plain(`${(grant.operations ?? []).join(', ')} (${(grant.risks ?? []).join(', ')})`),
    ])
  }
  if (why !== undefined) facts.push(['Reason', plain(why, 500)])
  if (consent.until !== undefined) facts.push(['Until', consent.until])
  return {
    ...frame(of, publicUrl),
    title: plain(`${words[entry.kind]} on ${connection?.name ?? ''}`),
    facts,
    changes: [],
    cut: false,
    open: entry.kind === 'grant.proposed',
    ...(entry.kind === 'grant.proposed'
      ? { todo: `sallyport approvals grant approve ${(entry.approval as { id: string }).id}` }
      : {}),
  }
}

/** Of what was noticed of an identity, or what it may not do for now, from its entry alone. */
export function detectionNotice(of: EntryAt, publicUrl: string): Notice {
  const { entry } = of
  const { subject, connection } = entry
  const detection = entry['detection'] as { words?: string; answer?: string } | undefined
  const restriction = entry['restriction'] as { id?: string; kind?: string; until?: string } | undefined
  const who = plain(subject?.email ?? subject?.name ?? subject?.id ?? '')
  const acted = subject?.on_behalf_of
  const facts: [string, string][] = [['Who', plain(`${who} (${subject?.kind ?? 'identity'})`)]]
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') facts.push([name, plain(value, 500)])
  }
  add('For', acted && (acted.email ?? acted.name ?? acted.id))
  add('Where', connection?.name)
  add('What', detection?.words ?? (entry['reason'] as string | undefined))
  add('Answer', detection?.answer)
  add('Until', restriction?.until)
  add('By', personIn(entry['by'] ?? entry['cleared_by']))
  const open = entry.kind === 'identity.suspended' || entry.kind === 'identity.restricted'
  return {
    ...frame(of, publicUrl),
    id: restriction?.id ?? of.id,
    link: `${publicUrl.replace(/\/+$/, '')}/console/detections`,
    urgent: entry.kind === 'identity.suspended',
    title: plain(`${words[entry.kind]}: ${who}`),
    facts,
    changes: [],
    cut: false,
    open: false,
    ...(open && restriction?.id !== undefined
      ? { todo: `sallyport identities clear ${restriction.id} --reason <why>` }
      : {}),
  }
}

function personIn(value: unknown): string | undefined {
  const person = value as { email?: string; id?: string } | undefined
  return person?.email ?? person?.id
}

/** In place of a notice that the far end would not take. */
export function bareNotice(of: EntryAt, publicUrl: string): Notice {
  return {
    ...frame(of, publicUrl),
    title: `${words[of.entry.kind]}; the details could not be shown here`,
    facts: [],
    changes: [],
    cut: false,
    open: false,
  }
}
