/** One entry of every kind, for goldens and suites. The type makes a new kind ask for its sample. */
import type { EventKind } from '../../audit/events.ts'
import { LogRecord } from '../record.ts'
import { testOrigin } from './shipped-log.ts'

const person = {
  issuer: 'https://idp.example.com/',
  id: 'auth0|ana',
  name: 'Ana Diaz',
  email: 'ana@example.com',
}
const agent = {
  issuer: person.issuer,
  id: 'agent:ci-triage-7f3',
  name: 'ci-triage',
  kind: 'agent',
  method: 'oidc',
}
const approver = {
  issuer: person.issuer,
  id: 'auth0|bo',
  email: 'bo@example.com',
  kind: 'user',
  method: 'oidc',
}
const ofSession = {
  session: 's_01kaj8z7q4e6m2v5t9xw3r1b0c',
  subject: { ...agent, on_behalf_of: person },
  client: { ip: '10.2.3.4', port: 50_123, agent: 'datadog-api-client-typescript/1.64.0' },
  connection: { name: 'datadog-prod', protocol: 'datadog', sensitivity: 'high' },
}
const asked = {
  ...ofSession,
  action: 'a_01kaj8z7q4e6m2v5t9xw3r1b0d',
  operation: 'v2.getAPIKey',
  known: true,
  risk: 'read',
  resource: '/api/v2/api_keys/{api_key_id}',
  digest: 'ab'.repeat(32),
  http: {
    method: 'GET',
    host: 'api.datadoghq.com',
    path: '/api/v2/api_keys/7f3',
    template: '/api/v2/api_keys/{api_key_id}',
    version: '1.1',
  },
}
const decision = {
  effect: 'permit',
  reason: 'rule-permitted',
  rule: 'dd-read',
  policy: `sha256:${'cd'.repeat(32)}`,
}
const ended = {
  ...asked,
  decision,
  intent: `${testOrigin}/17`,
  duration: 184_000_000,
  upstream_duration: 171_000_000,
  bytes_in: 312,
  bytes_out: 1844,
  masked: { count: 1, kinds: ['datadog-api-key'] },
  recording: {
    blob: `sha256:${'ef'.repeat(32)}`,
    length: 2048,
    commitment: `hmac-sha256:${'01'.repeat(32)}`,
    key: 'k_1',
    complete: true,
  },
}
const approval = {
  id: 'ap_77',
  digest: `sha256:${asked.digest}`,
  rule: 'dd-delete',
  quorum: 1,
}
const comparison = {
  from: 0,
  to: 1000,
  since: '2026-11-21T05:00:00.000Z',
  until: '2026-11-21T06:00:00.000Z',
  entries: 1000,
  held: 1000,
  stubs: 0,
  missing: 0,
  altered: 0,
  foreign: 0,
  duplicates: 2,
  leaves: { log: '12'.repeat(32), sink: '12'.repeat(32) },
  examples: { missing: [], altered: [], foreign: [] },
  sent: 0,
}
const granted = { ...approval, required: true, state: 'approved', approvers: ['bo@example.com'] }
const held = {
  ...ofSession,
  operation: 'v1.deleteDashboard',
  risk: 'delete',
  approval,
  expires: '2026-11-21T07:10:00.000Z',
}
const grant = {
  connection: ofSession.connection,
  approval: {
    id: 'gr_1',
    kind: 'grant',
    approvers: ['bo@example.com'],
    reason: 'release',
    state: 'proposed',
  },
  grant: { to: { email: 'ci@example.com' }, operations: ['v1.*'], risks: ['write'] },
}
const broken = {
  connection: ofSession.connection,
  approval: { id: 'bg_1', kind: 'break-glass', state: 'overridden', approvers: [], by: 'bo@example.com' },
  reason: 'incident 42',
}
const noticed = {
  detector: 'surge',
  words: '412 actions within a minute; the ceiling is 300',
  unit: 'actions',
  observed: 412,
  limit: 300,
  window: 60,
}

function noticedAs(detector: string, unit: string, words: string) {
  return { ...noticed, detector, unit, words }
}
const restricted = {
  subject: ofSession.subject,
  restriction: { id: 'r_1', kind: 'slow', since: '2026-11-21T07:00:00.000Z', detector: 'surge' },
  reason: noticed.words,
}
const nothing = { count: 0, kinds: [] }

