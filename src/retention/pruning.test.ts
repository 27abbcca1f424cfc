/** Entries past their time go, and the log that is left verifies; what stands against it keeps them. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openCheckpointer } from '../audit/checkpoint.ts'
import { sessionFields } from '../audit/entry.ts'
import { openAudit } from '../audit/log.ts'
import { makeReceipt } from '../audit/receipt.ts'
import { answered, permit, sampleAction, sampleSession } from '../audit/testing/samples.ts'
import { verify, type VerifyReport } from '../audit/verify.ts'
import { retentionSection } from '../config/retention.ts'
import { silentLogger } from '../log.ts'
import type { Subject } from '../model/subject.ts'
import { generateAgeKeyPair } from '../recording/age.ts'
import { EncryptedRecordings } from '../recording/recordings.ts'
import { openEmbeddedStorage } from '../storage/embedded/storage.ts'
import { Retention } from './retention.ts'

const day = 86_400_000
const origin = 'gateway.example.com/test'
const pair = generateAgeKeyPair()
const someone: Subject = { issuer: 'i', id: 'bo', kind: 'user', groups: [], method: 'oidc', claims: {} }

/** A gateway's log and what removes from it, with a clock that can be set. */
async function openWorld(t: TestContext, home?: string) {
  const directory = home ?? (await mkdtemp(join(tmpdir(), 'sallyport-retention-')))
  const clock = { at: Date.now(), now: () => clock.at }
  const storage = await openEmbeddedStorage({
    directory,
    config: { segment_bytes: 256 * 1024, reserve_bytes: 64 * 1024 },
  })
  const published = join(directory, 'log')
  const alarms: Error[] = []
  const checkpointer = await openCheckpointer({
    store: storage.log,
    origin,
    directory: published,
    keyFiles: [join(directory, 'log.key')],
    every: 1e6,
    scrub: 1e6,
    onAlarm: error => void alarms.push(error),
  })
  const root = async (): Promise<string> => (await checkpointer.catchUp()).root
  const audit = await openAudit({
    store: storage.log,
    origin,
    root,
    clock,
    heartbeat: { growing: 1e6, idle: 1e6 },
  })
  const keys = { recipients: [pair.recipient], identity: pair.identity, created: false }
  const recordings = new EncryptedRecordings({ log: storage.log, state: storage.state, keys, maxBytes: 1e9 })
  const running = new Set<string>()
  const sinks: string[] = []
  const config = retentionSection.parse({
    entries: { keep: '400d' },
    recordings: [{ connections: ['dat*od'], keep: '90d' }],
  })
  const openRetention = () =>
    Retention.open({
      storage,
      audit,
      clock,
      recordings,
      sessions: { isRunning: id => running.has(id), end: async id => void running.delete(id) },
      config,
      sinks,
      published,
      checkpoint: () => checkpointer.head,
      logger: silentLogger,
    })
  const retention = await openRetention()
  let closed = false
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await retention.close()
    await audit.close(0)
    await checkpointer.close()
    await storage.close()
  }
  t.after(async () => {
    await close()
    await rm(directory, { recursive: true, force: true })
  })
  return {
    directory,
    clock,
    storage,
    published,
    alarms,
    checkpointer,
    audit,
    recordings,
    running,
    sinks,
    retention,
    openRetention,
    close,
  }
}

type World = Awaited<ReturnType<typeof openWorld>>

/** A session of `actions` recorded actions. */
async function act(world: World, id: string, actions = 100): Promise<void> {
  const { audit, recordings, checkpointer, storage } = world
  const session = sampleSession(id)
  await audit.note('session.started', sessionFields(session))
  for (let i = 0; i < actions; i++) {
    const action = await audit.begin(session, sampleAction())
    action.decided(permit)
    action.forwarding()
    const recorder = recordings.recorder(id, 'full')
    await recorder.write({ from: 'upstream', part: 'body', bytes: Buffer.alloc(i === 0 ? 400_000 : 1000) })
    await action.complete({ ...answered, ...(await recorder.seal()) })
  }
  recordings.forget(id)
  await audit.note('session.ended', { ...sessionFields(session), reason: 'idle' })
  await checkpointer.publish()
  await storage.index.whenIndexed(storage.log.size)
}

async function check(world: World, complete = true): Promise<VerifyReport> {
  await world.checkpointer.publish()
  const vkeys = [...world.checkpointer.vkeys]
  return await verify({ directory: world.published, vkeys, complete })
}

async function bundles(world: World): Promise<string[]> {
  return (await readdir(join(world.published, 'tile', 'entries')))
    .filter(name => /^\d+$/.test(name))
    .toSorted()
}

