import type { Action } from '../../model/action.ts'
import type { Decision } from '../../model/decision.ts'
import { noObligations } from '../../model/decision.ts'
import type { ActionResult, SessionFacts } from '../audit.ts'
import type { Entry } from '../events.ts'
import type { FakeStore } from './fake-store.ts'

export const origin = 'audit.example.com/gateway/1'

export function sampleSession(id = 's_1'): SessionFacts {
  return {
    id,
    subject: {
      issuer: 'https://id.example.com',
      id: 'agent-7',
      name: 'triage',
      kind: 'agent',
      groups: ['sre'],
      method: 'oidc',
      claims: { secret: 'never recorded' },
      onBehalfOf: { issuer: 'https://id.example.com', id: 'u1', email: 'ana@example.com' },
    },
    connection: { name: 'datadog-prod', protocol: 'http', sensitivity: 'high' },
    client: { ip: '192.0.2.7', port: 50123, agent: 'datadog-client/1.64' },
  }
}

let actions = 0

export function sampleAction(facts: Readonly<Record<string, unknown>> = { http: { method: 'GET' } }): Action {
  return {
    id: `a_${actions++}`,
    operation: 'v1.listMonitors',
    known: true,
    risk: 'read',
    resource: '/api/v1/monitor',
    content: {},
    digest: () => 'ab'.repeat(32),
    facts,
  }
}

export const permit: Decision = {
  effect: 'permit',
  reason: 'rule-allowed',
  rule: 'sre-reads',
  matched: ['sre-reads'],
  shadow: [{ rule: 'strict', effect: 'ask' }],
  obligations: noObligations,
  policyVersion: `sha256:${'0'.repeat(64)}`,
}

export const answered: ActionResult = {
  success: true,
  facts: { http: { status_code: 200 } },
  bytesIn: 12,
  bytesOut: 3456,
  masked: { count: 2, kinds: ['email'] },
  upstreamDuration: 1_000_000.5,
}

export function entriesOf(store: Pick<FakeStore, 'entries'>): Entry[] {
  return store.entries.map(bytes => JSON.parse(bytes.toString()) as Entry)
}
