/**
 * What each kind of entry is in the words of a far end: category, outcome, severity, phrase. The vocabulary is
 * Datadog's (`evt.category`, `evt.outcome`, `status`); other sinks translate from it. One table, so that a new kind does
 * not compile until someone has said what it is.
 */
import type { Entry, EventKind } from '../audit/events.ts'

export type Category = 'access' | 'approval' | 'session' | 'authentication' | 'admin' | 'system'
export type Outcome = 'success' | 'failure' | 'denied' | 'pending' | 'expired' | 'unknown'
export type Status = 'info' | 'notice' | 'warn' | 'error' | 'critical'

interface Words {
  readonly category: Category
  readonly outcome: Outcome
  readonly status: Status
  /** What happened, as the end of "<who> ...", or as a sentence of its own. */
  readonly phrase: string
}

function words(category: Category, outcome: Outcome, rest: [status: Status, phrase: string]): Words {
  return { category, outcome, status: rest[0], phrase: rest[1] }
}

export const wordsOf: Readonly<Record<EventKind, Words>> = {
  'log.opened': words('system', 'success', ['info', 'The audit log was opened']),
  'log.closed': words('system', 'success', ['info', 'The audit log was closed']),
  heartbeat: words('system', 'success', ['info', 'Heartbeat']),
  'session.started': words('session', 'success', ['info', 'Session started']),
  'session.ended': words('session', 'success', ['info', 'Session ended']),
  'action.intended': words('access', 'pending', ['info', 'asked']),
  'action.completed': words('access', 'success', ['info', 'completed']),
  'action.failed': words('access', 'failure', ['error', 'failed']),
  'action.denied': words('access', 'denied', ['warn', 'denied']),
  'action.not_forwarded': words('access', 'failure', ['error', 'not forwarded']),
  'action.outcome_unknown': words('access', 'unknown', ['error', 'outcome unknown']),
  'identity.refused': words('authentication', 'failure', ['warn', 'A credential was refused']),
  'request.refused': words('system', 'failure', ['notice', 'An unreadable request was refused']),
  'identity.signed_in': words('authentication', 'success', ['info', 'Signed in']),
  'identity.signed_out': words('authentication', 'success', ['info', 'Signed out']),
  'identity.invited': words('admin', 'success', ['notice', 'A person was invited']),
  'identity.removed': words('admin', 'success', ['notice', 'A person was removed']),
  'identity.linked': words('authentication', 'success', ['notice', 'An account was linked']),
  'identity.token_created': words('admin', 'success', ['notice', 'A gateway token was made']),
  'identity.token_revoked': words('admin', 'success', ['notice', 'A gateway token was revoked']),
  'identity.suspended': words('system', 'denied', ['error', 'An identity was suspended']),
  'identity.restricted': words('system', 'success', ['warn', 'An identity was restricted']),
  'identity.cleared': words('admin', 'success', ['notice', 'An identity was cleared']),
  'detection.surge_found': words('system', 'unknown', ['warn', 'Unusually many actions']),
  'detection.volume_found': words('system', 'unknown', ['warn', 'Unusually much data']),
  'detection.first_use_found': words('system', 'unknown', ['notice', 'A first use']),
  'detection.sweep_found': words('system', 'unknown', [
    'warn',
    'Unusually many operations for the first time',
  ]),
  'detection.off_hours_found': words('system', 'unknown', ['warn', 'Active at an unusual hour']),
  'detection.denial_streak_found': words('system', 'unknown', ['warn', 'Refusals in a row, then a success']),
  'detection.silence_found': words('system', 'unknown', ['warn', 'An identity went silent']),
  'approval.requested': words('approval', 'pending', ['notice', 'Approval requested']),
  'approval.voted': words('approval', 'pending', ['notice', 'Approval voted on']),
  'approval.granted': words('approval', 'success', ['notice', 'Approval granted']),
  'approval.denied': words('approval', 'denied', ['notice', 'Approval denied']),
  'approval.expired': words('approval', 'expired', ['notice', 'Approval expired']),
  'approval.cancelled': words('approval', 'failure', ['notice', 'Approval cancelled']),
  'approval.consumed': words('approval', 'success', ['notice', 'Approval used']),
  'approval.returned': words('approval', 'success', ['notice', 'Approval good again']),
  'approval.abandoned': words('approval', 'pending', ['notice', 'The client left while its call was held']),
  'grant.proposed': words('approval', 'pending', ['notice', 'Grant proposed']),
  'grant.voted': words('approval', 'pending', ['notice', 'Grant agreed to']),
  'grant.created': words('approval', 'success', ['notice', 'Grant created']),
  'grant.revoked': words('approval', 'success', ['notice', 'Grant revoked']),
  'break_glass.used': words('approval', 'success', ['critical', 'Policy was overridden (break glass)']),
  'break_glass.ended': words('approval', 'success', ['notice', 'An override was ended (break glass)']),
  'process.started': words('system', 'success', ['info', 'A server’s program was started']),
  'process.ended': words('system', 'success', ['info', 'A server’s program ended']),
  'tool.pinned': words('admin', 'success', ['info', 'What an upstream offers was pinned']),
  'tool.changed': words('admin', 'unknown', ['warn', 'An upstream offers something new or changed']),
  'tool.accepted': words('admin', 'success', ['notice', 'A changed definition was accepted']),
  'policy.changed': words('admin', 'success', ['notice', 'Another policy took effect']),
  'policy.rejected': words('admin', 'failure', ['warn', 'A changed policy was rejected']),
  'connection.changed': words('admin', 'success', ['notice', 'A connection was changed']),
  'credential.granted': words('admin', 'success', ['notice', 'A person let the gateway use an upstream']),
  'credential.withdrawn': words('admin', 'success', ['notice', 'A person took an upstream consent back']),
  'configuration.changed': words('admin', 'success', ['notice', 'Another configuration took effect']),
  'configuration.rejected': words('admin', 'failure', ['warn', 'A changed configuration was rejected']),
  'recording.read': words('admin', 'success', ['notice', 'A recording was read']),
  'undo.started': words('admin', 'success', ['notice', 'Someone set about undoing a session']),
  'undo.applied': words('admin', 'success', ['notice', 'An action was undone']),
  'audit.read': words('admin', 'success', ['notice', 'The audit log was read']),
  'export.dead_lettered': words('system', 'failure', [
    'error',
    'A sink rejected an entry; a stub went instead',
  ]),
  'export.held': words('system', 'failure', ['error', 'Shipping to a sink is on hold']),
  'export.resumed': words('system', 'success', ['notice', 'Shipping to a sink goes on']),
  'export.reconciled': words('system', 'success', ['info', 'A sink was compared with the log']),
  'export.diverged': words('system', 'failure', ['critical', 'A sink does not hold what the log holds']),
  'key.created': words('admin', 'success', ['notice', 'A key was made']),
  'key.rotated': words('admin', 'success', ['notice', 'A key was replaced']),
  'checkpoint.witnessed': words('system', 'success', ['info', 'A checkpoint was witnessed']),
  'checkpoint.unwitnessed': words('system', 'failure', ['critical', 'Too few witnesses vouch for the log']),
  'hold.placed': words('admin', 'success', ['notice', 'A legal hold was placed']),
  'hold.release_requested': words('admin', 'pending', [
    'notice',
    'The release of a legal hold was asked for',
  ]),
  'hold.released': words('admin', 'success', ['notice', 'A legal hold was released']),
  'erasure.done': words('admin', 'success', ['notice', 'Recordings were erased']),
  'disk.crossed': words('system', 'unknown', ['warn', 'Room on the disk crossed a mark']),
  pruned: words('admin', 'success', ['notice', 'Old entries were removed']),
}