test('P3: what is past its time goes; proofs, growth and completeness of the rest verify, and a restart agrees', async t => {
  const world = await openWorld(t)
  const earlier = join(world.directory, 'earlier')
  for (const id of ['s_a', 's_b', 's_c']) await act(world, id, 300)
  await writeFile(earlier, world.checkpointer.head!.note)
  world.clock.at += 91 * day
  const first = await world.retention.run()
  assert.equal(first.recordings.sessions, 3)
  assert.equal(first.recordings.blobs, 3)
  assert.equal(first.entries.removed, 0)
  // The files of large recordings went by policy; those that came with their entries are in no directory.
  const blobs = join(world.directory, 'blobs')
  const vkeysOf = { directory: world.published, vkeys: [...world.checkpointer.vkeys] }
  await world.checkpointer.publish()
  const withBlobs = await verify({ ...vkeysOf, blobs })
  assert.deepEqual(withBlobs.findings, [])
  assert.match(withBlobs.notes.join(), /900 recordings were removed by policy/)
  world.clock.at += 320 * day
  await act(world, 's_d', 300)
  const { entries } = await world.retention.run()
  const { log, index } = world.storage
  assert.ok(entries.removed > 500, JSON.stringify(entries))
  assert.equal(log.first, entries.first)
  assert.equal((await index.search({ limit: 1 })).entries[0]?.index, log.first)
  assert.ok(!(await bundles(world)).includes('000'))

  const report = await check(world)
  assert.deepEqual(report.findings, [])
  assert.equal(report.exit, 0)
  assert.match(report.notes.join(), /were removed by policy/)
  const vkeys = [...world.checkpointer.vkeys]
  const grown = await verify({ directory: world.published, vkeys, since: [earlier] })
  assert.deepEqual(grown.findings, [])
  const receipt = join(world.directory, 'receipt')
  await writeFile(receipt, (await makeReceipt(world.published, log.size - 5))!)
  assert.equal((await verify({ receipt, vkeys })).exit, 0)
  await world.checkpointer.scrub()
  assert.deepEqual(world.alarms, [])

  await world.close()
  const again = await openWorld(t, world.directory)
  assert.equal(again.storage.log.first, entries.first)
  await act(again, 's_e', 5)
  assert.equal((await check(again)).exit, 0)
  await again.checkpointer.scrub()
  assert.deepEqual(again.alarms, [])
})

test('P3: bundles that went without a statement, or under a false one, are not taken for policy', async t => {
  const world = await openWorld(t)
  for (const id of ['s_a', 's_b']) await act(world, id, 300)
  const published = join(world.published, 'tile', 'entries')
  await rm(join(published, '000'))
  const missing = await check(world)
  assert.equal(missing.exit, 2)
  assert.deepEqual(new Set(missing.findings.map(each => each.code)), new Set(['bundle-missing']))
  // A statement of another root is evidence, whoever wrote it.
  const lie = { from: '0', to: '256', root: Buffer.alloc(32).toString('base64') }
  await world.audit.note('pruned', { pruned: lie })
  const lied = await check(world)
  assert.equal(lied.exit, 1)
  assert.ok(lied.findings.some(each => each.code === 'pruned-root'))
})

test('P7: nothing goes that a sink has not, that is held, recorded, of a running session, or too young', async t => {
  const world = await openWorld(t)
  for (const id of ['s_a', 's_b', 's_c']) await act(world, id, 300)
  world.clock.at += 450 * day
  await act(world, 's_d', 300)
  const { retention, storage, sinks, running } = world
  const waits = async (): Promise<string> => (await retention.run()).entries.waitsFor
  sinks.push('far')
  assert.equal(await waits(), 'the sink far')
  await storage.state.put('export-cursor', `far@${origin}`, { next: storage.log.size, at: world.clock.at }, 0)
  await storage.state.put('export-cursor', `gone@${origin}`, { next: 10, at: world.clock.at }, 0)
  assert.equal(await waits(), 'the sink gone')
  await storage.state.put('export-cursor', `gone@${origin}`, { next: 10, at: world.clock.at - 401 * day }, 1)
  const hold = await retention.place({ session: 's_a' }, someone, 'Case 1')
  assert.equal(await waits(), `the hold ${hold.id}`)
  assert.equal(storage.log.first, 0)
  for (const id of ['ana', 'cam']) await retention.release(hold.id, { ...someone, id }, 'over')
  running.add('s_a')
  assert.equal(await waits(), 'the running session s_a')
  assert.equal(storage.log.first, 0)
  running.delete('s_a')
  assert.ok((await retention.run()).entries.removed > 0)
  assert.equal((await check(world)).exit, 0)
})

test('an interrupted removal is finished at the next start', async t => {
  const world = await openWorld(t)
  for (const id of ['s_a', 's_b', 's_c']) await act(world, id, 300)
  world.clock.at += 450 * day
  await act(world, 's_d', 300)
  const { log, state } = world.storage
  const real = log.prune.bind(log)
  log.prune = () => Promise.reject(new Error('killed here'))
  await assert.rejects(world.retention.run(), /killed here/)
  assert.equal(log.first, 0)
  log.prune = real
  const before = await readFile(join(world.directory, 'journal', '00000001.seg'))
  assert.ok(before.length > 0)
  await world.openRetention()
  assert.ok(log.first > 0)
  assert.equal((await state.get<{ done: boolean }>('retention', 'pruned'))?.value.done, true)
  assert.equal((await check(world)).exit, 0)
})

test('a policy that goes against its own minimum is refused', () => {
  for (const section of [
    { entries: { keep: '100d' } },
    { recordings: [{ keep: '500d' }] },
    { recordings: [{ keep: '10d' }], minimum: { recordings: '30d' } },
  ])
    assert.equal(retentionSection.safeParse(section).success, false, JSON.stringify(section))
})
