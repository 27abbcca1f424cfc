import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { approvalText, type ApprovalView } from './approval-text.ts'

function viewOf(text: string): ApprovalView {
  return {
    id: 'ap_1',
    state: 'pending',
    requester: {
      issuer: 'i',
      id: text,
      kind: 'agent',
      method: 'oidc',
      on_behalf_of: { issuer: 'i', id: text },
    },
    connection: 'datadog-prod',
    sensitivity: 'high',
    operation: text,
    risk: 'write',
    resource: text,
    rule: 'ask',
    message: text,
    digest: 'sha256:00',
    request: { method: 'PUT', path: text, query: { [text]: text }, body: { [text]: text } },
    preview: { kind: 'update', changes: [{ path: text, before: text, after: { [text]: 1 } }], cut: false },
    approvers: ['group:sre'],
    quorum: 1,
    votes: [{ by: { id: text }, effect: 'approve', reason: text }],
    expires: '2026-11-21T08:00:00Z',
  }
}

test('nothing that an agent writes acts on the terminal of the person who is to approve it', () => {
  const calm = approvalText(viewOf('x')).split('\n').length
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), text => {
      const shown = approvalText(viewOf(text))
      assert.ok(!/[^\n\P{C}]/u.test(shown), JSON.stringify(shown))
      assert.equal(shown.split('\n').length, calm, 'no line of its own')
    }),
    { numRuns: 200 },
  )
  assert.ok(approvalText(viewOf('\u202etxt.exe')).includes('\\u{202e}txt.exe'))
})
