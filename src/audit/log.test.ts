import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { StorageFaultError, StorageFullError } from '../storage/storage.ts'
import { canonicalJson } from './canonical-json.ts'
import { maxEntryBytes } from './entry.ts'
import { type AuditLog, openAudit } from './log.ts'
import { fakeStore } from './testing/fake-store.ts'
import { maxOfShare } from './writer.ts'
import { answered, entriesOf, origin, permit, sampleAction, sampleSession } from './testing/samples.ts'

const quiet = { heartbeat: { growing: 0, idle: 0 }, backOff: [1, 4] } as const
const open = (store = fakeStore()) => openAudit({ store, origin, ...quiet })
const isCode = (code: string) => (error: unknown) => error instanceof GatewayError && error.code === code

test('P1: the intent is durable before begin resolves, and says who, what and where', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const gate = Promise.withResolvers<void>()
  store.before = () => gate.promise
  let begun = false
  const beginning = audit.begin(sampleSession(), sampleAction()).then(action => {
    begun = true
    return action
  })
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(begun, false)
  gate.resolve()
  const action = await beginning
  assert.deepEqual(action.intent, { index: 1, id: `${origin}/1` })
  const entry = entriesOf(store)[1]!
  assert.equal(entry.kind, 'action.intended')
  assert.deepEqual(entry.subject, {
    issuer: 'https://id.example.com',
    id: 'agent-7',
    kind: 'agent',
    method: 'oidc',
    name: 'triage',
    on_behalf_of: { issuer: 'https://id.example.com', id: 'u1', email: 'ana@example.com' },
  })
  assert.deepEqual(entry['http'], { method: 'GET' })
  assert.match(entry.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  assert.doesNotMatch(store.entries[1]!.toString(), /never recorded/)
})

test('P2: the end repeats the intent and adds decision, result and time', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const action = await audit.begin(sampleSession(), sampleAction())
  action.decided(permit, { id: 'ap_1' })
  action.forwarding()
  const blob = Buffer.from('sealed')
  const recording = { blob: 'sha256:00', length: 6, commitment: 'c', key: 'k', complete: true }
  const ref = await action.complete({ ...answered, recording, blob })
  const [, intended, ended] = entriesOf(store)
  assert.equal(ref.index, 2)
  assert.equal(ended?.kind, 'action.completed')
  assert.equal(ended.intent, '1')
  assert.equal(ended.outcome, 'success')
  assert.deepEqual(ended['http'], { method: 'GET', status_code: 200 })
  assert.deepEqual(ended.approval, { id: 'ap_1' })
  assert.equal(ended.decision?.rule, 'sre-reads')
  assert.equal(ended.upstream_duration, 1_000_001)
  assert.ok(Number.isInteger(ended.duration))
  for (const key of [
    'session',
    'action',
    'subject',
    'client',
    'connection',
    'operation',
    'risk',
    'resource',
  ]) {
    assert.deepEqual(ended[key], intended?.[key], key)
  }
  assert.deepEqual(store.blobs.get('sha256:00'), blob)
})

test('P2: which end a fault gives depends on whether anything may have gone upstream', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const fault = new GatewayError('upstream-timeout', { detail: 'no answer in 30 s', internal: 'secret' })
  const before = await audit.begin(sampleSession(), sampleAction())
  await before.fail(fault)
  const after = await audit.begin(sampleSession(), sampleAction())
  after.forwarding()
  await after.fail(fault, { bytesIn: 4 })
  const denied = await audit.begin(sampleSession(), sampleAction())
  await denied.deny({ reason: 'rule-denied' })
  const kinds = entriesOf(store).map(entry => [entry.kind, entry.outcome, entry['reason'], entry.error?.code])
  assert.deepEqual(kinds.slice(1), [
    ['action.intended', undefined, undefined, undefined],
    ['action.not_forwarded', 'failure', undefined, 'upstream-timeout'],
    ['action.intended', undefined, undefined, undefined],
    ['action.failed', 'failure', undefined, 'upstream-timeout'],
    ['action.intended', undefined, undefined, undefined],
    ['action.denied', 'denied', 'rule-denied', undefined],
  ])
  assert.doesNotMatch(store.entries.join(''), /secret/)
})

test('P2: a second ending gives the first one, and a forwarded action cannot be called denied', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const action = await audit.begin(sampleSession(), sampleAction())
  action.forwarding()
  assert.throws(() => action.deny({ reason: 'late' }), TypeError)
  const [first, second] = await Promise.all([
    action.complete(answered),
    action.fail(new GatewayError('internal')),
  ])
  assert.deepEqual(first, second)
  assert.equal(store.size, 3)
})

