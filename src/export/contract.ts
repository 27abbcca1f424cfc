/**
 * The suite that every sink passes, against a far end that behaves like a real network: what the log holds is what
 * the far end has, in order, after each fault (P7). A far end that can't fail in some way does not name that fault.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { systemClock } from '../clock.ts'
import { sinksSection } from '../config/sinks.ts'
import type { RetryPolicy, Timing } from './backoff.ts'
import { createExport, type Export } from './export.ts'
import type { Sink } from './sink.ts'
import { ShippedLog, ShippedState } from './testing/shipped-log.ts'

/** The ways in which a far end can be made to fail; each lasts until `mend`. */
export type Fault =
  /** Every call is cut before an answer; nothing is taken. */
  | 'down'
  /** Takes the batch and cuts the call before or after the answer's head. */
  | 'lost-answer'
  /** Takes the batch and ends its side of the connection without a word. */
  | 'half-closed'
  /** Takes the batch, sends the head of a success, and cuts the connection. */
  | 'reset-after-head'
  /** Three of four calls are turned away, for overload or fault. */
  | 'storm'
  /** Asks to be left alone. */
  | 'overloaded'
  /** Answers later than it is waited for. */
  | 'slow'
  /** Rejects every batch with an entry whose text contains `poison`. */
  | 'poison'
  /** Takes no batch of more than 10 events. */
  | 'small'
  /** Refuses the credential. */
  | 'refusing'

export interface FarEnd {
  /** Most events that one call brings, where it is fewer than 50. */
  readonly most?: number
  /** A sink to this far end, that waits for an answer long unless `slow` is wanted. Called at each start. */
  open(name: string): Sink
  /** Called before `open`. */
  fail(fault: Fault): Promise<void> | void
  mend(): Promise<void> | void
  /** Leaf index of everything that arrived, in order of arrival, stubs included. */
  arrived(): Promise<readonly number[]>
  close(): Promise<void>
}

/** Runs the suite, with these faults. `openFarEnd` makes a fresh far end for each test. */
export function testSink(kind: string, faults: readonly Fault[], openFarEnd: () => Promise<FarEnd>): void {
  const on: On = (title, run, needs) => {
    if (needs !== undefined && !faults.includes(needs)) return
    void test(`P7: ${kind}: ${title}`, async () => {
      const far = await openFarEnd()
      const at = new Bench(far)
      try {
        await run(at)
      } finally {
        await at.stop()
        await far.close()
      }
    })
  }

  on('everything arrives, in order, and more as it is written', async at => {
    await at.log.grow(2100)
    at.start()
    await at.settled()
    for (let i = 0; i < 5; i++) await at.log.grow(3)
    await at.settled()
    await at.assertSame()
    assert.equal((await at.far.arrived()).length, at.log.size, 'nothing was repeated')
  })

  const passing = [
    'down',
    'lost-answer',
    'half-closed',
    'reset-after-head',
    'storm',
    'overloaded',
    'slow',
    'small',
  ]
  for (const fault of passing as readonly Fault[]) {
    on(`${fault}, then mended`, at => at.survives(fault), fault)
  }

  testWaiting(on)
  testRestarts(on)
}

type On = (title: string, run: (at: Bench) => Promise<void>, needs?: Fault) => void

/** What needs a person, or leaves something behind for one. */
function testWaiting(on: On): void {
  on(
    'a poison record becomes a stub and a dead letter, and goes when it is sent again',
    async at => {
      await at.log.grow(137)
      const poison = await at.log.write('action.completed', { operation: 'poison' })
      await at.log.grow(60)
      await at.far.fail('poison')
      at.start()
      await at.settled()
      await at.assertSame()
      assert.deepEqual(
        (await at.shipping.deadLetters.list('far')).letters.map(({ index }) => index),
        [poison],
      )
      await at.far.mend()
      assert.deepEqual(await at.shipping.deadLetters.resend('far', poison), { accepted: true })
      assert.deepEqual((await at.shipping.deadLetters.list('far')).letters, [])
    },
    'poison',
  )

  on(
    'a refused credential holds, is told in the log, and loses nothing',
    async at => {
      await at.log.grow(30)
      await at.far.fail('refusing')
      at.start()
      await at.until(() => at.shipping.status()[0]!.state === 'holding')
      await at.far.mend()
      await at.settled()
      await at.assertSame()
      const told = at.log.notes.map(({ kind: note }) => note)
      assert.deepEqual(told, ['export.held', 'export.resumed'])
    },
    'refusing',
  )
}

