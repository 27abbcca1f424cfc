import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Subject } from '../model/subject.ts'
import { newTrace, writeTraceparent } from '../model/trace.ts'
import { causeFacts, Delegates, type Errand } from './delegates.ts'

const token = 'spd_secret-of-the-program'
const path = '/c/datadog'

function person(id: string): Subject {
  return { issuer: 'i', id, kind: 'user', groups: [], method: 'oidc', claims: {} }
}

function errand(id: string, traceId?: string): Errand {
  return { subject: person(id), action: `a_${id}`, operation: 'tools/call:x', trace: newTrace(traceId) }
}

function stage(errands: readonly Errand[]) {
  const delegates = new Delegates()
  const delegate = { connection: 'tools', server: 'main', reaches: ['datadog'], errands: () => errands }
  const end = delegates.admit(token, delegate)
  return { delegates, end }
}

function reasonOf(found: object): string | undefined {
  return 'refusal' in found ? (found.refusal as { reason: string }).reason : undefined
}

test('P9: a program is whoever it works for, and the cause names the one call', () => {
  const one = errand('ana')
  const found = stage([one]).delegates.identify({ token, path })
  assert.ok('subject' in found)
  assert.equal(found.subject, one.subject)
  assert.deepEqual(causeFacts(found.cause!), {
    connection: 'tools',
    server: 'main',
    running: 1,
    action: 'a_ana',
    operation: 'tools/call:x',
  })
  assert.equal(found.cause?.traceId, one.trace.traceId)
})

test('P9: of several calls at once none is guessed; a trace that they share is said', () => {
  const errands = [errand('ana'), errand('ana')]
  const found = stage(errands).delegates.identify({ token, path })
  assert.ok('subject' in found)
  assert.deepEqual(found.cause, { connection: 'tools', server: 'main', running: 2 })
  const { traceId } = newTrace()
  const shared = stage([errand('ana', traceId), errand('ana', traceId)]).delegates.identify({ token, path })
  assert.ok('subject' in shared)
  assert.equal(shared.cause?.traceId, traceId)
  assert.equal(shared.cause.errand, undefined)
})

test('a program that goes on with traces tells its calls apart, its own alone', () => {
  const [first, second] = [errand('ana'), errand('bo')]
  const { delegates } = stage([first, second])
  const found = delegates.identify({ token, path, traceparent: writeTraceparent(second.trace) })
  assert.ok('subject' in found)
  assert.equal(found.subject.id, 'bo')
  assert.equal(found.cause?.errand, second)
  const foreign = delegates.identify({ token, path, traceparent: writeTraceparent(newTrace()) })
  assert.equal(reasonOf(foreign), 'delegate-ambiguous')
})

test('P6: for nobody, for several people, elsewhere, at the API or after its end a program is nobody', () => {
  assert.equal(reasonOf(stage([]).delegates.identify({ token, path })), 'delegate-idle')
  const several = stage([errand('ana'), errand('bo')]).delegates
  assert.equal(reasonOf(several.identify({ token, path })), 'delegate-ambiguous')
  const { delegates, end } = stage([errand('ana')])
  for (const other of ['/c/other', '/c/datadog-2', '/c/datadog/x', '/api/v1', '/mcp'])
    assert.equal(reasonOf(delegates.identify({ token, path: other })), 'delegate-elsewhere', other)
  assert.equal(reasonOf(delegates.identify({ token })), 'delegate-elsewhere')
  assert.equal(reasonOf(delegates.identify({ token: `${token}x`, path })), 'delegate-unknown')
  end()
  assert.equal(reasonOf(delegates.identify({ token, path })), 'delegate-unknown')
})

test('the end of an earlier process does not end a later one of the same credential', () => {
  const { delegates, end } = stage([])
  const delegate = {
    connection: 'tools',
    server: 'main',
    reaches: ['datadog'],
    errands: () => [errand('ana')],
  }
  delegates.admit(token, delegate)
  end()
  assert.ok('subject' in delegates.identify({ token, path }))
})
