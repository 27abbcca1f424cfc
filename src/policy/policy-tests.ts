import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision, Effect } from '../model/decision.ts'
import type { Inquiry } from './decide.ts'
import { explain, type Explanation } from './explain.ts'
import type { Policy } from './policy.ts'
import type { PolicyCase, Question } from './schema.ts'

export interface CaseResult {
  readonly name: string
  readonly passed: boolean
  /** What differs from what was expected; empty when passed. */
  readonly differences: readonly { readonly what: string; readonly expected: string; readonly got: string }[]
  /** Absent when the case names a connection that does not exist. */
  readonly explanation?: Explanation
}

export interface TestOptions {
  /** Connections that cases may name. Without any, a name stands for a plain connection of that name. */
  readonly connections?: readonly Connection[]
  /** The time conditions see where a case gives none, milliseconds since the epoch. */
  readonly now?: number
}

/** Runs a policy's cases, its own unless others are given. Pure; each case is judged by itself. */
export function runPolicyTests(
  policy: Policy,
  options: TestOptions = {},
  cases: readonly PolicyCase[] = policy.tests,
): readonly CaseResult[] {
  return cases.map(each => {
    const inquiry = inquiryOf(each, options)
    if (inquiry === undefined) {
      const difference = { what: 'connection', expected: nameOf(each), got: 'no such connection' }
      return { name: each.name, passed: false, differences: [difference] }
    }
    const explanation = explain(policy, inquiry)
    const differences = compare(each.expect, explanation.decision)
    return { name: each.name, passed: differences.length === 0, differences, explanation }
  })
}

function compare(expected: PolicyCase['expect'], decision: Decision): CaseResult['differences'] {
  const got: Record<string, string | undefined> = {
    effect: decision.effect,
    rule: decision.rule,
    reason: decision.reason,
    mask: listed(decision.obligations.mask),
    shadow: listed(decision.shadow.map(each => each.rule)),
  }
  const wanted: Record<string, string | undefined> = {
    effect: effectNames[expected.effect] ?? expected.effect,
    rule: expected.rule,
    reason: expected.reason,
    mask: expected.mask && listed(expected.mask),
    shadow: expected.shadow && listed(expected.shadow),
  }
  return Object.entries(wanted).flatMap(([what, value]) =>
    value === undefined || value === got[what] ? [] : [{ what, expected: value, got: got[what] ?? 'none' }],
  )
}

const effectNames: Readonly<Record<string, Effect>> = { allow: 'permit', require_approval: 'ask' }

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : [...names].sort().join(', ')
}

function nameOf({ connection }: Question): string {
  return typeof connection === 'string' ? connection : connection.name
}

/** Fills a written question out to a whole one. Undefined when it names a connection that is not among those given. */
export function inquiryOf(
  question: Question,
  { connections, now = Date.now() }: TestOptions = {},
): Inquiry | undefined {
  const connection = connectionOf(question, connections)
  if (connection === undefined) return undefined
  const { on_behalf_of: person, name, email, ...who } = question.subject
  return {
    subject: {
      ...who,
      method: 'oidc',
      ...(name === undefined ? {} : { name }),
      ...(email === undefined ? {} : { email }),
      ...(person === undefined ? {} : { onBehalfOf: principalOf(person) }),
    },
    connection,
    action: actionOf(question.action),
    now: question.now === undefined ? now : Date.parse(question.now),
  }
}

function principalOf(source: NonNullable<Question['subject']['on_behalf_of']>) {
  const { issuer, id, name, email } = source
  return { issuer, id, ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) }
}

function connectionOf(
  { connection }: Question,
  connections: readonly Connection[] | undefined,
): Connection | undefined {
  if (typeof connection !== 'string') return { ...connection, credential: {}, settings: {} }
  if (connections !== undefined) return connections.find(each => each.name === connection)
  const plain = { protocol: 'http', sensitivity: 'medium', labels: {}, credential: {}, settings: {} } as const
  return { name: connection, ...plain }
}

function actionOf({ operation, risk, known, resource, resources, request }: Question['action']): Action {
  const content = request
  const names = resources?.map(each => [each, each.slice(each.lastIndexOf('.') + 1)] as const)
  const more = names === undefined ? {} : { resources: names }
  return { id: 'a_case', operation, risk, known, resource, content, digest: () => '', facts: {}, ...more }
}
