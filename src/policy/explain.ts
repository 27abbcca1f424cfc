import type { Decision } from '../model/decision.ts'
import { Candidates } from './candidates.ts'
import { ConditionError } from './cel/values.ts'
import { decide, type Inquiry, variablesOf } from './decide.ts'
import type { Policy } from './policy.ts'
import { grants, hasScopes, type Rule } from './rule.ts'

/** How one rule took the question. */
export interface RuleAccount {
  readonly rule: string
  readonly effect: Rule['effect']
  /**
   * `decided`: this rule is named in the decision; `matched`: it counted too; `shadow`: it would have; `failed`: its
   * condition could not be evaluated, so that an allow did not match; `no-match`.
   */
  readonly outcome: 'decided' | 'matched' | 'shadow' | 'failed' | 'no-match'
  /** Why it did not match, or matched in spite of an error: the first selector that said no, in words. */
  readonly because?: string
  /** The condition, where evaluation came to it. */
  readonly condition?: { readonly text: string; readonly result: boolean | string }
}

export interface Explanation {
  readonly decision: Decision
  /** All rules, in file order. */
  readonly rules: readonly RuleAccount[]
}

/** Which rule decided, and why each other did not match. Limits on rate are left aside. Pure. */
export function explain(policy: Policy, inquiry: Inquiry): Explanation {
  const candidates = new Candidates(policy.rules).of(inquiry.connection, inquiry.action)
  const decision = decide(policy, candidates, inquiry)
  return { decision, rules: policy.rules.map(rule => account(rule, inquiry, decision)) }
}

function account(rule: Rule, inquiry: Inquiry, decision: Decision): RuleAccount {
  const base = { rule: rule.name, effect: rule.effect }
  const missed = firstMiss(rule, inquiry)
  if (missed !== undefined) return { ...base, outcome: 'no-match', because: missed }
  const matched = rule.shadow ? 'shadow' : rule.name === decision.rule ? 'decided' : 'matched'
  if (rule.condition === undefined) return { ...base, outcome: matched }
  const { text } = rule.condition
  const result = rule.condition.evaluate(variablesOf(inquiry))
  if (result instanceof ConditionError) {
    const condition = { text, result: `${result.message} (at character ${result.offset + 1})` }
    if (rule.effect === 'allow') return { ...base, outcome: 'failed', because: result.message, condition }
    const because = `${result.message}; a condition that can not be evaluated counts against the action`
    return { ...base, outcome: matched, because, condition }
  }
  const condition = { text, result }
  if (!result) return { ...base, outcome: 'no-match', because: 'the condition is false', condition }
  return { ...base, outcome: matched, condition }
}

/** The first selector that says no, in the order in which the gateway asks them. */
function firstMiss(rule: Rule, { subject, connection, action }: Inquiry): string | undefined {
  const place = rule.connections.find(selector => !selector.matches(connection))
  if (place !== undefined) return `${place.name} does not match ${connection.name}`
  if (!rule.operations.matches(action.operation)) return `operations does not match ${action.operation}`
  if (rule.risks !== undefined && !rule.risks.has(action.risk)) return `risks does not hold ${action.risk}`
  if (rule.effect === 'allow' && !grants(rule, action)) {
    return `${action.operation} is an unknown operation, which an allow has to name`
  }
  if (rule.resources?.(action) === false)
    return `resources does not match ${action.resources?.map(([exact]) => exact).join(', ') || 'nothing'}`
  const who = rule.subjects.find(selector => !selector.matches(subject))
  if (who !== undefined) return `${who.name} does not match the subject`
  return hasScopes(rule, subject) ? undefined : `the token lacks a scope of: ${rule.scopes.join(' ')}`
}

const signs: Readonly<Record<RuleAccount['outcome'], string>> = {
  decided: '=>',
  matched: ' +',
  shadow: ' ~',
  failed: ' !',
  'no-match': ' -',
}

/** The explanation as lines of text for a terminal. */
export function renderExplanation({ decision, rules }: Explanation): string {
  const { effect, reason, rule, obligations } = decision
  const lines = [`${effect} (${reason}${rule === undefined ? '' : `, rule ${rule}`})`]
  if (decision.message !== undefined) lines.push(`  message: ${decision.message}`)
  if (obligations.mask.length > 0) lines.push(`  masks the answer with: ${obligations.mask.join(', ')}`)
  if (obligations.maskRequest.length > 0)
    lines.push(`  masks the request with: ${obligations.maskRequest.join(', ')}`)
  if (obligations.record !== 'full') lines.push(`  records: ${obligations.record}`)
  if (obligations.recordRows !== undefined)
    lines.push(`  records: of the answer the first ${obligations.recordRows} rows`)
  if (obligations.recordBefore === true) lines.push('  records the state before it')
  const { limitRows } = obligations
  if (limitRows !== undefined)
    lines.push(`  at most ${limitRows.rows} rows, then ${limitRows.beyond} (${limitRows.rule})`)
  for (const each of obligations.rateLimits) {
    lines.push(`  at most ${each.limit} in ${each.windowMs / 1000} s (${each.rule})`)
  }
  if (decision.approval !== undefined) {
    const { approvers, quorum } = decision.approval
    lines.push(`  needs ${quorum} of: ${approvers.join(', ')}`)
  }
  lines.push('', 'rules (=> decided, + counted, ~ shadow, ! condition failed, - did not match):')
  const width = Math.max(0, ...rules.map(each => each.rule.length))
  for (const each of rules) {
    lines.push(
      `${signs[each.outcome]} ${each.rule.padEnd(width)}  ${each.effect}${each.because === undefined ? '' : `: ${each.because}`}`,
    )
    if (each.condition !== undefined) {
      lines.push(`     when ${each.condition.text.replace(/\s+/g, ' ').trim()}`)
      if (typeof each.condition.result === 'string') lines.push(`     failed: ${each.condition.result}`)
    }
  }
  return `${lines.join('\n')}\n`
}
