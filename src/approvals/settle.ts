/**
 * The approval step of the path: finds or makes the approval for an action, waits as long as the client can endure,
 * and uses it up. A client that leaves decides nothing.
 */
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { asGatewayError, GatewayError } from '../errors.ts'
import type { ActionPreview, Denial, Exchange } from '../gateway/exchange.ts'
import type { ApprovalStep } from '../gateway/gateway.ts'
import type { Session } from '../gateway/session.ts'
import type { Masker } from '../masking/masker.ts'
import type { Action } from '../model/action.ts'
import type { ApprovalTerms, Decision } from '../model/decision.ts'
import { type Approval, approvalFacts } from './approval.ts'
import type { Approvals } from './approvals.ts'

type Settled = Awaited<ReturnType<ApprovalStep['settle']>>

/** Asks again, at the moment of use, what was asked before the wait: identity, connection, policy. */
export type Recheck = (
  session: Session,
  action: Action,
) => { readonly ok: true } | { readonly ok: false; readonly reason: string }

export interface SettleParts {
  readonly approvals: Approvals
  readonly audit: Audit
  readonly clock: Clock
  readonly recheck: Recheck
  /** Masks what the approver sees of a request. */
  readonly masker: (session: Session, decision: Decision) => Masker
}

/** Clients are told to come back after this long. */
const retryAfterMs = 5000

export function createApprovalStep(parts: SettleParts): ApprovalStep {
  return {
    async settle(session, exchange, decision) {
      const terms = decision.approval
      if (terms === undefined) throw new GatewayError('internal', { internal: 'an ask without terms' })
      const approval = await attach(parts, session, { exchange, decision, terms })
      const ended = refusalOfEnded(approval)
      if (ended !== undefined) return ended
      const waited = await hold(parts, exchange, approval)
      if (waited.state === 'approved') return await use(parts, session, { exchange, approval: waited })
      return refusalOfEnded(waited) ?? stillPending(waited, exchange)
    },
  }
}

interface Question {
  readonly exchange: Exchange
  readonly decision: Decision
  readonly terms: ApprovalTerms
}

/** The same action by the same requester attaches to the approval that there is; so a retry storm asks once. */
async function attach(
  { approvals, masker, clock }: SettleParts,
  session: Session,
  question: Question,
): Promise<Approval> {
  const { exchange, decision, terms } = question
  const { action } = exchange
  const digest = action.digest()
  const about = { requester: session.subject, connection: session.connection, digest }
  const known = await approvals.findFor(about)
  if (known !== undefined && answersStill(known, clock.now())) {
    if (known.state !== 'pending' && known.state !== 'approved') return known
    if (known.policyVersion === decision.policyVersion) return known
    // What was asked under another policy may be judged differently by the people asked: begin anew.
    await approvals.cancel(known.id, 'another policy took effect').catch(() => undefined)
  }
  const preview = await exchange.preview?.()
  const mask = masker(session, decision)
  return await approvals.request({
    ...about,
    session: session.id,
    operation: action.operation,
    risk: action.risk,
    resource: action.resource,
    policyVersion: decision.policyVersion,
    terms,
    request: mask.json(action.content) as Record<string, unknown>,
    ...(preview === undefined ? {} : { preview }),
    ...(terms.message === undefined ? {} : { message: terms.message }),
  })
}

/** An ended approval answers for its action until its time is over; after that the same action may be asked anew. */
function answersStill(approval: Approval, now: number): boolean {
  switch (approval.state) {
    case 'pending':
    case 'approved':
      return true
    case 'denied':
    case 'consumed':
      return now < approval.expiresAt
    case 'expired':
    case 'cancelled':
      return false
  }
}

