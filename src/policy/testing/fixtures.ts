import type { Action } from '../../model/action.ts'
import type { Connection } from '../../model/connection.ts'
import type { Decision } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import { Candidates } from '../candidates.ts'
import { decide } from '../decide.ts'
import { compilePolicy, type Policy } from '../policy.ts'
import { policyFileSchema } from '../schema.ts'

export function subject(over: Partial<Subject> = {}): Subject {
  return {
    issuer: 'https://issuer.example.com',
    id: 'agent-7',
    email: 'ana@example.com',
    kind: 'agent',
    groups: ['sre'],
    method: 'oidc',
    claims: { team: 'payments' },
    ...over,
  }
}

export function connection(over: Partial<Connection> = {}): Connection {
  return {
    name: 'datadog-prod',
    protocol: 'datadog',
    sensitivity: 'high',
    labels: { env: 'prod' },
    credential: {},
    settings: {},
    ...over,
  }
}

export function action(over: Partial<Action> = {}): Action {
  return {
    id: 'a_1',
    operation: 'v1.listMonitors',
    known: true,
    risk: 'read',
    resource: '/api/v1/monitor',
    content: { method: 'GET', path: '/api/v1/monitor', query: {} },
    digest: () => '0'.repeat(64),
    facts: {},
    ...over,
  }
}

/** A policy from rules as people write them. Throws when they are not valid. */
export function policyOf(...rules: readonly unknown[]): Policy {
  const result = compilePolicy(policyFileSchema.parse({ rules }))
  if ('issues' in result) throw new Error(JSON.stringify(result.issues))
  return result.policy
}

export const noon = Date.UTC(2026, 10, 21, 12)

/** The decision of a policy, limits left aside. */
export function judge(
  policy: Policy,
  over: { subject?: Partial<Subject>; connection?: Partial<Connection>; action?: Partial<Action> } = {},
): Decision {
  const where = connection(over.connection)
  const what = action(over.action)
  const candidates = new Candidates(policy.rules).of(where, what)
  return decide(policy, candidates, {
    subject: subject(over.subject),
    connection: where,
    action: what,
    now: noon,
  })
}
