import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Registry } from 'prom-client'
import { type SinkConfig, sinksSection } from '../config/sinks.ts'
import { createExport, type Export, type ExportOptions } from './export.ts'
import type { CheckpointHead, Encoding, SendResult, Sink, SinkEvent } from './sink.ts'
import { ShippedLog, ShippedState } from './testing/shipped-log.ts'

let log: ShippedLog
let state: ShippedState
let registry: Registry
let shipping: Export | undefined
let now: number
/** What the far end has. */
let took: number[]
let calls: SinkEvent[][]
let encodings: Encoding[]
let answer: (batch: readonly SinkEvent[]) => SendResult | Promise<SendResult>
let limits = { maxEvents: 100, maxBytes: 1e6, maxEventBytes: 1e5 }

beforeEach(() => {
  log = new ShippedLog()
  state = new ShippedState()
  registry = new Registry()
  now = Date.now()
  took = []
  calls = []
  encodings = []
  answer = () => ({ result: 'accepted' })
  limits = { maxEvents: 100, maxBytes: 1e6, maxEventBytes: 1e5 }
})
afterEach(() => shipping?.stop(0))

function sinkOf({ name }: SinkConfig): Sink {
  return {
    name,
    type: 'test',
    limits,
    encode(record, encoding) {
      encodings.push(encoding)
      if (record.entry.kind === 'heartbeat') throw new TypeError('no form')
      return record.bytes
    },
    stub: record => Buffer.from(`stub ${record.index}`),
    async send(batch) {
      calls.push([...batch])
      const result = await answer(batch)
      if (result.result === 'accepted') took.push(...batch.map(({ record }) => record.index))
      return result
    },
    close: () => Promise.resolve(),
  }
}

function optionsOf(more: Partial<ExportOptions>): ExportOptions {
  return {
    log,
    audit: log,
    state,
    sinks: sinksSection.parse([{ name: 'far', type: 'stdout' }]),
    clock: { now: () => now },
    registry,
    version: '0.1.0',
    secret: () => ({ read: () => '' }),
    resolvePath: path => path,
    create: sinkOf,
    timing: { sleep: () => new Promise(resolve => setImmediate(resolve)), random: () => 0.5 },
    pollMs: 5,
    ...more,
  }
}

function start(more: Partial<ExportOptions> = {}): Export {
  shipping = createExport(optionsOf(more))
  shipping.start()
  return shipping
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise(resolve => setTimeout(resolve, 1))
}

function settled(): Promise<void> {
  return until(() => shipping!.status().every(({ cursor }) => cursor >= log.size))
}

function numbers(to: number): number[] {
  return Array.from({ length: to }, (_, i) => i)
}

test('P7: a restart goes on where the far end left off, repeating nothing that was noted', async () => {
  await log.grow(250)
  start()
  await settled()
  await shipping!.stop(0)
  await log.grow(50)
  start()
  await settled()
  assert.deepEqual(took, numbers(300))
})

test('P7: stopping ships what is there, within the grace it has', async () => {
  start()
  await log.grow(1000)
  await shipping!.stop(5000)
  assert.deepEqual(took, numbers(1000))
})

test('P7: stopping does not wait for a sink that is down', async () => {
  answer = () => ({ result: 'retry', detail: 'down' })
  await log.grow(10)
  start()
  await until(() => shipping!.status()[0]!.state === 'retrying')
  const before = performance.now()
  await shipping!.stop(60_000)
  assert.ok(performance.now() - before < 30_000)
  assert.equal(shipping!.status()[0]!.state, 'stopped')
})

for (const when of ['beforePut', 'afterPut'] as const) {
  test(`P7: a state store that fails (${when}) delays and loses nothing`, async () => {
    await log.grow(300)
    let failures = 5
    state[when] = space => {
      if (space === 'export-cursor' && failures-- > 0) throw new Error('disk full')
    }
    start()
    await settled()
    assert.deepEqual([...new Set(took)], numbers(300))
    await shipping!.stop(0)
    start()
    await settled()
    assert.deepEqual(took.slice(-1), [299], 'nothing was sent again after the restart')
  })
}

