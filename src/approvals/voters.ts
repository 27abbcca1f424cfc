import { GatewayError } from '../errors.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import { type Principal, samePerson, type Subject, type SubjectFacts } from '../model/subject.ts'
import type { Vote } from './approval.ts'

/** What is voted on: who asks, and by which terms it is decided. */
export interface Question {
  readonly requester: Principal & Pick<SubjectFacts, 'on_behalf_of'>
  readonly terms: Pick<ApprovalTerms, 'approvers' | 'quorum' | 'distinctGroups'>
  readonly votes: readonly Vote[]
}

/**
 * What of the terms names this person (`group:sre`, `user:ana@example.com`). Throws `denied` with the reason for anyone
 * who may not vote: machines and agents, the requester, the person the requester acts for (an administrator included),
 * and whoever the terms do not name. Terms that name nobody leave it to the role `approver`.
 */
export function eligibleGroups(
  { requester, terms }: Pick<Question, 'requester' | 'terms'>,
  voter: Subject,
  isApprover: boolean,
): readonly string[] {
  if (voter.kind !== 'user' || voter.onBehalfOf !== undefined) {
    throw new GatewayError('denied', { detail: 'only people approve, and only for themselves' })
  }
  if (samePerson(requester, voter))
    throw new GatewayError('denied', { detail: 'nobody approves their own request' })
  if (requester.on_behalf_of !== undefined && samePerson(requester.on_behalf_of, voter)) {
    throw new GatewayError('denied', { detail: 'nobody approves what an agent asks on their behalf' })
  }
  const named = terms.approvers.length > 0
  const byRole = isApprover ? ['role:approver'] : []
  const groups = named ? terms.approvers.filter(pattern => namesPerson(pattern, voter)) : byRole
  if (groups.length === 0)
    throw new GatewayError('denied', { detail: 'the rule does not name you as an approver' })
  return groups
}

/** Whether one more approval of someone with these groups brings the quorum nearer. */
export function counts(question: Question, groups: readonly string[]): boolean {
  return (
    approvals(question.terms, [...consents(question), groups]) > approvals(question.terms, consents(question))
  )
}

/** True when the votes reach the quorum. */
export function quorumReached(question: Pick<Question, 'terms' | 'votes'>): boolean {
  return approvals(question.terms, consents(question)) >= question.terms.quorum
}

function consents({ votes }: Pick<Question, 'votes'>): (readonly string[])[] {
  return votes.filter(vote => vote.effect === 'approve').map(vote => vote.groups)
}

/**
 * How many approvals count: each voter's one; where groups must differ, as many as can each stand for a group of their
 * own. Someone in two groups stands for whichever is needed (a maximum matching, by augmenting paths), so the order of
 * the votes does not matter. Who is named by name stands for no group.
 */
function approvals(terms: Question['terms'], voters: readonly (readonly string[])[]): number {
  if (!terms.distinctGroups) return voters.length
  const takenBy = new Map<string, number>()
  const place = (voter: number, tried: Set<string>): boolean => {
    for (const group of voters[voter]!) {
      if (!group.startsWith('group:') || tried.has(group)) continue
      tried.add(group)
      const holder = takenBy.get(group)
      if (holder !== undefined && !place(holder, tried)) continue
      takenBy.set(group, voter)
      return true
    }
    return false
  }
  return voters.filter((_, voter) => place(voter, new Set())).length
}

/**
 * Whether `group:name` or `user:name` names this person. An address is compared with the one the issuer vouches for and
 * never with an id, which at some issuers is whatever its owner chose.
 */
export function namesPerson(pattern: string, voter: Subject): boolean {
  const at = pattern.indexOf(':')
  const kind = pattern.slice(0, at)
  const name = pattern.slice(at + 1)
  if (kind === 'group') return voter.groups.includes(name)
  if (kind !== 'user') return false
  return name.includes('@') ? voter.email?.toLowerCase() === name.toLowerCase() : voter.id === name
}
