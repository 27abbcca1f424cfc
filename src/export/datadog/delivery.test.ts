/** The whole way from the log to the practice intake, with each fault that the real intake and network have. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { Registry } from 'prom-client'
import {
  type IntakeFault,
  type PracticeIntake,
  startPracticeIntake,
} from '../../../practice/datadog/intake.ts'
import { systemClock } from '../../clock.ts'
import { sinksSection } from '../../config/sinks.ts'
import { createExport, type Export } from '../export.ts'
import { ShippedLog, ShippedState } from '../testing/shipped-log.ts'

let intake: PracticeIntake
let log: ShippedLog
let state: ShippedState
let shipping: Export
/** Every wait that was asked for, milliseconds; none is waited out. */
let waits: number[]
let apiKey: string

beforeEach(async () => {
  intake = await startPracticeIntake()
  log = new ShippedLog()
  state = new ShippedState()
  waits = []
  apiKey = intake.apiKey
  shipping = open()
})

afterEach(async () => {
  await shipping.stop(0)
  await intake.close()
})

function open(options: Record<string, unknown> = {}): Export {
  return createExport({
    log,
    audit: log,
    state,
    sinks: sinksSection.parse([
      {
        name: 'dd',
        type: 'datadog',
        api_key: '${env:KEY}',
        intake_url: `${intake.url}/api/v2/logs`,
        timeout: '20s',
        batch: { max_wait: '1ms' },
        ...options,
      },
    ]),
    clock: systemClock,
    registry: new Registry(),
    version: '0.1.0',
    secret: () => ({ read: () => apiKey }),
    resolvePath: path => path,
    timing: {
      sleep: async ms => {
        waits.push(ms)
        await new Promise(resolve => setImmediate(resolve))
      },
      random: () => 0.5,
    },
  })
}

function arrived(): number[] {
  return intake.logs.map(({ record }) => (record['sallyport'] as { event: { seq: number } }).event.seq)
}

/** Until the cursor has reached the log's end. */
async function settled(): Promise<void> {
  while (shipping.status()[0]!.cursor < log.size) await new Promise(resolve => setTimeout(resolve, 2))
}

function numbers(to: number): number[] {
  return Array.from({ length: to }, (_, i) => i)
}

test('P7: every entry arrives once, in order, where nothing goes wrong', async () => {
  await log.grow(2500)
  shipping.start()
  await settled()
  await log.grow(3)
  await settled()
  assert.deepEqual(arrived(), numbers(2503))
  const [request] = intake.requests
  assert.equal(request?.headers['dd-api-key'], intake.apiKey)
  assert.equal(request?.headers['content-encoding'], 'gzip')
  assert.equal(request?.headers['dd-evp-origin'], 'sallyport')
  assert.equal(request?.headers['dd-evp-origin-version'], '0.1.0')
  assert.ok(intake.requests.every(({ count }) => count <= 1000))
})

const passing: [string, IntakeFault][] = [
  ['down', { kind: 'down' }],
  ['answering 408', { kind: 'status', status: 408 }],
  ['answering 429', { kind: 'status', status: 429 }],
  ['answering 500', { kind: 'status', status: 500 }],
  ['answering 503', { kind: 'status', status: 503, headers: { 'retry-after': '7' } }],
  ['slow', { kind: 'slow', ms: 30 }],
]
for (const [name, fault] of passing) {
  test(`P7: an intake that is ${name} for a while loses nothing and repeats nothing`, async () => {
    await log.grow(1200)
    intake.fail(fault, 8)
    shipping.start()
    await settled()
    assert.deepEqual(arrived(), numbers(1200))
    assert.deepEqual(log.notes, [])
  })
}

test('P7: 202 and then a reset counts as accepted: the head is the word', async () => {
  await log.grow(1500)
  intake.fail({ kind: 'reset-after-accept' }, 1)
  shipping.start()
  await settled()
  assert.deepEqual([...new Set(arrived())], numbers(1500))
})

test('P7: Retry-After and X-RateLimit-Reset are kept to, up to five minutes', async () => {
  await log.grow(1)
  intake.fail({ kind: 'status', status: 503, headers: { 'retry-after': '7' } }, 1)
  shipping.start()
  await settled()
  intake.fail({ kind: 'status', status: 429 }, 1)
  await log.grow(1)
  await settled()
  intake.fail({ kind: 'status', status: 503, headers: { 'retry-after': '86400' } }, 1)
  await log.grow(1)
  await settled()
  assert.deepEqual(waits, [7500, 1500, 300_500])
})

