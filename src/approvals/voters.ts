import { GatewayError } from '../errors.ts'
import type { Principal, Subject } from '../model/subject.ts'
import type { Approval, Vote } from './approval.ts'

/**
 * The group (as the terms name it) that lets this person vote. Throws `denied` with the reason for anyone who may
 * not: machines and agents, the requester, the person the requester acts for (an administrator included), and whoever
 * the terms do not name. A rule that names nobody leaves it to the role `approver`.
 */
export function eligibleGroup(approval: Approval, voter: Subject, isApprover: boolean): string {
  if (voter.kind !== 'user' || voter.onBehalfOf !== undefined) {
    throw new GatewayError('denied', { detail: 'only people approve, and only for themselves' })
  }
  const { requester, terms, votes } = approval
  if (samePerson(requester, voter))
    throw new GatewayError('denied', { detail: 'nobody approves their own request' })
  if (requester.on_behalf_of !== undefined && samePerson(requester.on_behalf_of, voter)) {
    throw new GatewayError('denied', { detail: 'nobody approves what an agent asks on their behalf' })
  }
  const named = terms.approvers.length > 0
  const groups = named
    ? terms.approvers.filter(pattern => matches(pattern, voter))
    : isApprover
      ? ['role:approver']
      : []
  if (groups.length === 0)
    throw new GatewayError('denied', { detail: 'the rule does not name you as an approver' })
  const taken = new Set(votes.map(vote => vote.group))
  const free = terms.distinctGroups ? groups.find(group => !taken.has(group)) : groups[0]
  if (free === undefined)
    throw new GatewayError('denied', { detail: 'the votes of your groups are given already' })
  return free
}

/** True when the votes reach the quorum. */
export function quorumReached(approval: Approval, votes: readonly Vote[]): boolean {
  return votes.filter(vote => vote.effect === 'approve').length >= approval.terms.quorum
}

/**
 * The same person by issuer and id, or by an e-mail address that both issuers vouch for: someone known to two issuers
 * must not approve with one what they asked with the other.
 */
export function samePerson(a: Principal, b: Principal): boolean {
  if (a.issuer === b.issuer && a.id === b.id) return true
  return a.email !== undefined && b.email !== undefined && a.email.toLowerCase() === b.email.toLowerCase()
}

function matches(pattern: string, voter: Subject): boolean {
  const at = pattern.indexOf(':')
  const kind = pattern.slice(0, at)
  const name = pattern.slice(at + 1)
  if (kind === 'group') return voter.groups.includes(name)
  if (kind !== 'user') return false
  return voter.id === name || voter.email?.toLowerCase() === name.toLowerCase()
}
