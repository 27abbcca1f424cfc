/**
 * The registry of entry kinds: what the log can say, and who says it. `docs/reference/events.md` is generated from
 * it. A kind is dotted and past tense; its meaning never changes once released.
 */
export const eventKinds = {
  'log.opened': 'The gateway started writing; names the size, root and last end of the log it continues',
  'log.closed': 'The gateway stopped in good order',
  heartbeat: 'The writer is alive; carries counters that add up',
  'session.started': 'An identity began to use a connection',
  'session.ended': 'A session ended: idle, closed, killed or at shutdown; carries totals',
  'action.intended': 'An action was asked for; durable before anything is forwarded',
  'action.completed': 'The upstream answered and the client was sent the (masked) answer',
  'action.failed': 'The action may have reached the upstream and did not end well',
  'action.denied': 'Policy, a guard or a person refused the action; nothing was forwarded',
  'action.not_forwarded': 'A fault stopped the action before anything was forwarded',
  'action.outcome_unknown': 'The gateway stopped between intent and end; the action may have run',
  'identity.refused': 'A credential was presented and not accepted; the reason is here and not in the answer',
  'request.refused':
    'What came could not be read as a request of this gateway, and ended before anybody was identified; beyond a few for an address, a count',
  'identity.signed_in': 'A person or machine signed in to the gateway',
  'identity.signed_out': 'A session of a person with the gateway ended',
  'identity.invited': 'A person was invited to have a password of the gateway’s own',
  'identity.removed': 'A person with a password of the gateway’s own was removed',
  'identity.linked': 'A person linked their account of another service, such as Slack, to themselves',
  'identity.token_created': 'A gateway token was made',
  'identity.token_revoked': 'A gateway token was revoked',
  'identity.suspended':
    'An identity may do nothing until a person clears it; says who or what suspended it, and why',
  'identity.restricted':
    'For a while an identity is slowed down, or a person is asked about each of its actions',
  'identity.cleared': 'A person let a suspended or restricted identity act again',
  'detection.surge_found': 'An identity did unusually much: more than its ceiling, or than is usual for it',
  'detection.volume_found': 'Unusually many bytes or records passed for an identity',
  'detection.first_use_found':
    'An identity asked for a connection, or an operation on it, that it never used before',
  'detection.sweep_found': 'An identity asked for unusually many operations that it never used before',
  'detection.off_hours_found':
    'An identity acted at an hour at which it never does, or outside the configured hours',
  'detection.denial_streak_found': 'An identity was refused many times in a row, then had a success',
  'detection.silence_found': 'An identity that always worked has stopped',
  'approval.requested': 'An action waits for a person',
  'approval.voted': 'A person voted',
  'approval.granted': 'The needed votes are there; the action may run as often as the approval allows',
  'approval.denied': 'A person refused, which ends the request',
  'approval.expired': 'Nobody decided, or nobody used it, in time',
  'approval.cancelled': 'The requester or an administrator withdrew it',
  'approval.consumed': 'The approval was used',
  'approval.returned':
    'What used it did not leave the gateway; it is good again for what is left of its time. Names that end',
  'approval.abandoned': 'The client left while its call was held; nothing is decided by that',
  'grant.proposed': 'A person proposed a time-boxed grant, which is their vote for it',
  'grant.voted': 'A person agreed to a proposed grant',
  'grant.created': 'A time-boxed grant for a pattern of operations was given',
  'grant.revoked': 'A grant was withdrawn before its end',
  'break_glass.used': 'Someone overrode policy, with a reason; alarmed at once',
  'break_glass.ended': 'Someone ended an override before its time',
  'process.started':
    'The gateway started a program that serves a connection; says for whom and for which action',
  'process.ended': 'Such a program ended: why, after how long and how many calls',
  'tool.pinned':
    'What an upstream offers was seen for the first time and is held to its definition from here on',
  'tool.changed':
    'An upstream offers something new, or defines it anew; nobody can use it until a person accepts it',
  'tool.accepted': 'A person accepted the definition of something that an upstream offers',
  'policy.changed': 'Another policy took effect',
  'policy.rejected': 'A changed policy was not valid; the earlier one stays',
  'connection.changed': 'A connection was added, changed or removed',
  'credential.granted': 'A person let the gateway use an upstream in their name',
  'credential.withdrawn': 'A person took that back, or the upstream ended it; the tokens are gone',
  'configuration.changed': 'Another configuration took effect',
  'configuration.rejected': 'A changed configuration was not valid; the earlier one stays',
  'recording.read': 'Someone read a recording',
  'undo.started': 'Someone set about undoing what a session changed; names the actions',
  'undo.applied': 'An action set another one back; names both, and was found in the log before this was said',
  'audit.read': 'Someone searched or exported the log',
  'export.dead_lettered': 'A sink would not take a record; a stub went in its place',
  'export.held': 'A sink refuses the credential; shipping waits',
  'export.resumed': 'A held sink takes records again',
  'export.reconciled': 'What a sink holds was read back and compared with the log',
  'export.diverged': 'A sink holds altered or foreign entries, or lacks some that it had acknowledged',
  'key.created': 'A key of the log or of the recordings was made',
  'key.rotated': 'A key was replaced',
  'checkpoint.witnessed': 'Enough witnesses cosigned a checkpoint; written at a bounded rate, not for each',
  'checkpoint.unwitnessed':
    'Too few witnesses cosign, or one refuses because it has seen another or longer tree; says which and why',
  'hold.placed': 'A legal hold began',
  'hold.release_requested': 'The first of two people wants a legal hold to end; it still holds',
  'hold.released': 'A legal hold ended: two different people wanted it',
  'erasure.done': 'Recordings were made unreadable for good',
  'disk.crossed': 'Room on the disk of the log crossed a configured mark; says what is refused from here on',
  pruned: 'Old entries were removed under the stated policy; their head stays',
} as const satisfies Record<string, string>