export const samples: Readonly<Record<EventKind, Readonly<Record<string, unknown>>>> = {
  'log.opened': { size: 17, root: 'bq6e', software: '0.1.0' },
  'log.closed': { size: 17 },
  heartbeat: { counters: { actions: 31, refused_unrecorded: 0 } },
  'session.started': ofSession,
  'session.ended': {
    ...ofSession,
    reason: 'idle',
    totals: { actions: 31, denied: 2, failed: 0, masked: 9, bytes_in: 9120, bytes_out: 88_213 },
    duration: 301_000_000_000,
  },
  'action.intended': asked,
  'action.completed': { ...ended, outcome: 'success', http: { ...asked.http, status_code: 200 } },
  'action.failed': {
    ...ended,
    outcome: 'failure',
    masked: nothing,
    error: { code: 'upstream-timeout', detail: 'no answer within 60 s' },
  },
  'action.denied': {
    ...asked,
    intent: ended.intent,
    decision: { ...decision, effect: 'deny', reason: 'rule-denied', rule: 'no-keys' },
    outcome: 'denied',
    reason: 'rule-denied',
    duration: 900_000,
  },
  'action.not_forwarded': { ...ended, outcome: 'failure', error: { code: 'credential-unavailable' } },
  'action.outcome_unknown': { ...asked, intent: ended.intent, outcome: 'unknown' },
  'identity.refused': {
    reason: 'token-expired',
    claimed: { issuer: person.issuer, subject: 'agent:ci' },
    client: ofSession.client,
    connection: ofSession.connection,
  },
  'request.refused': {
    reason: 'invalid-request',
    error: { code: 'invalid-request', detail: 'more than one Host' },
    client: { ip: '10.9.9.9', port: 4711 },
    connection: ofSession.connection,
  },
  'identity.signed_in': { subject: approver, client: { ip: '10.9.9.9', port: 4711 } },
  'identity.signed_out': { subject: approver },
  'identity.invited': { subject: approver, user: { email: 'dee@example.com', roles: ['user'] } },
  'identity.removed': { subject: approver, user: { email: 'dee@example.com' } },
  'identity.linked': { subject: approver, linked: { service: 'slack', team: 'T1', user: 'U1' } },
  'identity.token_created': { subject: approver, token: { id: 't_1', name: 'ci', expires_at: '2027-01-01' } },
  'identity.token_revoked': { subject: approver, token: { id: 't_1', name: 'ci' } },
  'identity.suspended': { ...restricted, restriction: { ...restricted.restriction, kind: 'suspend' } },
  'identity.restricted': { ...restricted, restriction: { ...restricted.restriction, limit: 10 } },
  'identity.cleared': { ...restricted, cleared_by: approver, cleared_reason: 'a load test' },
  'detection.surge_found': { ...ofSession, detection: { ...noticed, answer: 'slow' } },
  'detection.volume_found': {
    ...ofSession,
    detection: noticedAs('volume', 'bytes', '1.2 GB in this hour so far; the ceiling is 1.0 GB'),
  },
  'detection.first_use_found': {
    ...ofSession,
    detection: noticedAs(
      'first_use',
      'uses',
      'First use of the connection datadog-prod, with v1.listMonitors',
    ),
  },
  'detection.sweep_found': {
    ...ofSession,
    detection: noticedAs(
      'sweep',
      'operations',
      '412 operations today that it had never used; the ceiling is 300',
    ),
  },
  'detection.off_hours_found': {
    ...ofSession,
    detection: noticedAs('off_hours', 'uses', 'Active on Sundays from 03:00, outside the configured hours'),
  },
  'detection.denial_streak_found': {
    ...ofSession,
    detection: noticedAs(
      'denial_streak',
      'denials',
      '9 refusals within 10 min, then a success; none are usual',
    ),
  },
  'detection.silence_found': {
    subject: ofSession.subject,
    detection: noticedAs('silence', 'seconds', 'Silent for 31 min; its longest silence of late was 10 min'),
  },
  'approval.requested': held,
  'approval.voted': {
    ...held,
    subject: approver,
    approval: { ...approval, vote: 'approve', channel: 'console' },
  },
  'approval.granted': { ...held, approval: granted, duration: 93_000_000_000 },
  'approval.denied': { ...held, subject: approver, approval: { ...approval, reason: 'not today' } },
  'approval.expired': held,
  'approval.cancelled': held,
  'approval.consumed': { ...held, approval: { ...approval, approvers: ['bo@example.com'] } },
  'approval.returned': {
    ...held,
    approval: { ...approval, approvers: ['bo@example.com'] },
    end: 'gateway.example.com/test/17',
  },
  'approval.abandoned': held,
  'grant.proposed': { subject: approver, ...grant },
  'grant.voted': { subject: approver, ...grant },
  'grant.created': { subject: approver, ...grant, approval: { ...grant.approval, state: 'active' } },
  'grant.revoked': { subject: approver, ...grant, approval: { ...grant.approval, state: 'revoked' } },
  'break_glass.used': { subject: approver, ...broken },
  'break_glass.ended': { subject: approver, ...broken, ended_by: approver },
  'process.started': {
    connection: { name: 'tools', protocol: 'mcp', sensitivity: 'medium' },
    subject: agent,
    process: { server: 'main', command: '/usr/bin/node', per: 'identity', for_action: 'a_01', pid: 4711 },
  },
  'process.ended': {
    connection: { name: 'tools', protocol: 'mcp', sensitivity: 'medium' },
    subject: agent,
    process: {
      server: 'main',
      command: '/usr/bin/node',
      per: 'identity',
      for_action: 'a_01',
      pid: 4711,
      calls: 7,
    },
    reason: 'it was ended by SIGKILL',
    outcome: 'failure',
    duration: 61_000_000_000,
  },
  'tool.pinned': { target: 'tools', tools: [{ server: 'main', name: 'search', pin: 'sha256:aa' }] },
  'tool.changed': {
    target: 'tools',
    tools: [{ server: 'main', name: 'search', pin: 'sha256:bb', before: 'sha256:aa' }],
  },
  'tool.accepted': {
    by: approver,
    target: 'tools',
    tool: { server: 'main', name: 'search', pin: 'sha256:bb' },
  },
  'policy.changed': { policy: { from: 'sha256:aa', to: 'sha256:bb', rules: 12 }, subject: approver },
  'policy.rejected': { problems: ['rules[3].when: unknown name'] },
  'connection.changed': { change: 'added', connection: ofSession.connection },
  'credential.granted': { subject: approver, target: 'notes', credential: 'token' },
  'credential.withdrawn': { subject: approver, target: 'notes', credential: 'token' },
  'configuration.changed': { sections: ['sinks'] },
  'configuration.rejected': { problems: 1 },
  'recording.read': { subject: approver, recording: { ...ended.recording }, session: ofSession.session },
  'undo.started': { subject: approver, of: { session: ofSession.session, entries: ['9'] } },
  'undo.applied': { subject: approver, of: { entry: '9' }, by: { entry: '12' } },
  'audit.read': { subject: approver, query: { limit: 100, connection: 'datadog-prod' }, entries: 100 },
  'export.dead_lettered': {
    sink: 'dd',
    entry: `${testOrigin}/9`,
    leaf_hash: 'ab',
    reason: '400 Bad Request',
  },
  'export.held': { sink: 'dd', detail: '403 Forbidden' },
  'export.resumed': { sink: 'dd' },
  'export.reconciled': { sink: 'dd', compared: comparison },
  'export.diverged': {
    sink: 'dd',
    compared: {
      ...comparison,
      held: 999,
      missing: 1,
      leaves: { log: '12'.repeat(32), sink: '34'.repeat(32) },
      examples: { missing: [`${testOrigin}/7`], altered: [], foreign: [] },
      sent: 1,
    },
  },
  'key.created': { key: { name: 'gateway.example.com/test', id: '6f1e' } },
  'key.rotated': { key: { name: 'gateway.example.com/test', id: '6f1f' } },
  'checkpoint.witnessed': { size: 4096, witness: 'witness.example.org' },
  'checkpoint.unwitnessed': { reason: 'no-quorum', quorum: 2, mode: 'monitor' },
  'hold.placed': { subject: approver, hold: { id: 'h_1', sessions: 3 } },
  'hold.release_requested': { subject: approver, hold: { id: 'h_1' } },
  'hold.released': { subject: approver, hold: { id: 'h_1' } },
  'erasure.done': { subject: approver, erased: 4, basis: 'request' },
  'disk.crossed': { disk: { state: 'refuse-sessions', before: 'warn', free_percent: 9.5 } },
  pruned: { before: 1000, policy: '400d' },
}

