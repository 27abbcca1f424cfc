/** What a client hears whose action needed a person and may not run now. */
import type { Denial, Exchange } from '../gateway/exchange.ts'
import type { ApprovalStep } from '../gateway/gateway.ts'
import { type Approval, approvalFacts } from './approval.ts'

export type Settled = Awaited<ReturnType<ApprovalStep['settle']>>
type Refused = Extract<Settled, { granted: false }>

/** Clients are told to come back after this long. */
const retryAfterMs = 5000

export function stillPending(approval: Approval, exchange: Exchange): Refused {
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

export function abandoned(approval: Approval): Refused {
  return refuse(approval, {
    reason: 'approval-abandoned',
    message: 'The client left while its call was held. Nothing is decided by that.',
  })
}

export function voided(approval: Approval, why: string): Refused {
  return refuse(approval, {
    reason: 'approval-void',
    message: `What was approved may no longer run: ${why}. Send the same request again to ask anew.`,
  })
}

export function outdated(approval: Approval): Refused {
  const message = 'The resource has changed since it was approved, and the rule refuses that.'
  return refuse(approval, { reason: 'approval-outdated', message })
}

export function used(approval: Approval): Refused {
  return refuse(approval, {
    reason: 'approval-used',
    message: 'This approval was used; it allowed one run.',
  })
}

/** For an approval that is not open. */
export function refusalOfEnded(approval: Approval): Refused {
  const { state, endReason, votes } = approval
  switch (state) {
    case 'denied': {
      const vote = votes.find(({ effect }) => effect === 'deny')
      const why = vote?.reason === undefined ? '' : `: ${vote.reason}`
      const message = `Refused by ${vote?.by.email ?? vote?.by.id ?? 'an approver'}${why}`
      return refuse(approval, { reason: 'approval-denied', message })
    }
    case 'expired':
    case 'cancelled': {
      const message = `${sentence(endReason ?? state)} Send the same request again to ask anew.`
      return refuse(approval, { reason: `approval-${state}`, message })
    }
    case 'consumed':
    case 'pending':
    case 'approved':
      return used(approval)
  }
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`
}

function refuse(approval: Approval, denial: Pick<Denial, 'reason' | 'message'>): Refused {
  return { granted: false, denial: { ...denial, rule: approval.terms.rule }, facts: approvalFacts(approval) }
}
