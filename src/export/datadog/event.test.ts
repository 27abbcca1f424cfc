import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { eventKinds } from '../../audit/events.ts'
import { detectorGroups } from '../../masking/detectors/index.ts'
import { LogRecord } from '../record.ts'
import { recordOf, samples, variants } from '../testing/samples.ts'
import { personal } from '../words.ts'
import { encodeEvent, lateAfterMs, maxEventBytes } from './event.ts'

const golden = new URL('./event.golden.json', import.meta.url)
const written = Date.parse('2026-11-21T07:00:00.123Z')
const options = { service: 'sallyport', hostname: 'gw-1', tags: ['env:prod', 'version:0.1.0'] }

interface Event {
  readonly [name: string]: unknown
  readonly evt: { readonly name: string; readonly category: string; readonly outcome: string }
  readonly sallyport: Readonly<Record<string, unknown>> & { readonly truncated?: boolean }
}

function eventFor(record: LogRecord, now = written + 1000, more: object = {}): Event {
  return JSON.parse(encodeEvent(record, { now, backfill: false, ...more }, options).toString()) as Event
}

test('every kind of entry as an event, against the golden file (UPDATE_GOLDEN=1 writes it)', async () => {
  const events: Record<string, unknown> = {}
  for (const [kind, members] of Object.entries(samples))
    events[kind] = eventFor(recordOf({ ...members, kind }))
  for (const [name, members] of Object.entries(variants)) events[name] = eventFor(recordOf(members))
  if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(golden, `${JSON.stringify(events, null, 1)}\n`)
  assert.deepEqual(events, JSON.parse(await readFile(golden, 'utf8')))
})

test('every kind has its words, and the vocabulary is small', () => {
  const categories = new Set<string>()
  const outcomes = new Set<string>()
  for (const kind of Object.keys(eventKinds)) {
    const { evt, status, message } = eventFor(recordOf({ kind }))
    categories.add(evt.category)
    outcomes.add(evt.outcome)
    assert.ok(['info', 'notice', 'warn', 'error', 'critical'].includes(String(status)))
    assert.ok(String(message).length > 3)
  }
  const known = ['access', 'admin', 'approval', 'authentication', 'session', 'system']
  assert.deepEqual([...categories].toSorted(), known)
  assert.deepEqual([...outcomes].toSorted(), [
    'denied',
    'expired',
    'failure',
    'pending',
    'success',
    'unknown',
  ])
})

test('what counts as personal data is what masking calls so', () => {
  assert.deepEqual([...personal].toSorted(), [...detectorGroups.personal].toSorted())
})

test('a kind of a later version is shown for what it is', () => {
  const event = eventFor(recordOf({ kind: 'moon.landed', where: 'here' }))
  assert.deepEqual(event.evt, { name: 'moon.landed', category: 'system', outcome: 'unknown' })
  assert.deepEqual(event.sallyport['moon'], { where: 'here' })
})

test('P7: what is older than 17 hours is sent as of now, with its true time and a tag', () => {
  const record = recordOf({ ...samples['action.completed'], kind: 'action.completed' })
  const inTime = eventFor(record, written + lateAfterMs)
  assert.equal(inTime['timestamp'], written)
  const now = written + lateAfterMs + 1
  const late = eventFor(record, now)
  assert.equal(late['timestamp'], now)
  assert.equal((late.sallyport['event'] as { time_ms: number }).time_ms, written)
  assert.equal(late['ddtags'], 'env:prod,version:0.1.0,connection_type:datadog,delayed:true,late:true')
})

test('a backfill says so', () => {
  const event = eventFor(recordOf({ kind: 'heartbeat' }), written, { backfill: true })
  assert.equal(event['ddtags'], 'env:prod,version:0.1.0,backfill:true')
})

test('P3: a checkpoint goes along whole', () => {
  const checkpoint = {
    size: 18,
    root: 'A'.repeat(44),
    note: `${'origin\n18\nroot\n\n'}${'— key sig\n'.repeat(20)}`,
  }
  const event = eventFor(recordOf({ kind: 'heartbeat' }), written, { checkpoint })
  assert.deepEqual(event.sallyport['checkpoint'], checkpoint)
})

