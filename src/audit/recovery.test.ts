import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { sessionFields } from './entry.ts'
import type { Entry } from './events.ts'
import { type Counters, readList } from './ledger.ts'
import { type AuditLog, openAudit } from './log.ts'
import { type FakeStore, fakeStore } from './testing/fake-store.ts'
import { answered, entriesOf, origin, sampleAction, sampleSession } from './testing/samples.ts'

const quiet = { heartbeat: { growing: 0, idle: 0 } } as const
const open = (store: FakeStore) => openAudit({ store, origin, ...quiet })
const countersOf = (entry: Entry | undefined) => entry?.['counters'] as Counters

/** The store as a crash leaves it: what is durable, and nothing else. */
const crashed = (store: FakeStore) => fakeStore(store.entries)

test('P2: a start ends what a crash left open, before anything else, and repeats the intent', async () => {
  const before = fakeStore()
  const audit = await open(before)
  const session = sampleSession()
  await audit.note('session.started', sessionFields(session))
  await audit.begin(session, sampleAction())
  const done = await audit.begin(session, sampleAction())
  await done.complete(answered)
  const store = crashed(before)
  await open(store)
  const [unknown, ended, opened] = entriesOf(store).slice(before.size)
  const intent = entriesOf(store)[2]!
  assert.equal(unknown?.kind, 'action.outcome_unknown')
  assert.equal(unknown.outcome, 'unknown')
  assert.equal(unknown['cause'], 'crash')
  assert.equal(unknown.intent, '2')
  for (const key of ['session', 'action', 'subject', 'client', 'connection', 'operation', 'http', 'digest']) {
    assert.deepEqual(unknown[key], intent[key], key)
  }
  assert.equal(ended?.kind, 'session.ended')
  assert.equal(ended.session, session.id)
  assert.equal(ended['reason'], 'crash')
  assert.deepEqual(ended.subject, intent.subject)
  assert.equal(opened?.kind, 'log.opened')
  assert.deepEqual(opened['previous'], { size: String(before.size), end: 'crash' })
  assert.equal(countersOf(opened).open_intents, 0)
})

test('a log that was closed in good order has nothing to recover', async () => {
  const before = fakeStore()
  const audit = await open(before)
  await (await audit.begin(sampleSession(), sampleAction())).complete(answered)
  await audit.close(0)
  const store = crashed(before)
  await open(store)
  assert.deepEqual(
    entriesOf(store)
      .slice(-2)
      .map(entry => entry.kind),
    ['log.closed', 'log.opened'],
  )
  assert.deepEqual(entriesOf(store).at(-1)?.['previous'], { size: String(before.size), end: 'closed' })
})

test('a start reads back from the last heartbeat only, however long the log', async () => {
  const before = fakeStore()
  const audit = await openAudit({ store: before, origin, heartbeat: { growing: 3, idle: 1000 } })
  const held = await audit.begin(sampleSession(), sampleAction())
  const many = Array.from({ length: 20_000 }, () => audit.note('audit.read', {}))
  await Promise.allSettled(many)
  while (entriesOf(before).at(-1)?.kind !== 'heartbeat') await new Promise(resolve => setTimeout(resolve, 2))
  await audit.note('audit.read', {})
  const store = crashed(before)
  const reads: number[] = []
  const read = store.read.bind(store)
  store.read = (start, limit) => {
    reads.push(start)
    return read(start, limit)
  }
  await open(store)
  assert.equal(entriesOf(store).at(-2)?.intent, String(held.intent.index))
  assert.ok(reads.every(start => start === held.intent.index || start > before.size - 2048))
})

test('a start finds what is open where a heartbeat could not list it', async () => {
  const before = fakeStore()
  const audit = await openAudit({ store: before, origin, heartbeat: { growing: 2, idle: 1000 } })
  const begun = await Promise.all(
    Array.from({ length: 4000 }, () => audit.begin(sampleSession(), sampleAction())),
  )
  await Promise.all(begun.filter((_, i) => i % 2 === 0).map(each => each.complete(answered)))
  const settled = before.size
  const since = () => entriesOf(before).findLast(entry => entry.kind === 'heartbeat')
  while (Number(since()?.seq ?? 0) < settled) await new Promise(resolve => setTimeout(resolve, 2))
  assert.equal(countersOf(since()).open_intents, 2000)
  const store = crashed(before)
  await open(store)
  const unknown = entriesOf(store).filter(entry => entry.kind === 'action.outcome_unknown')
  assert.deepEqual(
    unknown.map(entry => Number(entry.intent)),
    begun.filter((_, i) => i % 2 === 1).map(each => each.intent.index),
  )
})

test('heartbeats carry counters that a reader of the log counts too (I5)', async () => {
  const store = fakeStore()
  const audit = await openAudit({ store, origin, heartbeat: { growing: 1, idle: 10_000 } })
  for (let i = 0; i < 60; i++) {
    await Promise.all([1, 2, 3].map(() => act(audit, i)))
    if (i % 10 === 0) await new Promise(resolve => setTimeout(resolve, 3))
  }
  await audit.close(10)
  const entries = entriesOf(store)
  const openNow = new Set<number>()
  let since = -1
  let beats = 0
  for (const [seq, entry] of entries.entries()) {
    const counters = countersOf(entry)
    if (counters !== undefined) {
      beats++
      assert.equal(counters.appended, seq - since - 1)
      assert.equal(counters.since, since < 0 ? undefined : String(since))
      const between = entries.slice(since + 1, seq)
      assert.equal(counters.intended, between.filter(each => each.kind === 'action.intended').length)
      assert.equal(counters.ended, between.filter(each => each.intent !== undefined).length)
      assert.deepEqual(readList(counters.open?.intents ?? ''), [...openNow])
      since = seq
    }
    if (entry.kind === 'action.intended') openNow.add(seq)
    else if (entry.intent !== undefined) openNow.delete(Number(entry.intent))
  }
  assert.ok(beats > 3)
  assert.equal(entries.at(-1)?.kind, 'log.closed')
})

test('P2: a close waits for open actions, then ends the rest itself; their own end comes too late', async () => {
  const store = fakeStore()
  const audit = await open(store)
  const session = sampleSession('s_9')
  await audit.note('session.started', sessionFields(session))
  const quick = await audit.begin(session, sampleAction())
  const slow = await audit.begin(session, sampleAction())
  const closing = audit.close(20)
  await assert.rejects(audit.begin(session, sampleAction()), { code: 'shutting-down' })
  await quick.complete(answered)
  await closing
  const late = await slow.fail(new GatewayError('internal'))
  assert.deepEqual(
    entriesOf(store)
      .slice(4)
      .map(entry => [entry.kind, entry.intent ?? entry['reason'] ?? '']),
    [
      ['action.completed', '2'],
      ['action.outcome_unknown', '3'],
      ['session.ended', 'shutdown'],
      ['log.closed', ''],
    ],
  )
  assert.equal(late.index, 5)
  await assert.rejects(audit.note('policy.changed', {}), { code: 'shutting-down' })
})

async function act(audit: AuditLog, i: number): Promise<void> {
  const action = await audit.begin(sampleSession(), sampleAction())
  action.forwarding()
  if (i % 2 === 0) await action.complete(answered)
  else await action.fail(new GatewayError('client-gone'))
}
