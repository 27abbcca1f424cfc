import type { Action, Risk } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { ApprovalTerms, BudgetTerms, RateLimitTerms, RecordLevel, RowLimit } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { type Condition, compileCondition, type Variables } from './cel/condition.ts'
import { ConditionError } from './cel/values.ts'
import type { RuleSource } from './schema.ts'
import {
  connectionSelectors,
  operationSelector,
  type Operations,
  resourceSelector,
  type Selector,
  subjectSelectors,
} from './selectors.ts'

export type RuleEffect = RuleSource['effect']

/** One compiled rule. */
export interface Rule {
  readonly name: string
  readonly effect: RuleEffect
  readonly shadow: boolean
  readonly message?: string
  readonly mask: readonly string[]
  readonly maskRequest: readonly string[]
  readonly record?: { readonly level: RecordLevel; readonly rows?: number }
  readonly limitRows?: RowLimit
  readonly rateLimit?: RateLimitTerms
  readonly budgets: readonly BudgetTerms[]
  readonly approval?: ApprovalTerms
  readonly subjects: readonly Selector<Subject>[]
  readonly connections: readonly Selector<Connection>[]
  readonly operations: Operations
  readonly risks: ReadonlySet<Risk> | undefined
  readonly resources: ((action: Action) => boolean) | undefined
  readonly condition: Condition | undefined
  /** Of an allow: what the token must have been given. */
  readonly scopes: readonly string[]
  /** As written, for people. */
  readonly source: RuleSource
}

/** What is wrong with a rule, and where: a path inside the rule and, in a text, the character. */
export interface RuleIssue {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly offset?: number
}

export function compileRule(source: RuleSource): Rule | readonly RuleIssue[] {
  const issues: RuleIssue[] = [...issuesOf(source)]
  const condition = source.when === undefined ? undefined : compileCondition(source.when)
  if (condition !== undefined && !('evaluate' in condition)) {
    issues.push({ path: ['when'], message: condition.message, offset: condition.offset })
    return issues
  }
  const operations = operationSelector(source)
  issues.push(...operations.issues)
  if (issues.length > 0) return issues
  const { name, effect, shadow, message, mask, record, rate_limit: limit, approval } = source
  return {
    name,
    effect,
    shadow,
    mask,
    maskRequest: source.mask_request,
    subjects: subjectSelectors(source.subjects ?? {}),
    connections: connectionSelectors(source.connections ?? {}),
    operations,
    resources: resourceSelector(source),
    risks: source.risks === undefined ? undefined : new Set(source.risks),
    condition,
    scopes: source.scopes ?? [],
    source,
    ...(message === undefined ? {} : { message }),
    ...(record === undefined ? {} : { record: recordOf(record) }),
    ...(source.limit_rows === undefined ? {} : { limitRows: { rule: name, ...source.limit_rows } }),
    budgets: budgetsOf(source),
    ...(limit === undefined ? {} : { rateLimit: rateLimitOf(name, limit) }),
    ...(approval === undefined ? {} : { approval: termsOf(name, approval) }),
  }
}

function recordOf(record: NonNullable<RuleSource['record']>): NonNullable<Rule['record']> {
  return typeof record === 'string' ? { level: record } : { level: 'full', rows: record.first_rows }
}

function rateLimitOf(
  rule: string,
  { limit, window, by }: NonNullable<RuleSource['rate_limit']>,
): RateLimitTerms {
  return { rule, limit, windowMs: window, ...(by === undefined ? {} : { by }) }
}

const units = ['actions', 'bytes', 'rows'] as const

function budgetsOf({ name, budgets = [] }: RuleSource): BudgetTerms[] {
  return budgets.flatMap(({ per, by = ['subject'], ...given }) =>
    units.flatMap(unit => {
      const limit = given[unit]
      return limit === undefined ? [] : [{ rule: name, unit, limit, per, by }]
    }),
  )
}

function budgetIssues({ budgets = [], effect, shadow }: RuleSource): RuleIssue[] {
  const issues: RuleIssue[] = []
  if (budgets.length > 0 && effect === 'deny')
    issues.push({ path: ['budgets'], message: 'a rule that denies has no budget' })
  if (budgets.length > 0 && shadow)
    issues.push({ path: ['budgets'], message: 'a shadow rule has no effect, so no budget' })
  const seen = new Set<string>()
  budgets.forEach((each, i) => {
    const named = units.filter(unit => each[unit] !== undefined)
    if (named.length === 0)
      issues.push({ path: ['budgets', i], message: 'say how much: `actions`, `bytes` or `rows`' })
    for (const unit of named) {
      const key = JSON.stringify([unit, each.per, (each.by ?? ['subject']).toSorted()])
      if (seen.has(key))
        issues.push({
          path: ['budgets', i],
          message: `another budget of ${unit} per ${each.per} is counted alike`,
        })
      seen.add(key)
    }
  })
  return issues
}

