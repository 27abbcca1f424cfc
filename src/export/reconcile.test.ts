/** Reading back from a Datadog that keeps state, through the real sink: what differs is found, and nothing else. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import type { PracticeLog } from '../../practice/datadog/intake.ts'
import { startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import type { Json } from '../../practice/datadog/wire.ts'
import type { Timing } from './backoff.ts'
import { createExport } from './export.ts'
import { createSink } from './kinds.ts'
import { compare } from './reconcile.ts'
import type { Reconciliation } from './reconciler.ts'
import { sinksSection } from '../config/sinks.ts'
import { samples } from './testing/samples.ts'
import { ShippedLog, ShippedState, testOrigin } from './testing/shipped-log.ts'

const hour = 3_600_000
/** Waits are noted and not waited. */
function quick(): Timing & { readonly waits: number[] } {
  const waits: number[] = []
  return {
    waits,
    random: () => 0.5,
    sleep: async ms => {
      waits.push(ms)
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

interface Options {
  readonly entries?: number
  readonly sink?: Json
  /** When the entries were written, before now. */
  readonly ageMs?: number
}

async function bench(t: TestContext, { entries = 60, sink = {}, ageMs = hour }: Options = {}) {
  let offset = 0
  const clock = { now: () => Date.now() + offset }
  const datadog = await startPracticeDatadog({ now: clock.now })
  const log = new ShippedLog()
  const timing = quick()
  const kinds = Object.entries(samples).filter(([kind]) => !kind.startsWith('export.'))
  const start = clock.now() - ageMs
  const write = async (count: number, at = start) => {
    for (let i = 0; i < count; i++) {
      const [kind, members] = kinds[log.size % kinds.length]!
      const time = new Date(at + log.size * 10).toISOString().replace('Z', '123Z')
      const entry = { ...members, kind, log: testOrigin, seq: String(log.size), time, v: 1 }
      await log.writeBytes(Buffer.from(JSON.stringify(entry)))
    }
  }
  await write(entries)
  const keys: Record<string, string> = datadog.keys as unknown as Record<string, string>
  const shipping = createExport({
    log,
    audit: log,
    state: new ShippedState(),
    sinks: sinksSection.parse([
      {
        name: 'dd',
        type: 'datadog',
        api_key: '${env:apiKey}',
        app_key: '${env:appKey}',
        intake_url: `${datadog.url}/api/v2/logs`,
        api_url: datadog.url,
        batch: { max_wait: '0s' },
        ...sink,
      },
    ]),
    clock,
    registry: new Registry(),
    version: '0.1.0',
    secret: reference => ({ read: () => keys[reference.slice(6, -1)] ?? 'a key' }),
    resolvePath: path => path,
    timing,
    pollMs: 5,
    create: (config, context) => createSink(config, { ...context, timing }),
  })
  t.after(async () => {
    await shipping.stop(0)
    await datadog.close()
  })
  shipping.start()
  const settled = async () => {
    while (shipping.status()[0]!.cursor < log.size) await new Promise(resolve => setTimeout(resolve, 2))
  }
  await settled()
  return {
    datadog,
    log,
    timing,
    shipping,
    settled,
    write,
    pass: (ms: number) => (offset += ms),
    run: (dry = false): Promise<Reconciliation> =>
      shipping.reconcile('dd', { window: { until: clock.now() }, dry }),
  }
}

/** The log whose entry has this number; its event can be changed. */
function isEntry({ record }: PracticeLog, index: number): boolean {
  return ((record['sallyport'] as Json)['event'] as Json)['seq'] === index
}

function changed(log: PracticeLog, change: (event: Json) => void): PracticeLog {
  const record = structuredClone(log.record)
  change(record)
  return { ...log, record }
}

const counts = ({ missing, altered, foreign, duplicates, stubs }: Reconciliation) => ({
  missing,
  altered,
  foreign,
  duplicates,
  stubs,
})
const none = { missing: 0, altered: 0, foreign: 0, duplicates: 0, stubs: 0 }

test('P7: what arrived as it was written is equal, and that is an entry', async t => {
  const at = await bench(t)
  const found = await at.run()
  assert.equal(found.equal, true)
  assert.deepEqual(counts(found), none)
  assert.equal(found.entries, 60)
  assert.equal(found.held, 60)
  assert.equal(found.leaves.log, found.leaves.sink)
  assert.deepEqual(
    at.log.notes.map(({ kind }) => kind),
    ['export.reconciled'],
  )
})

test('P7: lost events are found, sent again, and then they are there', async t => {
  const at = await bench(t)
  at.datadog.intake.tamper(log => ([3, 30, 31, 59].some(index => isEntry(log, index)) ? [] : [log]))
  const dry = await at.run(true)
  assert.deepEqual(counts(dry), { ...none, missing: 4 })
  assert.equal(dry.sent, undefined)
  assert.deepEqual(at.log.notes, [], 'a dry run leaves no trace')
  const found = await at.run()
  assert.deepEqual([found.equal, found.missing, found.sent], [false, 4, 4])
  assert.notEqual(found.leaves.log, found.leaves.sink)
  assert.deepEqual(
    found.examples.missing,
    [3, 30, 31, 59].map(index => `${testOrigin}/${index}`),
  )
  const again = await at.run()
  assert.deepEqual([again.equal, again.sent], [true, 0])
  assert.deepEqual(
    at.log.notes.map(({ kind }) => kind),
    ['export.diverged', 'export.reconciled'],
  )
})

test('events that were all lost, and an empty answer, are missing, not a fault', async t => {
  const at = await bench(t, { entries: 700 })
  at.datadog.intake.tamper(() => [])
  assert.deepEqual(counts(await at.run()), { ...none, missing: 700 })
  assert.equal((await at.run()).equal, true)
})

test('an altered event is found by its leaf hash and by what searches go by', async t => {
  const at = await bench(t)
  at.datadog.intake.tamper(log => [
    isEntry(log, 5)
      ? changed(
          log,
          event => (((event['sallyport'] as Json)['event'] as Json)['leaf_hash'] = '00'.repeat(32)),
        )
      : isEntry(log, 6)
        ? changed(log, event => ((event['usr'] as Json) = { id: 'somebody else' }))
        : isEntry(log, 7)
          ? changed(log, event => ((event['evt'] as Json)['outcome'] = 'success'))
          : log,
  ])
  const found = await at.run(true)
  assert.deepEqual(counts(found), { ...none, altered: 3, missing: 3 })
  assert.equal(found.examples.altered.length, 3)
})

test('duplicates are counted, and no fault', async t => {
  const at = await bench(t)
  at.datadog.intake.tamper(log => (isEntry(log, 8) ? [log, log, log] : [log]))
  const found = await at.run()
  assert.deepEqual(counts(found), { ...none, duplicates: 2 })
  assert.equal(found.equal, true)
})

test('what somebody slipped in is found: beside ours, between ours, and without a name of a log', async t => {
  const at = await bench(t)
  const own = (event: Json) => (event['sallyport'] as Json)['event'] as Json
  at.datadog.intake.tamper(log => {
    if (!isEntry(log, 20)) return [log]
    return [
      log,
      // Another version of an entry that is there.
      changed(log, event => (own(event)['leaf_hash'] = 'ff'.repeat(32))),
      // A number that the log does not have.
      changed(log, event => Object.assign(own(event), { seq: 900, id: `${testOrigin}/900` })),
      // The number of one, the id of another.
      changed(log, event => (own(event)['id'] = `${testOrigin}/21`)),
      changed(log, event => delete event['sallyport']),
      // Another gateway's: none of our business.
      changed(log, event => (own(event)['log'] = 'other.example.com/log')),
    ]
  })
  assert.deepEqual(counts(await at.run(true)), { ...none, altered: 1, foreign: 3 })
})

test('storms of 429 and faults of the search are waited out', async t => {
  const at = await bench(t, { entries: 1200 })
  const headers = { 'x-ratelimit-reset': '7', 'x-ratelimit-limit': '300', 'x-ratelimit-period': '3600' }
  at.timing.waits.length = 0
  at.datadog.fail({ kind: 'status', status: 429, headers }, 20)
  assert.equal((await at.run(true)).equal, true)
  assert.equal(at.timing.waits.filter(ms => ms === 7000).length, 20)
  at.datadog.fail({ kind: 'down' }, 3)
  assert.equal((await at.run(true)).equal, true)
  at.datadog.fail({ kind: 'reset' }, 2)
  assert.equal((await at.run(true)).equal, true)
})

test('what can not be compared is a fault with words, and no result', async t => {
  const at = await bench(t)
  at.datadog.fail({ kind: 'status', status: 403 })
  await assert.rejects(at.run(), { code: 'upstream-unreachable', detail: /logs_read_data/ })
  at.datadog.fail(undefined)
  await assert.rejects(
    at.shipping.reconcile('dd', { window: { since: Date.now() - 20 * 24 * hour }, dry: true }),
    { code: 'invalid-request', detail: /keeps 15 days/ },
  )
  assert.deepEqual(at.log.notes, [])
})

test('without an application key, or at a sink that can not be asked, the words say so', async t => {
  const at = await bench(t, { sink: { app_key: undefined } })
  await assert.rejects(at.run(), { code: 'invalid-request', detail: /application key/ })
  const dull = createExport({
    log: at.log,
    audit: at.log,
    state: new ShippedState(),
    sinks: sinksSection.parse([{ name: 'out', type: 'stdout' }]),
    clock: { now: Date.now },
    registry: new Registry(),
    version: '0.1.0',
    secret: () => ({ read: () => '' }),
    resolvePath: path => path,
  })
  await assert.rejects(dull.reconcile('out', { window: {}, dry: true }), { code: 'invalid-request' })
})

test('what was shipped too late has another time there, and is found all the same', async t => {
  const at = await bench(t, { entries: 30, ageMs: 20 * hour })
  assert.ok(at.datadog.intake.logs.every(({ tags }) => tags.includes('late:true')))
  const found = await at.run()
  assert.deepEqual(counts(found), none)
  at.datadog.intake.tamper((log, i) => (i % 3 === 0 ? [] : [log]))
  const lost = await at.run()
  assert.deepEqual([lost.missing, lost.sent], [10, 10])
  assert.equal((await at.run()).equal, true)
})

test('an entry that only a stub stands for is no loss where there is a dead letter', async t => {
  const at = await bench(t, { entries: 10 })
  at.datadog.intake.fail({ kind: 'poison', is: record => JSON.stringify(record).includes('poison') })
  await at.log.write('action.completed', { action: 'a_1', resource: 'poison' })
  await at.settled()
  const found = await at.run()
  assert.deepEqual(counts(found), { ...none, stubs: 1 })
  at.datadog.intake.fail(undefined)
  const [letter] = (await at.shipping.deadLetters.list('dd')).letters
  assert.equal((await at.shipping.deadLetters.resend('dd', letter!.index)).accepted, true)
  assert.deepEqual(counts(await at.run()), none)
})

test('where fields are withheld, the keyed leaf hashes are compared', async t => {
  const at = await bench(t, { sink: { fields: { identity: 'hash', key: '${env:fieldKey}' } } })
  assert.deepEqual(counts(await at.run()), none)
})

test('what a filter keeps back is not missing', async t => {
  const at = await bench(t, { sink: { filter: { kinds: ['action.*'] } } })
  const found = await at.run()
  assert.deepEqual(counts(found), none)
  assert.ok(found.entries > 0 && found.entries < 60)
})

test('by schedule: what is not searchable yet is not missing, and what is lost is sent once more, not for ever', async t => {
  const at = await bench(t, { sink: { reconcile: { every: '1h' } } })
  const comparisons = async (count: number) => {
    while (at.log.notes.length < count) await new Promise(resolve => setTimeout(resolve, 2))
    return at.log.notes.slice(0, count).map(({ kind, attributes }) => {
      const { missing, sent } = attributes['compared'] as { missing: number; sent: number }
      return { kind, missing, sent }
    })
  }
  // Dropped behind the intake, as an exclusion filter does: sent again, and dropped again.
  at.datadog.intake.tamper(log => (isEntry(log, 12) ? [] : [log]))
  const intake = at.datadog.intake
  const timer = setInterval(() => intake.tamper(log => (isEntry(log, 12) ? [] : [log])), 1)
  t.after(() => clearInterval(timer))
  await at.write(5)
  const told = await comparisons(3)
  const lost = told.filter(({ missing }) => missing > 0)
  assert.ok(lost.length >= 1)
  assert.ok(lost.reduce((total, { sent }) => total + sent, 0) <= 1)
})

test('chunk by chunk the result is the same, whatever is lost, repeated or altered', async t => {
  const at = await bench(t, { entries: 40 })
  const logs = [...at.datadog.intake.logs]
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('keep', 'keep', 'lose', 'twice', 'alter'), { minLength: 40, maxLength: 40 }),
      fc.integer({ min: 1, max: 50 }),
      async (fates, chunk) => {
        at.datadog.intake.clear()
        ;(at.datadog.intake.logs as PracticeLog[]).push(...logs)
        at.datadog.intake.tamper((log, i) => {
          const fate = fates[i]
          if (fate === 'lose') return []
          if (fate === 'twice') return [log, log]
          return [fate === 'alter' ? changed(log, event => ((event['usr'] as Json) = { id: 'x' })) : log]
        })
        const found = await compare(
          { ...partsOf(at.log, at.datadog.url, at.datadog.keys), chunk },
          { from: 0, to: 40, since: Date.now() - 2 * hour, until: Date.now() },
          new AbortController().signal,
        )
        const number = (fate: string) => fates.filter(each => each === fate).length
        assert.equal(found.missing, number('lose') + number('alter'))
        assert.equal(found.altered, number('alter'))
        assert.equal(found.duplicates, number('twice'))
        assert.equal(found.foreign, 0)
      },
    ),
    { numRuns: 25 },
  )
})

function partsOf(log: ShippedLog, url: string, keys: { apiKey: string; appKey: string }) {
  const [config] = sinksSection.parse([
    {
      name: 'dd',
      type: 'datadog',
      api_key: '${env:apiKey}',
      app_key: '${env:appKey}',
      intake_url: `${url}/api/v2/logs`,
      api_url: url,
    },
  ])
  const sink = createSink(config!, {
    version: '0.1.0',
    secret: reference => ({ read: () => (reference.includes('api') ? keys.apiKey : keys.appKey) }),
    resolvePath: path => path,
  })
  const { holdings } = sink
  assert.ok(holdings !== undefined && 'between' in holdings)
  return {
    source: { log, origin: testOrigin, sink, wanted: undefined },
    holdings,
    isDeadLetter: async () => false,
  }
}