test('every entry is canonical JSON whose seq is its leaf index', async () => {
  const store = fakeStore()
  const audit = await open(store)
  await Promise.all(Array.from({ length: 40 }, () => runOne(audit)))
  await audit.note('policy.changed', { from: 'a', to: 'b', empty: undefined })
  await audit.close(100)
  for (const [index, bytes] of store.entries.entries()) {
    const entry = JSON.parse(bytes.toString()) as Record<string, unknown>
    assert.equal(entry['seq'], String(index))
    assert.equal(entry['log'], origin)
    assert.equal(canonicalJson(entry), bytes.toString())
  }
})

test('P9: facts of a protocol cannot stand in for what the log answers for', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const facts = {
    subject: { id: 'root' },
    outcome: 'success',
    kind: 'log.closed',
    seq: '0',
    http: { path: '\ud800' },
  }
  const action = await audit.begin(sampleSession(), sampleAction(facts))
  await action.fail(new GatewayError('internal'))
  for (const entry of entriesOf(store).slice(1)) {
    assert.equal(entry.subject?.id, 'agent-7')
    assert.notEqual(entry.outcome, 'success')
    assert.match(entry.kind, /^action\./)
    assert.deepEqual(entry['http'], { path: '\ufffd' })
    assert.equal(entry['altered'], true)
  }
})

test('P2: an entry that would be too large is shrunk and marked, and keeps who and what', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const facts = { http: { path: 'x'.repeat(9000), list: Array.from({ length: 900 }, (_, i) => `item ${i}`) } }
  const action = await audit.begin(sampleSession(), sampleAction(facts))
  action.decided(permit, { note: '\u0001'.repeat(40_000) })
  await action.complete({ ...answered, facts: { http: { body: 'é'.repeat(30_000) } } })
  const session = { ...sampleSession(), client: { ip: '192.0.2.1', port: 1, agent: '\u0001'.repeat(50_000) } }
  const other = await audit.begin(session, { ...sampleAction(facts), resource: '\u{1f600}'.repeat(20_000) })
  await other.complete(answered)
  for (const [index, entry] of entriesOf(store).entries()) {
    if (entry.kind === 'log.opened') continue
    assert.ok(store.entries[index]!.length <= maxEntryBytes)
    assert.equal(entry['truncated'], true)
    assert.equal(entry.subject?.id, 'agent-7')
    assert.equal(entry.operation, 'v1.listMonitors')
    assert.ok(store.entries[index]!.toString().isWellFormed())
  }
})

test('P1: a full disk refuses the intent, keeps the end waiting, and recovers', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const action = await audit.begin(sampleSession(), sampleAction())
  let room = false
  let tries = 0
  store.before = () => {
    tries++
    if (!room) throw new StorageFullError('no space')
  }
  await assert.rejects(audit.begin(sampleSession(), sampleAction()), isCode('recording-unavailable'))
  const ending = action.complete(answered)
  while (tries < 5) await new Promise(resolve => setTimeout(resolve, 1))
  await assert.rejects(audit.begin(sampleSession(), sampleAction()), isCode('recording-unavailable'))
  assert.equal(audit.healthy, true)
  room = true
  assert.equal((await ending).index, 2)
  assert.equal(store.batches.at(-1)?.urgent, true)
  const next = await audit.begin(sampleSession(), sampleAction())
  assert.equal(next.intent.index, 3)
})

test('P1: a store that faults refuses everything from then on, and says so once', async () => {
  const store = fakeStore()
  const faults: unknown[] = []
  const audit = await openAudit({ store, origin, ...quiet, onFault: error => faults.push(error) })
  const action = await audit.begin(sampleSession(), sampleAction())
  store.before = () => {
    throw new StorageFaultError('fsync failed')
  }
  const waiting = [audit.begin(sampleSession(), sampleAction()), action.complete(answered)]
  for (const each of waiting) await assert.rejects(each, isCode('recording-unavailable'))
  assert.equal(audit.healthy, false)
  await assert.rejects(audit.note('policy.changed', {}), isCode('recording-unavailable'))
  assert.equal(faults.length, 1)
  await audit.close(0)
  assert.equal(store.size, 2)
})