function testRestarts(on: On): void {
  on('stopped at any moment and started again, nothing is missing', async at => {
    for (let round = 0; round < 6; round++) {
      await at.log.grow(400)
      at.start()
      await new Promise(resolve => setTimeout(resolve, round * 2))
      await at.stop(0)
    }
    at.start()
    await at.settled()
    await at.assertSame()
  })

  on('killed between sending and noting it, entries are repeated and never lost', async at => {
    await at.log.grow(50)
    at.state.beforePut = space => {
      if (space === 'export-cursor') throw new Error('the process is as good as dead')
    }
    at.start()
    const most = at.far.most ?? 50
    while ((await at.far.arrived()).length < most) await new Promise(resolve => setTimeout(resolve, 1))
    await at.stop(0)
    at.state.beforePut = () => undefined
    at.start()
    await at.settled()
    await at.assertSame()
    assert.equal((await at.far.arrived()).length, 50 + most)
  })

  on('a backfill sends its range again and moves no cursor', async at => {
    await at.log.grow(1500)
    at.start()
    await at.settled()
    const before = (await at.far.arrived()).length
    const done = await at.shipping.backfill('far', { from: 100, to: 1300 })
    assert.deepEqual(done, { sent: 1200, stubs: [], next: 1300 })
    const again = (await at.far.arrived()).slice(before)
    assert.deepEqual(
      again,
      Array.from({ length: 1200 }, (_, i) => 100 + i),
    )
    assert.equal(at.shipping.status()[0]!.cursor, 1500)
  })
}

const retry: RetryPolicy = { baseMs: 1, capMs: 4, maxAskedMs: 4, holdMs: 4, staleMs: 600_000 }

/** A gateway's worth of export around one far end; the log and the state outlive its starts. */
class Bench {
  readonly log = new ShippedLog()
  readonly state = new ShippedState()
  readonly far: FarEnd
  #shipping: Export | undefined

  constructor(far: FarEnd) {
    this.far = far
  }

  get shipping(): Export {
    if (this.#shipping === undefined) throw new Error('not started')
    return this.#shipping
  }

  start(timing?: Timing): void {
    const { log, state, far } = this
    this.#shipping = createExport({
      log,
      audit: log,
      state,
      sinks: sinksSection.parse([{ name: 'far', type: 'stdout' }]),
      clock: systemClock,
      registry: new Registry(),
      version: '0.1.0',
      secret: () => ({ read: () => '' }),
      resolvePath: path => path,
      create: config => far.open(config.name),
      retry,
      pollMs: 5,
      ...(timing === undefined ? {} : { timing }),
    })
    this.#shipping.start()
  }

  async stop(graceMs = 0): Promise<void> {
    await this.#shipping?.stop(graceMs)
    this.#shipping = undefined
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise(resolve => setTimeout(resolve, 1))
  }

  settled(): Promise<void> {
    return this.until(() => this.shipping.status()[0]!.cursor >= this.log.size)
  }

  async survives(fault: Fault): Promise<void> {
    await this.log.grow(300)
    await this.far.fail(fault)
    this.start()
    // A far end that only loses answers may still have taken everything at the first call.
    await this.until(() => {
      const { cursor, counts } = this.shipping.status()[0]!
      return counts.batches.retry + counts.batches['too-large'] >= 3 || cursor === this.log.size
    })
    await this.log.grow(50)
    await this.far.mend()
    await this.settled()
    await this.assertSame()
    assert.equal(this.shipping.status()[0]!.state, 'running')
    assert.deepEqual(this.log.notes, [], 'a passing fault is no entry')
  }

  /** What arrived is the log: the same set, and each entry's first arrival in the log's order. */
  async assertSame(): Promise<void> {
    const arrived = await this.far.arrived()
    assert.deepEqual(
      [...new Set(arrived)],
      Array.from({ length: this.log.size }, (_, i) => i),
    )
  }
}
