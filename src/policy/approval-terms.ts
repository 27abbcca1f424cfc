import type { ApprovalTerms } from '../model/decision.ts'

/**
 * The terms of all matching asks as one, such that whoever satisfies it has satisfied each. Approvers are those that
 * every rule names; where no one is in all lists but each rule wants one vote of one group, a vote of each group.
 * Undefined where no single set of terms says it: then the action is denied rather than some rule's terms dropped.
 * Times are the shortest, demands the most severe; the words are the first rule's.
 */
export function combineTerms(all: readonly ApprovalTerms[]): ApprovalTerms | undefined {
  const [first, ...others] = all
  if (first === undefined) return undefined
  if (others.length === 0) return first
  const voters = commonVoters(all) ?? voterOfEach(all)
  if (voters === undefined) return undefined
  const message = all.find(terms => terms.message !== undefined)?.message
  return {
    rule: first.rule,
    ...voters,
    expiresAfterMs: Math.min(...all.map(terms => terms.expiresAfterMs)),
    usableForMs: Math.min(...all.map(terms => terms.usableForMs)),
    reasonRequired: all.some(terms => terms.reasonRequired),
    whenHeld: first.whenHeld,
    onChange: severest(all.map(terms => terms.onChange)),
    ...(message === undefined ? {} : { message }),
  }
}

type Voters = Pick<ApprovalTerms, 'approvers' | 'quorum' | 'distinctGroups'>

function commonVoters(all: readonly ApprovalTerms[]): Voters | undefined {
  const [first, ...others] = all
  const sets = others.map(terms => new Set(terms.approvers))
  const approvers = [...new Set(first!.approvers)].filter(each => sets.every(set => set.has(each)))
  const quorum = Math.max(...all.map(terms => terms.quorum))
  const distinctGroups = all.some(terms => terms.distinctGroups)
  const groups = approvers.filter(each => each.startsWith('group:')).length
  const enough = distinctGroups ? groups >= quorum : groups > 0 || approvers.length >= quorum
  return approvers.length > 0 && enough ? { approvers, quorum, distinctGroups } : undefined
}

/** Each rule wants one vote of one group of its own: a vote from each of the groups is exactly that. */
function voterOfEach(all: readonly ApprovalTerms[]): Voters | undefined {
  const simple = all.every(
    ({ approvers, quorum }) => quorum === 1 && approvers.length === 1 && approvers[0]!.startsWith('group:'),
  )
  if (!simple) return undefined
  const approvers = [...new Set(all.map(terms => terms.approvers[0]!))]
  return { approvers, quorum: approvers.length, distinctGroups: true }
}

const severity = ['run', 'ask', 'refuse'] as const

function severest(answers: readonly ApprovalTerms['onChange'][]): ApprovalTerms['onChange'] {
  return severity[Math.max(...answers.map(answer => severity.indexOf(answer)))]!
}