test('P6: a log that is distrusted refuses everything, what waits included', async () => {
  const store = fakeStore()
  const faults: unknown[] = []
  const audit = await openAudit({ store, origin, ...quiet, onFault: error => faults.push(error) })
  const gate = Promise.withResolvers<void>()
  store.before = () => gate.promise
  const inFlight = audit.note('policy.changed', {})
  await new Promise(resolve => setImmediate(resolve))
  const waiting = audit.begin(sampleSession(), sampleAction())
  audit.distrust(new Error('a flipped bit'))
  await assert.rejects(waiting, isCode('recording-unavailable'))
  gate.resolve()
  assert.equal((await inFlight).index, 1)
  await assert.rejects(audit.begin(sampleSession(), sampleAction()), isCode('recording-unavailable'))
  assert.equal(audit.healthy, false)
  assert.equal(faults.length, 1)
})

test('P12: waiters are bounded; past the bound a request is refused at once, an ending never', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const action = await audit.begin(sampleSession(), sampleAction())
  const gate = Promise.withResolvers<void>()
  store.before = () => gate.promise
  const waiting = Array.from({ length: 4096 }, () => audit.begin(sampleSession(), sampleAction()))
  await assert.rejects(audit.begin(sampleSession(), sampleAction()), isCode('overloaded'))
  const ending = action.complete(answered)
  gate.resolve()
  await Promise.all(waiting)
  assert.equal((await ending).index, 2 + 4096)
  assert.ok(store.batches.every(batch => batch.count <= 512))
})

test('what is asked for while an append is in flight shares the next one', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const gate = Promise.withResolvers<void>()
  store.before = () => gate.promise
  const first = audit.note('policy.changed', {})
  await new Promise(resolve => setImmediate(resolve))
  const rest = Array.from({ length: 100 }, () => audit.note('policy.changed', {}))
  gate.resolve()
  await Promise.all([first, ...rest])
  assert.deepEqual(
    store.batches.map(batch => batch.count),
    [1, 1, 100],
  )
})

test('followers hear of growth after each commit, and a bad one harms nobody', async () => {
  const audit = await open()
  const sizes: number[] = []
  const warned = new Promise(resolve => process.once('warning', resolve))
  audit.onGrowth(() => {
    throw new Error('a bad follower')
  })
  const forget = audit.onGrowth(size => sizes.push(size))
  await audit.note('policy.changed', {})
  forget()
  await audit.note('policy.changed', {})
  assert.deepEqual(sizes, [2])
  await warned
})

async function runOne(audit: AuditLog): Promise<void> {
  const action = await audit.begin(sampleSession(), sampleAction())
  action.decided(permit)
  action.forwarding()
  await action.complete(answered)
}

test('P1: a flood of refused credentials, or of notes, leaves room for intents', async () => {
  for (const [kind, most] of [
    ['identity.refused', maxOfShare.refusals],
    ['request.refused', maxOfShare.refusals],
    ['audit.read', maxOfShare.notes],
  ] as const) {
    const store = fakeStore()
    const audit = await open(store)
    const gate = Promise.withResolvers<void>()
    store.before = () => gate.promise
    const flood = Array.from({ length: 5000 }, () =>
      audit.note(kind, { reason: 'expired' }).then(() => true, isCode('overloaded')),
    )
    const action = audit.begin(sampleSession(), sampleAction())
    gate.resolve()
    assert.ok((await Promise.all(flood)).every(each => each))
    await (await action).deny({ reason: 'rule-denied' })
    // What was not written is counted, and there is room again.
    await audit.note(kind, {})
    const written = entriesOf(store).filter(entry => entry.kind === kind).length
    assert.equal(written, most + 1)
    await audit.close(0)
    const { refused } = entriesOf(store).at(-1)!['counters'] as { refused: Record<string, number> }
    assert.equal(refused['overloaded'], 5000 - most)
  }
})

test('P2: an end that can not be put in words is an end nevertheless', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const action = await audit.begin(sampleSession(), sampleAction())
  action.forwarding()
  const facts = {
    get http(): unknown {
      throw new Error('a mistake of a protocol')
    },
  }
  const ref = await action.complete({ ...answered, facts })
  const end = entriesOf(store)[ref.index]!
  assert.deepEqual(
    [end.kind, end.intent, end['cause']],
    ['action.outcome_unknown', String(action.intent.index), 'unrecordable'],
  )
  assert.equal(audit.load.openActions, 0)
  assert.equal((await action.complete(answered)).index, ref.index)
})
