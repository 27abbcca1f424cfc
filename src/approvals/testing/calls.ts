/** Held calls for tests: an exchange as far as the approval step sees it. */
import { createHash } from 'node:crypto'
import type { ActionPreview, Exchange } from '../../gateway/exchange.ts'
import type { Session } from '../../gateway/session.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Connection } from '../../model/connection.ts'
import { type ApprovalTerms, type Decision, noObligations } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import { createApprovalStep, type SettleParts } from '../settle.ts'
import { agent, terms, type World } from './world.ts'

export const target: Connection = {
  name: 'datadog-prod',
  protocol: 'datadog',
  sensitivity: 'high',
  labels: {},
  credential: {},
  settings: { url: 'https://api.example.com' },
}

export function sessionOf(subject: Subject = agent, connection: Connection = target): Session {
  const { name, protocol, sensitivity } = connection
  return {
    id: 's_1',
    subject,
    target: connection,
    connection: { name, protocol, sensitivity },
    client: { ip: '127.0.0.1', port: 1 },
    totals: { actions: 0, denied: 0, failed: 0, masked: 0, bytesIn: 0, bytesOut: 0 },
    running: new Set(),
  }
}

export function decisionOf(change: Partial<ApprovalTerms> = {}, policyVersion = 'sha256:p1'): Decision {
  return {
    effect: 'ask',
    reason: 'approval-required',
    rule: terms.rule,
    matched: [terms.rule],
    shadow: [],
    obligations: noObligations,
    approval: { ...terms, ...change },
    policyVersion,
  }
}

export interface CallOptions {
  readonly body?: string
  readonly holdMs?: number
  readonly then?: 'poll' | 'resubmit'
  readonly operation?: string
  readonly risk?: 'read' | 'write' | 'delete' | 'admin'
  readonly known?: boolean
  /** Called at each preview; the fingerprint it finds. */
  readonly preview?: () => ActionPreview | undefined
}

/** One call. Only what the approval step uses is there; anything else would be a fault of the test. */
export function callOf(options: CallOptions = {}): Exchange & { leave(): void } {
  const { body = 'a', holdMs = 0, then = 'resubmit', preview } = options
  const { operation = 'v1.updateMonitor', risk = 'write', known = true } = options
  const gone = new AbortController()
  const call = {
    action: {
      id: 'a_1',
      operation,
      known,
      risk,
      resource: '/api/v1/monitor/1',
      content: { method: 'PUT', body: { name: body, api_key: 'secret-value' } },
      digest: () => createHash('sha256').update(body).digest('hex'),
      facts: {},
    },
    patience: { holdMs, then },
    signal: gone.signal,
    ...(preview === undefined ? {} : { preview: async () => preview() }),
    leave: () => gone.abort(),
  }
  return call as unknown as Exchange & { leave(): void }
}

export function stepOf(world: World, change: Partial<SettleParts> = {}) {
  const { approvals, audit, clock } = world
  return createApprovalStep({
    approvals,
    audit,
    clock,
    recheck: async () => ({ ok: true }),
    masker: () => masker,
    ...change,
  })
}

/** Hides one word, so that a test sees whether it was asked. */
const masker = {
  json: (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll('secret-value', '[masked]')),
  text: (text: string): string => text.replaceAll('secret-value', '[masked]'),
} as unknown as Masker
