/**
 * How the rules that match become one decision. Any matching deny wins; then any matching require_approval; else an
 * allow is needed. The order of rules never changes the effect, only which rule is named.
 */
import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import {
  type Decision,
  type Effect,
  type Obligations,
  type RecordLevel,
  type RowLimit,
  strictestRows,
} from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { combineTerms } from './approval-terms.ts'
import type { Variables } from './cel/condition.ts'
import type { Policy } from './policy.ts'
import { conditionHolds, grants, hasScopes, type Rule, type RuleEffect } from './rule.ts'

/** One question to the policy. */
export interface Inquiry {
  readonly subject: Subject
  readonly connection: Connection
  readonly action: Action
  /** Milliseconds since the epoch; what conditions see as `now`. */
  readonly now: number
}

export const effects: Readonly<Record<RuleEffect, Effect>> = {
  allow: 'permit',
  deny: 'deny',
  require_approval: 'ask',
}

interface Matches {
  readonly rules: readonly Rule[]
  readonly shadow: readonly Rule[]
  /** Allows that lack nothing but a scope of the token. */
  readonly lacking: readonly Rule[]
  readonly errors: readonly { readonly rule: string; readonly error: string }[]
}

/** Decides among the candidates: rules, in file order, that reach the connection, the operation and its risk. */
export function decide(policy: Policy, candidates: readonly Rule[], inquiry: Inquiry): Decision {
  const { rules, shadow, lacking, errors } = match(candidates, inquiry)
  const base = {
    matched: rules.map(rule => rule.name),
    shadow: shadow.map(rule => ({ rule: rule.name, effect: effects[rule.effect] })),
    obligations: obligationsOf(rules),
    policyVersion: policy.version,
    ...(errors.length === 0 ? {} : { conditionErrors: errors }),
  }
  const erred = (rule: Rule): boolean => errors.some(each => each.rule === rule.name)
  const denial = rules.find(rule => rule.effect === 'deny')
  if (denial !== undefined) {
    return { ...base, effect: 'deny', ...naming(denial, erred(denial) ? 'condition-error' : 'rule-denied') }
  }
  // The action passes only if some matching rule lets it: for an unknown operation, one that names it.
  if (!rules.some(rule => grants(rule, inquiry.action))) {
    const [step] = lacking
    if (step !== undefined)
      return { ...base, effect: 'deny', ...naming(step, 'insufficient-scope'), scopes: step.scopes }
    return { ...base, effect: 'deny', reason: defaultReason(inquiry.action, errors.length > 0) }
  }
  const asks = rules.filter(rule => rule.effect === 'require_approval')
  const [ask] = asks
  if (ask !== undefined) {
    const approval = combineTerms(asks.flatMap(rule => rule.approval ?? []))
    if (approval === undefined) return { ...base, effect: 'deny', ...naming(ask, 'approval-terms-conflict') }
    const reason = erred(ask) ? 'condition-error' : 'approval-required'
    return { ...base, effect: 'ask', ...naming(ask, reason), approval }
  }
  return {
    ...base,
    effect: 'permit',
    ...naming(rules.find(rule => grants(rule, inquiry.action))!, 'rule-allowed'),
  }
}

function naming(rule: Rule, reason: string): { reason: string; rule: string; message?: string } {
  return { reason, rule: rule.name, ...(rule.message === undefined ? {} : { message: rule.message }) }
}

function defaultReason(action: Action, erred: boolean): string {
  if (erred) return 'condition-error'
  return action.known ? 'no-rule-allows' : 'unknown-operation'
}

function match(candidates: readonly Rule[], inquiry: Inquiry): Matches {
  const rules: Rule[] = []
  const shadow: Rule[] = []
  const lacking: Rule[] = []
  const errors: { rule: string; error: string }[] = []
  let made: Variables | undefined
  const variables = (): Variables => (made ??= variablesOf(inquiry))
  for (const rule of candidates) {
    // An allow that does not name the unknown operation has nothing to say about it, obligations included.
    if (rule.effect === 'allow' && !grants(rule, inquiry.action)) continue
    if (!rule.subjects.every(selector => selector.matches(inquiry.subject))) continue
    if (rule.resources?.(inquiry.action) === false) continue
    const { holds, error } = conditionHolds(rule, variables)
    if (error !== undefined && !rule.shadow) errors.push({ rule: rule.name, error: error.message })
    if (!holds) continue
    if (hasScopes(rule, inquiry.subject)) (rule.shadow ? shadow : rules).push(rule)
    else if (!rule.shadow) lacking.push(rule)
  }
  return { rules, shadow, lacking, errors }
}

/** What conditions see. Made only when some condition is to be evaluated. */
export function variablesOf({ subject, connection, action, now }: Inquiry): Variables {
  const { issuer, id, name, email, kind, method, groups, claims, onBehalfOf } = subject
  const { protocol, sensitivity, labels } = connection
  const { operation, risk, resource, known } = action
  return {
    subject: { issuer, id, name, email, kind, method, groups, claims, on_behalf_of: onBehalfOf },
    connection: { name: connection.name, protocol, sensitivity, labels },
    action: { operation, risk, resource, resources: action.resources?.map(([exact]) => exact), known },
    request: action.content,
    now: new Date(now),
  }
}

/** Unites the masks and limits; of record levels the one that keeps most wins, among rules that state one. */
function addObligations(rules: readonly Rule[]): Obligations {
  const budgets = rules.flatMap(rule => rule.budgets)
  return {
    mask: union(rules, rule => rule.mask),
    maskRequest: union(rules, rule => rule.maskRequest),
    ...keepingMost(rules.flatMap(rule => rule.record ?? [])),
    ...fewestRows(rules.flatMap(rule => rule.limitRows ?? [])),
    rateLimits: rules.flatMap(rule => rule.rateLimit ?? []),
    ...(rules.some(rule => rule.source.record_before === true) ? { recordBefore: true } : {}),
    ...(budgets.length === 0 ? {} : { budgets }),
  }
}

function fewestRows(limits: readonly RowLimit[]): Pick<Obligations, 'limitRows'> {
  const [first, ...rest] = limits
  return first === undefined ? {} : { limitRows: rest.reduce(strictestRows, first) }
}

const nothing: readonly string[] = Object.freeze([])

function union(rules: readonly Rule[], of: (rule: Rule) => readonly string[]): readonly string[] {
  return rules.every(rule => of(rule).length === 0) ? nothing : Object.freeze([...new Set(rules.flatMap(of))])
}

const byAmount: readonly RecordLevel[] = ['none', 'metadata', 'full']

function keepingMost(
  stated: readonly NonNullable<Rule['record']>[],
): Pick<Obligations, 'record' | 'recordRows'> {
  if (stated.length === 0) return { record: 'full' }
  const record = byAmount[Math.max(...stated.map(({ level }) => byAmount.indexOf(level)))]!
  const rows = stated.filter(({ level }) => level === record).map(each => each.rows ?? Infinity)
  const most = Math.max(...rows)
  return most === Infinity ? { record } : { record, recordRows: most }
}

const ofOneRule = new WeakMap<Rule, Obligations>()
const ofNoRule: Obligations = addObligations([])

/** Most actions match one rule, whose obligations are always the same. */
function obligationsOf(rules: readonly Rule[]): Obligations {
  const [rule, another] = rules
  if (rule === undefined) return ofNoRule
  if (another !== undefined) return addObligations(rules)
  const known = ofOneRule.get(rule)
  if (known !== undefined) return known
  const made = addObligations(rules)
  ofOneRule.set(rule, made)
  return made
}
