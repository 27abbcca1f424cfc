import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Audit } from '../audit/audit.ts'
import type { Connection } from '../model/connection.ts'
import type { Subject } from '../model/subject.ts'
import { OpenSessions } from './sessions.ts'

const target: Connection = {
  name: 'datadog-prod',
  protocol: 'datadog',
  sensitivity: 'high',
  labels: {},
  credential: {},
  settings: {},
}
const client = { ip: '127.0.0.1', port: 1 }
const subject: Subject = {
  issuer: 'https://idp.example.com',
  id: 'ana',
  kind: 'user',
  groups: ['sre'],
  method: 'oidc',
  claims: {},
  expiresAt: 1_800_000_000_000,
}

test('P9: a newer token is judged by what it says, within the same session', async () => {
  const notes: string[] = []
  const audit = {
    note: async (kind: string) => {
      notes.push(kind)
      return { index: 0, id: '' }
    },
  } as unknown as Audit
  const sessions = new OpenSessions(audit, { now: () => 0 }, { idleMs: 900_000, maxMs: 3_600_000 })
  const renewed: Subject = { ...subject, groups: [], expiresAt: 1_900_000_000_000 }
  const [first, second] = await Promise.all([
    sessions.resume(subject, target, client),
    sessions.resume(renewed, target, client),
  ])
  assert.equal(second.id, first.id)
  assert.deepEqual([first.subject.groups, second.subject.groups], [['sre'], []])
  const third = await sessions.resume(renewed, target, client)
  assert.equal(third.subject.expiresAt, 1_900_000_000_000)
  assert.equal(third.totals, first.totals, 'what is counted is counted for the session')
  assert.equal(sessions.find(first.id)?.subject, renewed)
  await sessions.closeAll('test')
  assert.deepEqual(notes, ['session.started', 'session.ended'])
})