function issuesOf(source: RuleSource): RuleIssue[] {
  const { effect, approval, shadow, unknown, rate_limit: limit } = source
  const issues: RuleIssue[] = budgetIssues(source)
  const issue = (path: string[], message: string): void => void issues.push({ path, message })
  if (effect === 'require_approval' && approval === undefined)
    issue(['effect'], 'name who may approve: `approval`')
  if (effect !== 'require_approval' && approval !== undefined) {
    issue(['approval'], 'only a rule with effect require_approval has it')
  }
  if (effect === 'deny' && source.limit_rows !== undefined)
    issue(['limit_rows'], 'a rule that denies has no limit')
  if (effect === 'deny' && limit !== undefined) issue(['rate_limit'], 'a rule that denies has no limit')
  if (effect === 'deny' && source.record_before === true)
    issue(['record_before'], 'what a rule denies changes nothing')
  if (effect !== 'allow' && source.scopes !== undefined)
    issue(['scopes'], 'only a rule with effect allow has it')
  if (effect === 'deny' && unknown) issue(['unknown'], 'a deny reaches unknown operations anyway')
  if (limit !== undefined && shadow) issue(['rate_limit'], 'a shadow rule has no effect, so no limit')
  if (limit !== undefined && limit.window < 1)
    issue(['rate_limit', 'window'], 'a window is longer than nothing')
  if (approval !== undefined) issues.push(...approvalIssues(approval))
  return issues
}

function approvalIssues(approval: NonNullable<RuleSource['approval']>): RuleIssue[] {
  const issues: RuleIssue[] = []
  const named = new Set(approval.approvers)
  const groups = [...named].filter(each => each.startsWith('group:')).length
  if (groups === 0 && named.size < approval.quorum) {
    issues.push({
      path: ['approval', 'quorum'],
      message: `only ${named.size} may vote, so ${approval.quorum} approvals never come`,
    })
  }
  if (approval.distinct_groups && groups < approval.quorum) {
    issues.push({
      path: ['approval', 'distinct_groups'],
      message: `${approval.quorum} approvals from different groups need as many groups`,
    })
  }
  for (const key of ['expires', 'usable_for'] as const) {
    if (approval[key] < 1000) issues.push({ path: ['approval', key], message: 'must be a second at least' })
  }
  return issues
}

/** The terms as they go with an ask of this rule. */
export function termsOf(rule: string, approval: NonNullable<RuleSource['approval']>): ApprovalTerms {
  return {
    rule,
    approvers: approval.approvers,
    quorum: approval.quorum,
    distinctGroups: approval.distinct_groups,
    expiresAfterMs: approval.expires,
    usableForMs: approval.usable_for,
    reasonRequired: approval.reason_required,
    whenHeld: approval.when_held,
    onChange: approval.on_change,
    ...(approval.message === undefined ? {} : { message: approval.message }),
  }
}

/** The selectors that don't depend on who asks or on content: what candidates are indexed by. */
export function reaches(
  rule: Rule,
  connection: Connection,
  action: Pick<Action, 'operation' | 'risk'>,
): boolean {
  return (
    (rule.risks === undefined || rule.risks.has(action.risk)) &&
    rule.operations.matches(action.operation) &&
    rule.connections.every(selector => selector.matches(connection))
  )
}

/**
 * Whether the rule lets an unknown operation through, as far as it goes. Rules that restrict reach everything; a rule
 * that lets pass reaches only what it names.
 */
export function grants(rule: Rule, action: Pick<Action, 'operation' | 'known'>): boolean {
  return rule.effect !== 'deny' && (action.known || rule.operations.names(action.operation))
}

/** Whether a condition holds: without one it does. What can't be evaluated restricts and never permits (P6). */
export function conditionHolds(
  rule: Rule,
  variables: () => Variables,
): { readonly holds: boolean; readonly error?: ConditionError } {
  if (rule.condition === undefined) return holding
  const result = rule.condition.evaluate(variables())
  if (result instanceof ConditionError) return { holds: rule.effect !== 'allow', error: result }
  return result ? holding : failing
}

/** Whether the token lists every scope of the rule (RFC 8693 section 4.2; `scp` is what some issuers call it). */
export function hasScopes({ scopes }: Pick<Rule, 'scopes'>, { claims }: Pick<Subject, 'claims'>): boolean {
  if (scopes.length === 0) return true
  const given = new Set(['scope', 'scp'].flatMap(name => listed(claims[name])))
  return scopes.every(scope => given.has(scope))
}

function listed(claim: unknown): unknown[] {
  return typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []
}

const holding = { holds: true } as const
const failing = { holds: false } as const