export type EventKind = keyof typeof eventKinds

/** The kinds that end an intent. */
export const terminalKinds = [
  'action.completed',
  'action.failed',
  'action.denied',
  'action.not_forwarded',
  'action.outcome_unknown',
] as const satisfies readonly EventKind[]

/**
 * An entry as it stands in the log: RFC 8785 canonical JSON, at most 16 kB. Absent means absent, never null.
 * Integers over 2^53 are strings. What is under `client` and `claimed` was said by the client and is no fact.
 */
export interface Entry {
  readonly v: 1
  readonly kind: EventKind
  /** Origin of the log. */
  readonly log: string
  /** Leaf index, decimal. */
  readonly seq: string
  /** UTC, microseconds: `2026-11-21T07:00:00.123456Z`. */
  readonly time: string
  readonly session?: string
  readonly action?: string
  readonly subject?: {
    readonly issuer: string
    readonly id: string
    readonly kind: string
    readonly name?: string
    readonly email?: string
    readonly on_behalf_of?: {
      readonly issuer: string
      readonly id: string
      readonly name?: string
      readonly email?: string
    }
    readonly method: string
  }
  readonly client?: { readonly ip: string; readonly port: number; readonly agent?: string }
  readonly connection?: { readonly name: string; readonly protocol: string; readonly sensitivity: string }
  readonly operation?: string
  readonly known?: boolean
  /** W3C Trace Context. The `trace_id` is the client's where it brought one along, which is then in `claimed` too. */
  readonly trace?: { readonly trace_id: string; readonly span_id: string; readonly parent_id?: string }
  /**
   * The gateway's own program that acted, on whose call: known from the credential that it was given. No `action`:
   * `running` calls were under way at once, and nothing told which of them it was.
   */
  readonly cause?: {
    readonly connection: string
    readonly server: string
    readonly running: number
    readonly action?: string
    readonly operation?: string
  }
  readonly risk?: string
  readonly resource?: string
  readonly digest?: string
  readonly decision?: {
    readonly effect: string
    readonly reason: string
    readonly rule?: string
    readonly policy: string
    readonly shadow?: readonly { readonly rule: string; readonly effect: string }[]
  }
  readonly approval?: Readonly<Record<string, unknown>>
  /** On a terminal entry: the intent it ends. */
  readonly intent?: string
  /** `success`, `failure`, `denied`, `unknown`; on terminal entries. */
  readonly outcome?: string
  /** On a failed or refused action: the stable code. */
  readonly error?: { readonly code: string; readonly detail?: string }
  /** Nanoseconds. */
  readonly duration?: number
  readonly upstream_duration?: number
  readonly bytes_in?: number
  readonly bytes_out?: number
  readonly masked?: { readonly count: number; readonly kinds: readonly string[] }
  readonly recording?: {
    readonly blob: string
    readonly length: number
    readonly commitment: string
    readonly key: string
    readonly complete: boolean
  }
  /** Protocol facts and, for other kinds, their own attributes. */
  readonly [namespace: string]: unknown
}
