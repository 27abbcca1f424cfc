/**
 * Judges recorded actions again under another policy. An entry does not hold all that a rule may ask about: groups,
 * claims and the content of a request are not in it. What a rule would have said is then `true`, `false` or unknown,
 * and where the unknown matters the answer is every effect that is possible. A recorded decision under the policy in
 * force says more: a rule that stands unchanged in the other policy must have said then what the decision shows.
 */
import { canonicalJson } from '../audit/canonical-json.ts'
import type { Entry } from '../audit/events.ts'
import type { Action, Risk } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Effect } from '../model/decision.ts'
import type { Subject, SubjectKind } from '../model/subject.ts'
import { Candidates } from './candidates.ts'
import type { UnrecordedPart } from './cel/condition.ts'
import { ConditionError } from './cel/values.ts'
import { type Inquiry, variablesOf } from './decide.ts'
import type { Policy } from './policy.ts'
import { grants, type Rule } from './rule.ts'

export interface Rejudged {
  /** As it was decided then. */
  readonly before: Effect
  /** All effects that are possible; exactly one where the entry tells enough. */
  readonly after: readonly Effect[]
  /** The rule that decides, where one effect is certain and a rule makes it so. */
  readonly rule?: string
  /** Rules that could not be told, and what of the entry they would have needed. */
  readonly unknown: readonly { readonly rule: string; readonly needs: readonly UnrecordedPart[] }[]
}

type Verdict = boolean | readonly UnrecordedPart[]

export interface RejudgeOptions {
  readonly policy: Policy
  /** The policy in force, which some of the decisions were made under. */
  readonly inForce: Policy
  /** The connection of that name as it is configured now. */
  readonly connection: (name: string) => Connection | undefined
}

/**
 * One recorded action at a time; undefined for an entry without a decision, or of a connection that is gone. `content`:
 * what conditions see as `request`, where it is known in full.
 */
export function createRejudge(
  options: RejudgeOptions,
): (entry: Entry, content?: Action['content']) => Rejudged | undefined {
  const { policy, inForce } = options
  const candidates = new Candidates(policy.rules)
  const standing = unchangedRules(policy, inForce)
  return (entry, content) => {
    const { decision } = entry
    const connection = options.connection(entry.connection?.name ?? '')
    const inquiry = connection && inquiryOf(entry, connection, content ?? {})
    if (decision === undefined || inquiry === undefined) return undefined
    const hints = decision.policy === inForce.version
    const verdicts = candidates.of(inquiry.connection, inquiry.action).flatMap(rule => {
      if (rule.shadow) return []
      const hint = hints && standing.has(rule) ? hintOf(rule, inquiry.action, decision) : undefined
      return [[rule, hint ?? verdictOf(rule, inquiry, content !== undefined)] as const]
    })
    return { before: decision.effect as Effect, ...combine(verdicts, inquiry.action) }
  }
}

/** Rules of the one policy that stand in the other exactly as they are, name included. */
function unchangedRules(policy: Policy, inForce: Policy): ReadonlySet<Rule> {
  const texts = new Set(inForce.rules.map(rule => canonicalJson(rule.source)))
  return new Set(policy.rules.filter(rule => texts.has(canonicalJson(rule.source))))
}

/** What an unchanged rule must have said for the decision to come out as it did. */
function hintOf(
  rule: Rule,
  action: Action,
  { effect, reason, rule: named }: NonNullable<Entry['decision']>,
): boolean | undefined {
  if (reason === 'rule-denied') return rule.name === named ? true : undefined
  if (rule.effect === 'deny') return reason === 'condition-error' ? undefined : false
  if (reason === 'no-rule-allows' || reason === 'insufficient-scope' || reason === 'unknown-operation')
    return grants(rule, action) ? false : undefined
  if (effect === 'permit')
    return rule.effect === 'require_approval' ? false : rule.name === named || undefined
  return reason === 'approval-required' && rule.name === named ? true : undefined
}

function verdictOf(rule: Rule, inquiry: Inquiry, knowsRequest: boolean): Verdict {
  if (rule.effect === 'allow' && !grants(rule, inquiry.action)) return false
  const needs = new Set<UnrecordedPart>()
  for (const selector of rule.subjects) {
    const [, key] = selector.name.split('.')
    if (key === 'groups' || key === 'claims') needs.add(key)
    else if (!selector.matches(inquiry.subject)) return false
  }
  if (rule.scopes.length > 0) needs.add('claims')
  if (rule.resources !== undefined) needs.add('request')
  const { condition } = rule
  const unrecorded = condition?.unrecorded.filter(part => !(part === 'request' && knowsRequest)) ?? []
  if (condition !== undefined && unrecorded.length > 0) {
    for (const part of unrecorded) needs.add(part)
  } else if (condition !== undefined) {
    const result = condition.evaluate(variablesOf(inquiry))
    if (result instanceof ConditionError ? rule.effect === 'allow' : !result) return false
  }
  return needs.size === 0 ? true : [...needs]
}

function combine(
  verdicts: readonly (readonly [Rule, Verdict])[],
  action: Action,
): Pick<Rejudged, 'after' | 'rule' | 'unknown'> {
  const certain = (effect: Rule['effect']): Rule | undefined =>
    verdicts.find(
      ([rule, verdict]) => rule.effect === effect && verdict === true && isHeard(rule, action),
    )?.[0]
  const open = (effect: Rule['effect']): boolean =>
    verdicts.some(
      ([rule, verdict]) => rule.effect === effect && typeof verdict === 'object' && isHeard(rule, action),
    )
  const unknown = verdicts.flatMap(([{ name }, verdict]) =>
    typeof verdict === 'object' ? [{ rule: name, needs: verdict }] : [],
  )
  const denial = certain('deny')
  if (denial !== undefined) return { after: ['deny'], rule: denial.name, unknown: [] }
  const after = new Set<Effect>()
  if (open('deny')) after.add('deny')
  const ask = certain('require_approval')
  const allow = certain('allow')
  if (ask !== undefined) {
    after.add('ask')
  } else {
    if (open('require_approval')) after.add('ask')
    if (allow !== undefined || open('allow')) after.add('permit')
    if (allow === undefined) after.add('deny')
  }
  const effects = [...after]
  if (effects.length > 1) return { after: effects, unknown }
  const rule = effects[0] === 'ask' ? ask : effects[0] === 'permit' ? allow : undefined
  return { after: effects, ...(rule === undefined ? {} : { rule: rule.name }), unknown: [] }
}

/** A rule that lets pass counts for an unknown operation only if it names it; one that denies always does. */
function isHeard(rule: Rule, action: Action): boolean {
  return rule.effect === 'deny' || grants(rule, action)
}

function inquiryOf(entry: Entry, connection: Connection, content: Action['content']): Inquiry | undefined {
  const { subject, operation, risk, known, resource, time } = entry
  if (subject === undefined || operation === undefined || risk === undefined) return undefined
  const { on_behalf_of: person, kind, ...who } = subject
  const asked: Subject = {
    ...who,
    kind: kind as SubjectKind,
    groups: [],
    claims: {},
    ...(person === undefined ? {} : { onBehalfOf: person }),
  }
  const action: Action = {
    id: entry.action ?? '',
    operation,
    risk: risk as Risk,
    known: known ?? true,
    resource: resource ?? '',
    content,
    digest: () => entry.digest ?? '',
    facts: {},
  }
  return { subject: asked, connection, action, now: Date.parse(time) }
}