test('P7: a log that can not be read for a while is read later', async () => {
  await log.grow(300)
  let failures = 4
  log.beforeRead = () => {
    if (failures-- > 0) throw new Error('EIO')
  }
  start()
  await settled()
  assert.deepEqual(took, numbers(300))
})

test('P7: two processes with one cursor send twice at worst and skip nothing', async () => {
  await log.grow(500)
  const first = start()
  const second = createExport(optionsOf({ registry: new Registry() }))
  second.start()
  await until(() => [first, second].every(each => each.status()[0]!.cursor >= 500))
  await second.stop(0)
  assert.deepEqual(new Set(took), new Set(numbers(500)))
})

test('P12: memory is bounded under a dead sink with 100,000 entries', async () => {
  for (let i = 0; i < 20; i++) await log.grow(5000)
  let reads = 0
  log.beforeRead = () => void reads++
  answer = () => ({ result: 'retry', detail: 'down' })
  start()
  await until(() => calls.length >= 200)
  assert.equal(reads, 1, 'nothing is read ahead of what the far end has taken')
  assert.ok(calls.every(batch => batch.length <= limits.maxEvents))
  const { lag, state: current } = shipping!.status()[0]!
  assert.deepEqual([lag.entries, current], [100_000, 'retrying'])
})

test('P12: a batch keeps to the bytes a sink takes, and one event may not be larger than its own limit', async () => {
  limits = { maxEvents: 100, maxBytes: 3000, maxEventBytes: 1000 }
  await log.grow(40, { text: 'x'.repeat(300) })
  await log.grow(1, { text: 'x'.repeat(2000) })
  await log.grow(5)
  start()
  await settled()
  const sizes = calls.map(batch => batch.reduce((sum, { body }) => sum + body.length + 1, 0))
  assert.ok(
    sizes.every(size => size <= 3000),
    String(sizes),
  )
  assert.deepEqual(took.slice(0, 46), numbers(46))
  assert.deepEqual(
    log.notes.map(({ kind }) => kind),
    ['export.dead_lettered'],
  )
})

test('P7: what has no form, or is no JSON, goes as a stub and into the dead letters', async () => {
  await log.grow(2)
  await log.write('heartbeat')
  await log.writeBytes(Buffer.from('not json'))
  await log.grow(2)
  const { deadLetters } = start()
  await settled()
  const { letters } = await deadLetters.list('far')
  assert.deepEqual(
    letters.map(({ index, kind }) => [index, kind]),
    [
      [2, 'heartbeat'],
      [3, 'unreadable'],
    ],
  )
  assert.deepEqual(await deadLetters.resend('far', 2), {
    accepted: false,
    detail: 'the entry still has no form for this sink',
  })
  await assert.rejects(deadLetters.show('far', 5), { code: 'not-found' })
  await assert.rejects(deadLetters.list('near'), { code: 'not-found' })
})

test('P10: an entry about exporting that is rejected makes no further entry: no loop', async () => {
  answer = batch =>
    batch.some(({ body, record }) => record.entry.kind.startsWith('export.') && body[0] !== 0x73)
      ? { result: 'rejected', detail: '400' }
      : { result: 'accepted' }
  await log.write('heartbeat')
  start()
  await until(() => log.size === 2)
  await settled()
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.equal(log.size, 2)
  assert.equal(shipping!.status()[0]!.counts.dead_lettered, 2)
})

test('P3: a log that was cut or exchanged is noticed and nothing is shipped over it', async () => {
  await log.grow(10)
  start()
  await settled()
  await shipping!.stop(0)
  for (const size of [4, 30]) {
    log = new ShippedLog()
    await log.grow(size, { forged: true })
    start()
    await until(() => shipping!.status()[0]!.state === 'holding')
    assert.match(shipping!.status()[0]!.last_error!.detail, /entry 9 is missing or another/)
    assert.deepEqual(
      log.notes.map(({ kind }) => kind),
      ['export.held'],
    )
    await shipping!.stop(100)
  }
  assert.deepEqual(took, numbers(10))
})