async function hold(
  { approvals, audit }: SettleParts,
  exchange: Exchange,
  approval: Approval,
): Promise<Approval> {
  const { patience } = exchange
  if (approval.state !== 'pending' || patience === undefined) return approval
  exchange.held?.({ id: approval.id, expiresAt: approval.expiresAt })
  const waited = await approvals.wait(approval, patience.holdMs, exchange.signal)
  if (waited.state === 'pending' && exchange.signal.aborted) {
    await audit.note('approval.abandoned', {
      approval: approvalFacts(waited),
      session: approval.session,
      subject: approval.requester,
    })
    throw new GatewayError('client-gone', { detail: 'the client left while its call waited for approval' })
  }
  return waited
}

async function use(
  { approvals, recheck }: SettleParts,
  session: Session,
  held: { readonly exchange: Exchange; readonly approval: Approval },
): Promise<Settled> {
  const { exchange, approval } = held
  const again = recheck(session, exchange.action)
  if (!again.ok) {
    const cancelled = await approvals.cancel(approval.id, again.reason).catch(() => approval)
    return refuse(cancelled, {
      reason: 'approval-void',
      message: `What was approved may no longer run: ${again.reason}`,
    })
  }
  const changed = await changedSince(exchange, approval)
  if (changed && approval.terms.onChange !== 'run') {
    const cancelled = await approvals
      .cancel(approval.id, 'the resource has changed since it was approved')
      .catch(() => approval)
    const message =
      approval.terms.onChange === 'ask'
        ? 'The resource has changed since it was approved. Send the same request again to ask anew.'
        : 'The resource has changed since it was approved, and the rule refuses that.'
    return refuse(cancelled, { reason: 'approval-outdated', message })
  }
  try {
    return { granted: true, facts: approvalFacts(await approvals.consume(approval.id)) }
  } catch (error) {
    if (asGatewayError(error).code !== 'conflict') throw error
    return refusalOfEnded(await approvals.get(approval.id)) ?? refuse(approval, { reason: 'approval-used' })
  }
}

async function changedSince(exchange: Exchange, { preview }: Approval): Promise<boolean> {
  if (preview?.fingerprint === undefined) return false
  const now: ActionPreview | undefined = await exchange.preview?.()
  return now?.fingerprint !== preview.fingerprint
}

function refusalOfEnded(approval: Approval): Settled | undefined {
  switch (approval.state) {
    case 'pending':
    case 'approved':
      return undefined
    case 'denied': {
      const vote = approval.votes.find(({ effect }) => effect === 'deny')
      const why = vote?.reason === undefined ? '' : `: ${vote.reason}`
      return refuse(approval, {
        reason: 'approval-denied',
        message: `Refused by ${vote?.by.email ?? vote?.by.id ?? 'an approver'}${why}`,
      })
    }
    case 'consumed':
      return refuse(approval, {
        reason: 'approval-used',
        message: 'This approval was used; it allowed one run.',
      })
    case 'expired':
      return refuse(approval, {
        reason: 'approval-expired',
        message: `${approval.endReason ?? 'Too late'}. Send the same request again to ask anew.`,
      })
    case 'cancelled':
      return refuse(approval, {
        reason: 'approval-cancelled',
        message: `${approval.endReason ?? 'Withdrawn'}. Send the same request again to ask anew.`,
      })
  }
}

function stillPending(approval: Approval, exchange: Exchange): Settled {
  const settled = refuse(approval, {
    reason: 'approval-pending',
    message:
      approval.message ??
      'A person must approve this. It was not executed. Send the same request again to go on waiting.',
  })
  const then = exchange.patience?.then === 'poll' ? 'poll' : approval.terms.whenHeld
  const { id, state, expiresAt } = approval
  return { ...settled, denial: { ...settled.denial, approval: { id, state, expiresAt, retryAfterMs, then } } }
}

function refuse(
  approval: Approval,
  denial: Pick<Denial, 'reason' | 'message'>,
): Extract<Settled, { granted: false }> {
  return { granted: false, denial: { ...denial, rule: approval.terms.rule }, facts: approvalFacts(approval) }
}