/** Further shapes of what ends an action, which the far end must be able to tell apart. */
export const variants: Readonly<
  Record<string, Readonly<Record<string, unknown>> & { readonly kind: EventKind }>
> = {
  'completed, after an approval': {
    ...ended,
    kind: 'action.completed',
    operation: 'v1.deleteDashboard',
    risk: 'delete',
    resource: '/api/v1/dashboard/kx7-2fa-q9z',
    decision: { ...decision, effect: 'ask', reason: 'approval-required', rule: 'dd-delete' },
    approval: { ...granted, state: 'consumed' },
    masked: nothing,
    outcome: 'success',
    http: {
      ...asked.http,
      method: 'DELETE',
      path: '/api/v1/dashboard/kx7-2fa-q9z',
      template: '/api/v1/dashboard/{dashboard_id}',
      status_code: 200,
    },
  },
  'completed, asked for and without approval: the gateway was bypassed': {
    ...ended,
    kind: 'action.completed',
    decision: { ...decision, effect: 'ask', rule: 'dd-delete' },
    outcome: 'success',
  },
  'completed, by a program of the gateway’s, for a call of an agent': {
    ...ended,
    kind: 'action.completed',
    outcome: 'success',
    trace: {
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      span_id: 'b7ad6b7169203331',
      parent_id: '00f067aa0ba902b7',
    },
    cause: {
      connection: 'tools',
      server: 'main',
      running: 1,
      action: 'a_01',
      operation: 'tools/call:search',
    },
  },
  'completed, refused by the upstream': {
    ...ended,
    kind: 'action.completed',
    outcome: 'failure',
    masked: nothing,
    http: { ...asked.http, status_code: 404 },
  },
  'completed, upstream at fault': {
    ...ended,
    kind: 'action.completed',
    outcome: 'failure',
    masked: nothing,
    http: { ...asked.http, status_code: 503 },
  },
  'a call of a tool, which says that it failed': {
    ...ended,
    kind: 'action.completed',
    connection: { name: 'tools', protocol: 'mcp', sensitivity: 'normal' },
    operation: 'tools/call:search_logs',
    resource: 'main/search_logs',
    outcome: 'failure',
    http: undefined,
    mcp: {
      method: { name: 'tools/call' },
      protocol: { version: '2025-11-25' },
      session: { id: 'h3vJ1b0cQ7' },
      server: 'main',
      pin: 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
      tags: ['bulk'],
      is_error: true,
      flags: ['instruction'],
      content: ['text'],
    },
    gen_ai: { operation: { name: 'execute_tool' }, tool: { name: 'search_logs' } },
    jsonrpc: { request: { id: '7' } },
    claimed: {
      client: { name: 'an-agent', version: '1.2.3' },
      trace: { trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', span_id: '00f067aa0ba902b7' },
    },
  },
  'what a task of a server has come to': {
    ...ended,
    kind: 'action.completed',
    connection: { name: 'tools', protocol: 'mcp', sensitivity: 'normal' },
    operation: 'tasks/get:export_logs',
    resource: 'main/export_logs',
    outcome: 'failure',
    http: undefined,
    mcp: {
      method: { name: 'tasks/get' },
      protocol: { version: '2026-07-28' },
      server: 'main',
      is_error: true,
      task: { id: 'task_0Yx2kqRrFzq3mJ1n9wT5u8Lb4vQeCd7h', status: 'failed' },
    },
    rpc: { response: { status_code: '-32603' } },
    jsonrpc: { request: { id: '8' } },
  },
  'an SQL statement': {
    ...ended,
    kind: 'action.completed',
    connection: { name: 'orders', protocol: 'postgres', sensitivity: 'high' },
    operation: 'SELECT',
    resource: 'public.customers',
    outcome: 'success',
    masked: { count: 42, kinds: ['email'] },
    http: undefined,
    db: {
      system: 'postgresql',
      instance: 'orders',
      statement: 'SELECT id FROM customers WHERE id = ?',
      row_count: 42,
    },
    tables: ['customers'],
  },
  'an MCP call': {
    ...ended,
    kind: 'action.completed',
    connection: { name: 'dd-mcp', protocol: 'mcp', sensitivity: 'medium' },
    operation: 'tools/call:search_logs',
    resource: 'search_logs',
    outcome: 'success',
    masked: nothing,
    http: undefined,
    mcp: { method: { name: 'tools/call' }, session: { id: '8c1' } },
    gen_ai: { tool: { name: 'search_logs' } },
  },
}

/** The record of these members at a number, as the log would hold it. */
export function recordOf(members: Readonly<Record<string, unknown>>, index = 18): LogRecord {
  const head = { v: 1, log: testOrigin, seq: String(index), time: '2026-11-21T07:00:00.123456Z' }
  return new LogRecord(testOrigin, index, Buffer.from(JSON.stringify({ ...head, ...members })))
}
