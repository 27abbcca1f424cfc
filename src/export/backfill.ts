import type { Clock } from '../clock.ts'
import type { RetryPolicy, Timing } from './backoff.ts'
import { type BatchSource, readBatch } from './batch.ts'
import { Delivery } from './delivery.ts'
import { SinkMeter } from './meter.ts'

export interface BackfillResult {
  /** Entries that the far end accepted, stubs included. */
  readonly sent: number
  /** Ids of entries for which only a stub was accepted; at most 1000 of them. */
  readonly stubs: readonly string[]
  /** Entries below this are done; less than `to` when it was stopped. */
  readonly next: number
}

const nothing = (): Promise<void> => Promise.resolve()

/** Sends a range again with the rules of delivery, but without cursor, dead letters and entries. */
export async function backfill(
  parts: {
    readonly source: BatchSource
    readonly clock: Clock
    readonly timing: Timing
    readonly retry: RetryPolicy
  },
  range: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<BackfillResult> {
  const { source, clock, timing, retry } = parts
  const meter = new SinkMeter(clock)
  const holds = { held: nothing, resumed: nothing }
  const delivery = new Delivery({ sink: source.sink, meter, clock, timing, retry, holds })
  const stubs: string[] = []
  let next = range.from
  const settlement = {
    settled: async (last: { readonly index: number }) => {
      next = last.index + 1
    },
    poisoned: async (record: { readonly id: string }) => {
      if (stubs.length < 1000) stubs.push(record.id)
    },
  }
  while (next < range.to && !signal.aborted) {
    const batch = await readBatch(
      source,
      { start: next, end: range.to },
      { now: clock.now(), backfill: true },
    )
    const end = batch.events.length === 0 ? 'done' : await delivery.deliver(batch.events, settlement, signal)
    if (end === 'done') next = batch.last.index + 1
  }
  return { sent: meter.sent, stubs, next }
}
