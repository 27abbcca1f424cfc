import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultRetry, retryDelay } from './backoff.ts'
import { Delivery, type DeliveryEnd } from './delivery.ts'
import { retryAfter } from './http.ts'
import { SinkMeter } from './meter.ts'
import type { LogRecord } from './record.ts'
import type { SendResult, Sink, SinkEvent } from './sink.ts'
import { recordOf } from './testing/samples.ts'

const { signal } = new AbortController()

/** A sink over a function; `took` is what the far end has, in order. */
function sinkOf(
  judge: (events: readonly SinkEvent[]) => SendResult,
): Sink & { took: LogRecord[]; calls: number } {
  return {
    name: 'far',
    type: 'test',
    limits: { maxEvents: 1000, maxBytes: 1e6, maxEventBytes: 1e5 },
    took: [],
    calls: 0,
    encode: record => record.bytes,
    stub: () => Buffer.from('stub'),
    async send(batch) {
      this.calls++
      const result = judge(batch)
      if (result.result === 'accepted') this.took.push(...batch.map(({ record }) => record))
      return result
    },
    close: () => Promise.resolve(),
  }
}

function deliveryTo(
  sink: Sink,
  options: { now?: () => number; held?: () => void; slept?: (ms: number) => void } = {},
) {
  const clock = { now: options.now ?? (() => 0) }
  return new Delivery({
    sink,
    meter: new SinkMeter(clock),
    clock,
    timing: {
      sleep: async ms => {
        options.slept?.(ms)
        await new Promise(resolve => setImmediate(resolve))
      },
      random: () => 0.5,
    },
    retry: defaultRetry,
    holds: { held: async () => options.held?.(), resumed: async () => undefined },
  })
}

function eventsOf(count: number): SinkEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const record = recordOf({ kind: 'heartbeat' }, i)
    return { record, body: record.bytes }
  })
}

const accepted: SendResult = { result: 'accepted' }

/** Delivers and says what was settled and what was buried. */
async function run(delivery: Delivery, events: readonly SinkEvent[]) {
  const poisoned: number[] = []
  const settled: number[] = []
  const end: DeliveryEnd = await delivery.deliver(
    events,
    {
      poisoned: async ({ index }) => void poisoned.push(index),
      settled: async ({ index }) => void settled.push(index),
    },
    signal,
  )
  return { end, poisoned, settled }
}

test('P7: whatever records are poison, exactly those are buried and all others arrive, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 300 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 299 }), { maxLength: 12 }),
      fc.constantFrom<SendResult['result']>('rejected', 'too-large'),
      async (count, drawn, result) => {
        const poison = new Set(drawn.filter(index => index < count))
        const isBad = ({ record, body }: SinkEvent) => poison.has(record.index) && body.length > 4
        const sink = sinkOf(batch =>
          batch.some(isBad) ? ({ result, detail: 'no' } as SendResult) : accepted,
        )
        const { end, poisoned, settled } = await run(deliveryTo(sink), eventsOf(count))
        assert.equal(end, 'done')
        assert.deepEqual(
          poisoned,
          [...poison].toSorted((a, b) => a - b),
        )
        assert.deepEqual(
          sink.took.map(({ index }) => index),
          Array.from({ length: count }, (_, i) => i),
        )
        assert.deepEqual(
          settled,
          settled.toSorted((a, b) => a - b),
        )
        assert.equal(settled.at(-1), count - 1)
        // Two calls per level for each poison record, its stub and the second try, and one for the whole.
        const levels = Math.ceil(Math.log2(count + 1))
        assert.ok(sink.calls <= 1 + poison.size * (2 * levels + 2), `${sink.calls} calls`)
      },
    ),
    { numRuns: 150 },
  )
})

test('P7: under any weather what is settled has arrived, in order, and nothing but poison is buried', async () => {
  const weather = fc.constantFrom<'ok' | 'retry' | 'lost' | 'too-large' | 'refused'>(
    'ok',
    'retry',
    'lost',
    'too-large',
    'refused',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(weather, { maxLength: 40 }),
      fc.integer({ min: 2, max: 60 }),
      async (sky, count) => {
        const left = [...sky]
        const sink: ReturnType<typeof sinkOf> = sinkOf(batch => {
          const now = left.shift() ?? 'ok'
          // A far end that is too small now and then always takes a single event.
          if (now === 'ok' || (now === 'too-large' && batch.length === 1)) return accepted
          if (now === 'lost') sink.took.push(...batch.map(({ record }) => record))
          return { result: now === 'lost' ? 'retry' : now, detail: now }
        })
        const { end, poisoned } = await run(deliveryTo(sink), eventsOf(count))
        assert.equal(end, 'done')
        assert.deepEqual(poisoned, [])
        const firsts = [...new Set(sink.took.map(({ index }) => index))]
        assert.deepEqual(
          firsts,
          Array.from({ length: count }, (_, i) => i),
        )
      },
    ),
    { numRuns: 150 },
  )
})

test('P7: a single moment of rejection buries nothing', async () => {
  let calls = 0
  const sink = sinkOf(() => (++calls === 1 ? { result: 'rejected', detail: '400' } : accepted))
  const { poisoned } = await run(deliveryTo(sink), eventsOf(1))
  assert.deepEqual(poisoned, [])
})

test('P7: an event without a form is buried once its stub has arrived', async () => {
  const [first, bare, last] = eventsOf(3)
  const sink = sinkOf(() => accepted)
  const stubbed = { ...bare!, body: Buffer.from('stub'), unencodable: 'no form' }
  const { poisoned } = await run(deliveryTo(sink), [first!, stubbed, last!])
  assert.deepEqual(poisoned, [1])
  assert.equal(sink.calls, 1)
})

test('P7: a batch that waited long is given back to be encoded again: its age may matter', async () => {
  let now = 0
  const sink = sinkOf(() => ({ result: 'retry', detail: 'down' }))
  const delivery = deliveryTo(sink, { now: () => now, slept: () => (now += 60_000) })
  assert.equal((await run(delivery, eventsOf(3))).end, 'stale')
  assert.ok(now > defaultRetry.staleMs)
})

test('P12: waits stay within their bounds, whatever a far end asks for', () => {
  fc.assert(
    fc.property(
      fc.nat(2000),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.nat()),
      (attempt, random, asked) => {
        const wait = retryDelay(
          attempt,
          defaultRetry,
          asked === null ? { random } : { random, afterMs: asked },
        )
        assert.ok(wait >= 0 && wait <= defaultRetry.maxAskedMs + defaultRetry.baseMs)
        if (asked !== null) assert.ok(wait >= Math.min(asked, defaultRetry.maxAskedMs))
      },
    ),
  )
})

test('what a far end asks to wait: seconds, a date, or nothing that makes sense', () => {
  const now = Date.parse('2026-11-21T07:00:00Z')
  const cases: [Record<string, string | string[]>, number | undefined][] = [
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 07:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 06:00:00 GMT' }, 0],
    [{ 'x-ratelimit-reset': '9' }, 9000],
    [{ 'x-ratelimit-reset': '-9' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': ['1', '2'] }, undefined],
    [{ 'retry-after': '9'.repeat(500) }, undefined],
    [{}, undefined],
  ]
  for (const [headers, expected] of cases)
    assert.equal(retryAfter(headers, now), expected, JSON.stringify(headers))
})
