/**
 * The approval step of the path: finds or makes the approval for an action, waits as long as the client can endure,
 * and uses it up. A client that leaves decides nothing.
 */
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { asGatewayError, GatewayError } from '../errors.ts'
import type { ActionPreview, Exchange } from '../gateway/exchange.ts'
import type { ApprovalStep } from '../gateway/gateway.ts'
import type { Session } from '../gateway/session.ts'
import type { Masker } from '../masking/masker.ts'
import type { Action } from '../model/action.ts'
import type { ApprovalTerms, Decision } from '../model/decision.ts'
import { type Approval, approvalEntry, approvalFacts, isOpen } from './approval.ts'
import type { Approvals, Shown } from './approvals.ts'
import { connectionVersion } from './connection-version.ts'
import { abandoned, outdated, refusalOfEnded, type Settled, stillPending, used, voided } from './refusals.ts'

/**
 * Asks again, at the moment of use, what was asked before the wait: is the credential still good, the connection the
 * one that was shown, the policy the one that asked. A fault rejects, and nothing runs.
 */
export type Recheck = (
  session: Session,
  action: Action,
  approval: Approval,
) => Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }>

/** A consent given ahead for more than one action: a grant, broken glass. */
export interface Coverage {
  /** What the entry says of the consent that covers this ask; undefined: none does. */
  covering(
    session: Session,
    action: Action,
    terms: ApprovalTerms,
  ): { readonly id: string; readonly facts: Readonly<Record<string, unknown>> } | undefined
}

export interface SettleParts {
  readonly approvals: Approvals
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  readonly recheck: Recheck
  /** In order; the first that covers an ask is named. */
  readonly coverage?: readonly Coverage[]
  /** Masks what the approver sees of a request. */
  readonly masker: (session: Session, decision: Decision) => Masker
}

interface Question {
  readonly session: Session
  readonly exchange: Exchange
  readonly decision: Decision
  readonly terms: ApprovalTerms
}

export function createApprovalStep(parts: SettleParts): ApprovalStep {
  return {
    async settle(session, exchange, decision) {
      const terms = decision.approval
      if (terms === undefined) throw new GatewayError('internal', { internal: 'an ask without terms' })
      const question = { session, exchange, decision, terms }
      const covered = await settleByCoverage(parts, question)
      if (covered !== undefined) return covered
      const approval = await attach(parts, question)
      const waited = await hold(parts, exchange, approval)
      // A client that left is not there to take the answer: the approval stays for its return.
      if (exchange.signal.aborted && isOpen(waited)) return await abandon(parts, waited)
      if (waited.state === 'approved') return await use(parts, question, waited)
      if (waited.state !== 'pending') return refusalOfEnded(waited)
      // Consent for more than this action may have come while it was held.
      return (await settleByCoverage(parts, question, waited)) ?? stillPending(waited, exchange)
    },
  }
}

/** What was asked for by itself needs nobody any more. */
async function settleByCoverage(
  { coverage = [], approvals }: SettleParts,
  { session, exchange, terms }: Question,
  asked?: Approval,
): Promise<Settled | undefined> {
  for (const each of coverage) {
    const found = each.covering(session, exchange.action, terms)
    if (found === undefined) continue
    const { connection, subject } = session
    const digest = exchange.action.digest()
    const open = asked ?? (await approvals.findFor({ requester: subject, connection, digest }))
    if (open !== undefined && isOpen(open))
      await approvals.cancel(open.id, `covered by ${found.id}`).catch(unlessConflict)
    return { granted: true, facts: { ...found.facts, digest: `sha256:${digest}` } }
  }
  return undefined
}

/** The same action by the same requester attaches to the approval that there is; so a retry storm asks once. */
async function attach(parts: SettleParts, question: Question, preview?: ActionPreview): Promise<Approval> {
  const { session, exchange, decision, terms } = question
  const { action } = exchange
  const { subject, connection, target } = session
  const { operation, risk, resource } = action
  const { name, protocol, sensitivity } = connection
  return await parts.approvals.request(
    {
      requester: subject,
      session: session.id,
      connection: { name, protocol, sensitivity, version: connectionVersion(target) },
      operation,
      risk,
      resource,
      digest: action.digest(),
      policyVersion: decision.policyVersion,
      terms,
    },
    async () => shown(parts.masker(session, decision), action, preview ?? (await exchange.preview?.())),
  )
}

/** Masked once more here, whoever made the preview: what is stored is what messages and approvers see (P8). */
function shown(masker: Masker, action: Action, preview: ActionPreview | undefined): Shown {
  const request = masker.json(action.content) as Shown['request']
  if (preview === undefined) return { request }
  const changes = preview.changes.map(({ path, ...values }) => ({ path: masker.text(path), ...values }))
  const foreseen = preview.foreseen?.map(({ name, text }) => ({ name, text: masker.text(text) }))
  return {
    request,
    preview: {
      ...preview,
      changes: masker.json(changes) as ActionPreview['changes'],
      ...(foreseen === undefined ? {} : { foreseen }),
    },
  }
}

async function hold({ approvals }: SettleParts, exchange: Exchange, approval: Approval): Promise<Approval> {
  const { patience } = exchange
  if (approval.state !== 'pending' || patience === undefined) return approval
  exchange.held?.({ id: approval.id, expiresAt: approval.expiresAt })
  return await approvals.wait(approval, patience.holdMs, exchange.signal)
}

async function abandon({ audit }: SettleParts, approval: Approval): Promise<Settled> {
  const { reason: _, ...facts } = approvalEntry(approval)
  await audit.note('approval.abandoned', facts)
  return abandoned(approval)
}

/** The checks first and the last of them right before the use: what was true when people said yes must be true now. */
async function use(parts: SettleParts, question: Question, approval: Approval): Promise<Settled> {
  const { approvals, recheck } = parts
  const { session, exchange } = question
  const { onChange } = approval.terms
  if (approval.preview?.fingerprint !== undefined && onChange !== 'run') {
    const now = await exchange.preview?.()
    if (now?.fingerprint !== approval.preview.fingerprint) {
      const why = 'the resource has changed since it was approved'
      const ended = await approvals.cancel(approval.id, why).catch(unlessConflict)
      if (onChange === 'refuse' || ended === undefined) return outdated(ended ?? approval)
      return stillPending(await attach(parts, question, now), exchange)
    }
  }
  const again = await recheck(session, exchange.action, approval)
  if (!again.ok) {
    const ended = await approvals.cancel(approval.id, again.reason).catch(unlessConflict)
    return voided(ended ?? approval, again.reason)
  }
  if (exchange.signal.aborted) return await abandon(parts, approval)
  try {
    const taken = await approvals.consume(approval.id)
    return {
      granted: true,
      facts: approvalFacts(taken),
      // Where this fails it stays used, which is the safe side.
      unused: async end => void (await approvals.giveBack(taken, end).catch(() => undefined)),
    }
  } catch (error) {
    if (asGatewayError(error).code !== 'conflict') throw error
    const now = await approvals.get(approval.id)
    return isOpen(now) ? used(now) : refusalOfEnded(now)
  }
}

/** A race that somebody else won is no fault: whatever they did is done. */
function unlessConflict(error: unknown): undefined {
  if (asGatewayError(error).code !== 'conflict') throw error
  return undefined
}
