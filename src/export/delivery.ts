import type { Clock } from '../clock.ts'
import { type RetryPolicy, retryDelay, type Timing } from './backoff.ts'
import type { SinkMeter } from './meter.ts'
import type { LogRecord } from './record.ts'
import type { SendResult, Sink, SinkEvent } from './sink.ts'

/** What the owner of a batch is told, in order. Each call is awaited before anything else is sent. */
export interface Settlement {
  /** A stub stands at the far end in place of this entry. Called before `settled` covers it. */
  poisoned(record: LogRecord, reason: string): Promise<void>
  /** Every entry of this batch up to and including this one is settled: accepted, or replaced by a stub. */
  settled(last: LogRecord): Promise<void>
}

/** Told when shipping waits for a person, and when it flows again. */
export interface HoldListener {
  held(detail: string): Promise<void>
  resumed(): Promise<void>
}

/** `done`: all is settled. `stopped`: the signal fired. `stale`: encode again what is not settled. */
export type DeliveryEnd = 'done' | 'stopped' | 'stale'

type Definite = Extract<SendResult, { result: 'accepted' | 'too-large' | 'rejected' }>

export interface DeliveryParts {
  readonly sink: Sink
  readonly meter: SinkMeter
  readonly clock: Clock
  readonly timing: Timing
  readonly retry: RetryPolicy
  readonly holds: HoldListener
}

/**
 * Takes batches to a sink until every event is settled: retries for ever, bisects what is rejected down to the one
 * event that is the cause, and holds where a person has to act. One batch at a time, in order.
 */
export class Delivery {
  readonly #parts: DeliveryParts
  #holding = false

  constructor(parts: DeliveryParts) {
    this.#parts = parts
  }

  async deliver(
    events: readonly SinkEvent[],
    settlement: Settlement,
    signal: AbortSignal,
  ): Promise<DeliveryEnd> {
    const deadline = this.#parts.clock.now() + this.#parts.retry.staleMs
    // The parts still to send, the first in order last: a contiguous prefix settles first, so a crash repeats little.
    const rest: [from: number, to: number][] = [[0, events.length]]
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      const [from, to] = part
      const sent = await this.#send(events.slice(from, to), deadline, signal)
      if (sent === 'stopped' || sent === 'stale') return sent
      if (sent.result === 'accepted') {
        for (const { record, unencodable } of events.slice(from, to)) {
          if (unencodable !== undefined) await settlement.poisoned(record, unencodable)
        }
        await settlement.settled(events[to - 1]!.record)
      } else if (to - from > 1) {
        const middle = (from + to) >> 1
        rest.push([middle, to], [from, middle])
      } else {
        const end = await this.#replace(events[from]!, sent.detail, { settlement, deadline, signal })
        if (end === 'again') rest.push(part)
        else if (end !== 'done') return end
      }
    }
    return 'done'
  }

  /**
   * An event is given up only when the far end takes a stub in its place and, right after that, rejects the event once
   * more. One that rejects the stub too rejects everything (a proxy's error page, a wrong address), and one that now
   * takes the event had a bad moment: dead-lettering would be the wrong answer to both.
   */
  async #replace(
    event: SinkEvent,
    reason: string,
    run: { settlement: Settlement; deadline: number; signal: AbortSignal },
  ): Promise<DeliveryEnd | 'again'> {
    const { settlement, deadline, signal } = run
    const { record } = event
    const stub = { record, body: this.#parts.sink.stub(record, reason) }
    const control = await this.#send([stub], deadline, signal)
    if (control === 'stopped' || control === 'stale') return control
    if (control.result !== 'accepted') {
      await this.#hold(`everything is rejected, even a stub: ${control.detail}`, signal)
      return signal.aborted ? 'stopped' : this.#isStale(deadline) ? 'stale' : 'again'
    }
    const second = await this.#send([event], deadline, signal)
    if (second === 'stopped' || second === 'stale') return second
    if (second.result !== 'accepted') await settlement.poisoned(record, second.detail)
    else if (event.unencodable !== undefined) await settlement.poisoned(record, event.unencodable)
    await settlement.settled(record)
    return 'done'
  }

  /** Sends until the answer is definite. */
  async #send(
    batch: readonly SinkEvent[],
    deadline: number,
    signal: AbortSignal,
  ): Promise<Definite | 'stopped' | 'stale'> {
    const { sink, meter, timing, retry } = this.#parts
    for (let attempt = 0; ; attempt++) {
      if (signal.aborted) return 'stopped'
      if (attempt > 0) {
        if (this.#isStale(deadline)) return 'stale'
        meter.retried++
      }
      const result = await sink.send(batch, signal)
      if (result.result !== 'accepted' && signal.aborted) return 'stopped'
      meter.record(result, batch.length)
      switch (result.result) {
        case 'accepted':
          await this.#release()
          return result
        case 'too-large':
        case 'rejected':
          return result
        case 'refused':
          await this.#hold(result.detail, signal)
          break
        case 'retry': {
          if (!this.#holding) meter.state = 'retrying'
          const { afterMs } = result
          const given = { random: timing.random(), ...(afterMs === undefined ? {} : { afterMs }) }
          await timing.sleep(retryDelay(attempt, retry, given), signal)
        }
      }
    }
  }

  #isStale(deadline: number): boolean {
    return this.#parts.clock.now() > deadline
  }

  async #hold(detail: string, signal: AbortSignal): Promise<void> {
    const { meter, holds, timing, retry } = this.#parts
    meter.state = 'holding'
    meter.fault(detail)
    if (!this.#holding) {
      this.#holding = true
      await holds.held(detail)
    }
    await timing.sleep(retry.holdMs * (1 + timing.random() / 10), signal)
  }

  async #release(): Promise<void> {
    this.#parts.meter.state = 'running'
    if (!this.#holding) return
    this.#holding = false
    await this.#parts.holds.resumed()
  }
}