test('P9: facts of a protocol never stand in for what the gateway says', () => {
  const forged = {
    ...samples['action.completed'],
    kind: 'action.completed',
    usr: { id: 'admin' },
    status: { x: 1 },
    service: 'other',
    ddtags: 'env:none',
    evt: { outcome: 'denied' },
    sallyport: { event: { id: 'x' } },
    event: { id: 'forged' },
    policy: { decision: 'permit-all' },
  }
  const event = eventFor(recordOf(forged))
  assert.equal((event['usr'] as { id: string }).id, 'agent:ci-triage-7f3')
  assert.equal(event['service'], 'sallyport')
  assert.equal(event.evt.outcome, 'success')
  assert.equal((event.sallyport['event'] as { id: string }).id, 'gateway.example.com/test/18')
  assert.equal((event.sallyport['policy'] as { decision: string }).decision, 'permit')
})

/** Leaves, depth and longest name of a JSON value. */
function measure(value: unknown, depth = 0): { leaves: number; depth: number; name: number } {
  if (typeof value !== 'object' || value === null) return { leaves: 1, depth, name: 0 }
  const all = { leaves: 0, depth, name: 0 }
  for (const [name, each] of Object.entries(value)) {
    const inner = measure(each, depth + 1)
    all.leaves += inner.leaves
    all.depth = Math.max(all.depth, inner.depth)
    all.name = Math.max(all.name, inner.name, Array.isArray(value) ? 0 : name.length)
  }
  return all
}

function assertLimits(body: Buffer): void {
  assert.ok(body.length <= maxEventBytes, `${body.length} bytes`)
  const { leaves, depth, name } = measure(JSON.parse(body.toString()))
  assert.ok(leaves < 256, `${leaves} attributes`)
  assert.ok(depth < 10, `depth ${depth}`)
  assert.ok(name < 50, `a name of ${name}`)
}

test('P12: whatever an entry holds, the event is under the limits', () => {
  const base = { ...samples['action.completed'], kind: 'action.completed' }
  fc.assert(
    fc.property(
      fc.object({ maxDepth: 14, maxKeys: 40, withNullPrototype: true }),
      fc.string(),
      (facts, name) => {
        const members = { ...base, http: facts, [name]: facts, resource: name.repeat(500) }
        const record = recordOf(members)
        assertLimits(encodeEvent(record, { now: written, backfill: false }, options))
      },
    ),
    { numRuns: 200 },
  )
})

const hostile: [string, unknown][] = [
  ['a thousand members', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i]))],
  ['forty levels', Array.from({ length: 40 }).reduce<unknown>(inner => ({ d: inner }), 'deep')],
  ['long names', { ['n'.repeat(900)]: 1, ['m'.repeat(50)]: 2 }],
  ['a megabyte of text', { text: 'x'.repeat(1_000_000) }],
  ['control characters', { text: '\u0001'.repeat(60_000) }],
  ['many strings of escapes', Array.from({ length: 400 }, () => '\u0000'.repeat(2000))],
  ['a prototype', JSON.parse('{"__proto__":{"polluted":true},"constructor":1}')],
  ['an array of arrays', Array.from({ length: 300 }, () => [[1, 2], [3]])],
]
for (const [name, facts] of hostile) {
  test(`P12: an entry with ${name} is cut and says so`, () => {
    const record = recordOf({ ...samples['action.completed'], kind: 'action.completed', odd: { facts } })
    const body = encodeEvent(record, { now: written, backfill: false }, options)
    assertLimits(body)
    const event = JSON.parse(body.toString()) as Event
    assert.equal(event.sallyport.truncated, name === 'a prototype' ? undefined : true)
    assert.equal((event['usr'] as { id: string }).id, 'agent:ci-triage-7f3')
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  })
}

test('tags hold no identity and end no tag', () => {
  const record = recordOf({
    kind: 'heartbeat',
    connection: { name: 'x', protocol: 'a,b:c\n', sensitivity: 'low' },
  })
  assert.equal(eventFor(record)['ddtags'], 'env:prod,version:0.1.0,connection_type:a_b:c_')
})

test('bytes that are no JSON have no form', () => {
  const record = new LogRecord('x', 1, Buffer.from('{"v":1'))
  assert.throws(() => encodeEvent(record, { now: 0, backfill: false }, options), SyntaxError)
})
