import type { ActionPreview } from '../gateway/exchange.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import type { Principal, SubjectFacts } from '../model/subject.ts'

/**
 * `pending` -> `approved` -> `consumed`, and back to `approved` where what used it never left; or it ends as `denied`
 * (any one vote), `expired` (nobody decided, or nobody used it, in time) or `cancelled` (withdrawn, or policy changed
 * under it). Only the first two are open.
 */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed'

export interface Vote {
  readonly by: Principal
  readonly effect: 'approve' | 'deny'
  /** What of the terms names the voter: `group:sre`, `user:ana@example.com`, `role:approver`. */
  readonly groups: readonly string[]
  readonly reason?: string
  /** How it reached the gateway, as the gateway knows it. */
  readonly channel: Channel
  /** What the voter's client called itself. */
  readonly via?: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export type Channel = 'api' | 'slack'

/**
 * A person's consent to one exact action, the same for every protocol. The action is named by its digest, so what
 * runs is what was shown: the held call itself, or a resubmission with the same digest by the same requester.
 */
export interface Approval {
  readonly id: string
  readonly state: ApprovalState
  readonly requester: SubjectFacts
  /** Equal for the same requester (`subjectKey`). */
  readonly requesterKey: string
  readonly session: string
  readonly connection: string
  readonly protocol: string
  /** Changes when anything of the connection's configuration does. */
  readonly connectionVersion: string
  readonly sensitivity: string
  readonly operation: string
  readonly risk: string
  readonly resource: string
  readonly digest: string
  readonly policyVersion: string
  readonly terms: ApprovalTerms
  /** Why the rule asks, in its author's words. */
  readonly message?: string
  /** The request as the approver sees it, masked. */
  readonly request: Readonly<Record<string, unknown>>
  readonly preview?: ActionPreview
  readonly votes: readonly Vote[]
  readonly usesLeft: number
  /** How often it was taken, also where it came back; absent: never. */
  readonly uses?: number
  readonly createdAt: number
  /** Until when it can be decided; once approved, until when it can be used. */
  readonly expiresAt: number
  /** Why it ended, for `cancelled` and `expired`. */
  readonly endReason?: string
}

export function isOpen({ state }: Pick<Approval, 'state'>): boolean {
  return state === 'pending' || state === 'approved'
}

/** An ended approval answers for its action until its time is over; after that the same action may be asked anew. */
export function answersStill(
  { state, expiresAt }: Pick<Approval, 'state' | 'expiresAt'>,
  now: number,
): boolean {
  switch (state) {
    case 'pending':
    case 'approved':
      return true
    case 'denied':
    case 'consumed':
      return now < expiresAt
    case 'expired':
    case 'cancelled':
      return false
  }
}

/** What every entry about an approval, and the entry of the call that used it, says of it. */
export function approvalFacts(approval: Approval): Record<string, unknown> {
  const { id, state, digest, terms, votes, preview } = approval
  return {
    id,
    required: true,
    state,
    digest: `sha256:${digest}`,
    rule: terms.rule,
    quorum: terms.quorum,
    approvers: votes.filter(vote => vote.effect === 'approve').map(vote => vote.by.email ?? vote.by.id),
    ...(preview?.fingerprint === undefined ? {} : { preview: `sha256:${preview.fingerprint}` }),
  }
}

/** The attributes of every entry about an approval. */
export function approvalEntry(approval: Approval): Record<string, unknown> {
  return {
    session: approval.session,
    subject: approval.requester,
    operation: approval.operation,
    risk: approval.risk,
    resource: approval.resource,
    connection: {
      name: approval.connection,
      protocol: approval.protocol,
      sensitivity: approval.sensitivity,
    },
    policy: approval.policyVersion,
    approval: approvalFacts(approval),
    expires: new Date(approval.expiresAt).toISOString(),
    ...(approval.endReason === undefined ? {} : { reason: approval.endReason }),
  }
}