test('a filter leaves out what it says, and the cursor moves over it', async () => {
  await log.grow(3)
  await log.write('approval.requested')
  await log.write('approval.granted')
  await log.grow(200)
  await log.write('policy.changed')
  const filter = { kinds: ['approval.*', 'policy.changed'], except: ['approval.granted'] }
  start({ sinks: sinksSection.parse([{ name: 'far', type: 'stdout', filter }]) })
  await settled()
  assert.deepEqual(took, [3, 205])
  assert.equal(shipping!.status()[0]!.counts.skipped, 204)
})

test('a new sink starts at the beginning, or where the log is now', async () => {
  await log.grow(20)
  const old = { name: 'old', type: 'stdout' }
  start({ sinks: sinksSection.parse([old, { ...old, name: 'new', from: 'now' }]) })
  await settled()
  assert.deepEqual(took, numbers(20))
  await log.grow(2)
  await settled()
  assert.deepEqual(
    took.slice(20).toSorted((a, b) => a - b),
    [20, 20, 21, 21],
  )
})

test('P3: a checkpoint goes along once, on the first event of the next batch', async () => {
  let head: CheckpointHead | undefined
  await log.grow(5)
  start({ checkpoint: () => head })
  await settled()
  head = { size: 5, root: 'r', note: 'n' }
  await log.grow(3)
  await settled()
  await log.grow(3)
  await settled()
  assert.deepEqual(
    encodings.map(({ checkpoint }) => checkpoint?.size),
    [...Array<undefined>(5), 5, ...Array<undefined>(5)],
  )
})

test('status and metrics: lag in entries and seconds, counts, state', async () => {
  await log.grow(150)
  let down = true
  answer = () => (down ? { result: 'retry', detail: '503' } : { result: 'accepted' })
  start()
  await until(() => calls.length >= 3)
  now += 3_600_000
  const [late] = shipping!.status()
  assert.ok(late!.lag.seconds >= 3590 && late!.lag.seconds <= 3700, String(late!.lag.seconds))
  const text = await registry.metrics()
  assert.match(text, /sallyport_export_lag_entries\{sink="far"\} 150/)
  assert.match(text, /sallyport_export_state\{sink="far",state="retrying"\} 1/)
  down = false
  await settled()
  await until(() => shipping!.status()[0]!.lag.seconds === 0)
  const [{ counts, state: current, last_error: error }] = shipping!.status() as [
    ReturnType<Export['status']>[0],
  ]
  assert.deepEqual([counts.sent, counts.batches.accepted, current, error?.detail], [150, 2, 'running', '503'])
  assert.match(await registry.metrics(), /sallyport_export_events_total\{sink="far",result="sent"\} 150/)
  await shipping!.stop(0)
  assert.equal(await registry.metrics(), '\n', 'a stopped export leaves no metrics behind')
})

test('a backfill of what is not there is refused', async () => {
  await log.grow(5)
  start()
  for (const range of [
    { from: 0, to: 6 },
    { from: -1, to: 2 },
    { from: 3, to: 2 },
    { from: 0.5, to: 2 },
  ]) {
    await assert.rejects(shipping!.backfill('far', range), { code: 'invalid-request' })
  }
  await assert.rejects(shipping!.backfill('near', { from: 0, to: 1 }), { code: 'not-found' })
})

test('a backfill ends when it is told to, and when shipping stops', async () => {
  await log.grow(5)
  answer = () => ({ result: 'retry', detail: 'down' })
  const stop = new AbortController()
  for (const end of [async () => stop.abort(), () => shipping!.stop(0)]) {
    start()
    const signal = stop.signal.aborted ? undefined : stop.signal
    const done = shipping!.backfill('far', { from: 0, to: 5 }, signal)
    const before = calls.length
    await until(() => calls.length > before + 5)
    await end()
    assert.deepEqual(await done, { sent: 0, stubs: [], next: 0 })
    await shipping!.stop(0)
  }
})