test('P7: retries wait with full jitter, doubling up to a minute, for ever', async () => {
  await log.grow(1)
  intake.fail({ kind: 'down' }, 9)
  shipping.start()
  await settled()
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('P7: one poison record of a thousand goes to the dead letters, a stub keeps its place', async () => {
  await log.grow(700)
  await log.write('action.completed', { operation: 'poison' })
  await log.grow(299)
  intake.fail({ kind: 'poison', is: record => JSON.stringify(record).includes('poison') })
  shipping.start()
  await settled()
  assert.deepEqual(arrived().slice(0, 1000), numbers(1000))
  const stub = intake.logs[700]!.record
  assert.deepEqual((stub['sallyport'] as { stub: unknown }).stub, {
    reason: '400 errors status 400 , title Bad Request',
  })
  assert.deepEqual(
    log.notes.map(({ kind, attributes }) => [kind, attributes['entry']]),
    [['export.dead_lettered', `${log.origin}/700`]],
  )
  const { letters } = await shipping.deadLetters.list('dd')
  assert.deepEqual(
    letters.map(({ index, kind }) => [index, kind]),
    [[700, 'action.completed']],
  )
  assert.ok(intake.requests.length < 25, `bisecting took ${intake.requests.length} calls`)

  const shown = await shipping.deadLetters.show('dd', 700)
  assert.deepEqual([shown.entry], await log.read(700, 1))
  assert.equal((await shipping.deadLetters.resend('dd', 700)).accepted, false)
  intake.fail(undefined)
  assert.deepEqual(await shipping.deadLetters.resend('dd', 700), { accepted: true })
  assert.deepEqual((await shipping.deadLetters.list('dd')).letters, [])
})

test('P7: an intake that takes no more than a few at once is bisected to what it takes', async () => {
  await log.grow(64)
  intake.fail({ kind: 'status', status: 413 }, 3)
  shipping.start()
  await settled()
  assert.deepEqual(arrived(), numbers(64))
  assert.deepEqual(log.notes, [])
})

test('P7: an intake that rejects everything, stubs too, is held and no entry is given up', async () => {
  await log.grow(20)
  intake.fail({ kind: 'poison', is: () => true })
  shipping.start()
  while (log.notes.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
  assert.equal(shipping.status()[0]!.state, 'holding')
  intake.fail(undefined)
  await settled()
  // A stub sent in the moment of mending stands beside its entry, under the same id.
  assert.deepEqual([...new Set(arrived())], numbers(log.size))
  assert.deepEqual(
    log.notes.map(({ kind }) => kind),
    ['export.held', 'export.resumed'],
  )
  assert.deepEqual((await shipping.deadLetters.list('dd')).letters, [])
})

for (const status of [401, 403, 404]) {
  test(`P7, P10: ${status} holds, is told once, and all goes on when it is mended`, async () => {
    await log.grow(5)
    intake.fail({ kind: 'status', status })
    shipping.start()
    while (waits.length < 3) await new Promise(resolve => setTimeout(resolve, 1))
    assert.deepEqual(waits.slice(0, 3), [63_000, 63_000, 63_000])
    assert.equal(shipping.status()[0]!.state, 'holding')
    assert.match(shipping.status()[0]!.last_error!.detail, new RegExp(`^${status}`))
    intake.fail(undefined)
    await settled()
    assert.equal(shipping.status()[0]!.state, 'running')
    assert.deepEqual(
      log.notes.map(({ kind }) => kind),
      ['export.held', 'export.resumed'],
    )
    assert.deepEqual(arrived(), numbers(log.size))
  })
}

test('P7: a rotated key is taken up without a restart', async () => {
  await log.grow(5)
  apiKey = 'f'.repeat(32)
  shipping.start()
  while (log.notes.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
  assert.ok(!JSON.stringify([shipping.status(), log.notes]).includes(apiKey), 'P4: the key is in a status')
  apiKey = intake.apiKey
  await settled()
  assert.deepEqual(arrived(), numbers(log.size))
})
