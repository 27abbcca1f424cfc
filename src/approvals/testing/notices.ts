import type { Entry, EventKind } from '../../audit/events.ts'
import { approvalEntry, type Approval } from '../approval.ts'
import { approvalNotice, type Notice } from '../notify/notice.ts'
import { subjectFacts, subjectKey } from '../../model/subject.ts'
import { agent, terms } from './world.ts'

/** A stored approval of a monitor's update. */
export function approvalOf(change: Partial<Approval> = {}): Approval {
  return {
    id: 'ap_1',
    state: 'pending',
    requester: subjectFacts(agent),
    requesterKey: subjectKey(agent),
    session: 's_1',
    connection: 'datadog-prod',
    protocol: 'datadog',
    connectionVersion: 'c1',
    sensitivity: 'high',
    operation: 'v1.updateMonitor',
    risk: 'write',
    resource: '/api/v1/monitor/1234',
    digest: 'ab'.repeat(32),
    policyVersion: 'sha256:p1',
    terms,
    message: 'Monitors page people.',
    request: { method: 'PUT', path: '/api/v1/monitor/1234', body: { name: 'CPU' } },
    preview: {
      kind: 'update',
      changes: [{ path: 'options.thresholds.critical', before: 90, after: 95 }],
      cut: false,
      fingerprint: 'f1',
    },
    votes: [],
    usesLeft: 1,
    createdAt: 1_800_000_000_000,
    expiresAt: 1_800_000_060_000,
    ...change,
  }
}

export function noticeOf(of: { readonly kind?: EventKind } = {}, change: Partial<Approval> = {}): Notice {
  const { kind = 'approval.requested' } = of
  const approval = approvalOf(change)
  const base = { v: 1, kind, log: 'gateway.example.com/test', seq: '7', time: '2026-11-21T07:00:00.000000Z' }
  const entry = { ...base, ...approvalEntry(approval) } as unknown as Entry
  return approvalNotice({ entry, id: `${entry.log}/7` }, approval, 'https://gw.example.com/')
}