/** For a kind that a later version wrote: shown, and as what it is, unknown. */
const unknownKind: Words = words('system', 'unknown', ['notice', 'An entry of an unknown kind'])

/**
 * Kinds of masked values that are personal data and an everyday sight. Any other kind is a secret: that one was in an
 * answer at all deserves a `warn`.
 */
export const personal: ReadonlySet<string> = new Set(
  'email phone payment-card iban us-ssn ip-address'.split(' '),
)

/** The words for this very entry: its kind's, corrected by what it says of its end. */
export function describe(entry: Entry): Words {
  const known = (wordsOf as Readonly<Record<string, Words | undefined>>)[entry.kind] ?? unknownKind
  if (entry.kind === 'process.ended' && entry.outcome === 'failure')
    return { ...known, outcome: 'failure', status: 'warn' }
  if (entry.kind !== 'action.completed') return known
  const outcome: Outcome = entry.outcome === 'failure' ? 'failure' : known.outcome
  return { ...known, outcome, status: statusOf(entry, outcome) }
}

/** Whether the people that policy asked for had said yes when the action ran. */
export function ranWithConsent(entry: Entry): boolean {
  const state = entry.approval?.['state']
  return (
    entry.kind.startsWith('action.') && (state === 'approved' || state === 'consumed' || state === 'granted')
  )
}

function statusOf(entry: Entry, outcome: Outcome): Status {
  // What must never be seen: an action that ran although the people it needed had not said yes.
  if (entry.decision?.effect === 'ask' && !ranWithConsent(entry)) return 'critical'
  if (outcome === 'failure') return (statusCode(entry) ?? 0) >= 500 ? 'error' : 'warn'
  return entry.masked?.kinds.some(kind => !personal.has(kind)) === true ? 'warn' : 'info'
}

/** What an HTTP upstream answered, where there was one. */
export function statusCode(entry: Entry): number | undefined {
  const { http } = entry
  if (typeof http !== 'object' || http === null || !('status_code' in http)) return undefined
  return typeof http.status_code === 'number' ? http.status_code : undefined
}
