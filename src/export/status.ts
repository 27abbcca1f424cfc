import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { Follower } from './follower.ts'
import type { LastComparison, SinkState } from './meter.ts'
import type { SendResult } from './sink.ts'

/** How one sink is doing. Counts are since the process started; the cursor is for ever. */
export interface SinkStatus {
  readonly name: string
  readonly type: string
  readonly state: SinkState
  /** Every entry below it is settled at the far end. */
  readonly cursor: number
  /** Entries in the log. */
  readonly head: number
  /** `seconds`: age of the oldest entry that the far end has not acknowledged. */
  readonly lag: { readonly entries: number; readonly seconds: number }
  readonly last_error?: { readonly at: string; readonly detail: string }
  readonly last_success_at?: string
  /** Of what the far end holds with the log. */
  readonly compared?: LastComparison
  readonly counts: {
    readonly sent: number
    readonly skipped: number
    readonly retried: number
    readonly dead_lettered: number
    readonly batches: Readonly<Record<SendResult['result'], number>>
  }
}

export function statusOf(follower: Follower, head: number, clock: Clock): SinkStatus {
  const { meter, sink, cursor } = follower
  const { lastComparison, lastError, lastSuccessAt, oldestUnacked } = meter
  const entries = Math.max(0, head - cursor)
  const seconds =
    entries === 0 || oldestUnacked === undefined ? 0 : Math.max(0, (clock.now() - oldestUnacked) / 1000)
  return {
    name: sink.name,
    type: sink.type,
    state: meter.state,
    cursor,
    head,
    lag: { entries, seconds },
    ...(lastError === undefined
      ? {}
      : { last_error: { at: new Date(lastError.at).toISOString(), detail: lastError.detail } }),
    ...(lastSuccessAt === undefined ? {} : { last_success_at: new Date(lastSuccessAt).toISOString() }),
    ...(lastComparison === undefined ? {} : { compared: lastComparison }),
    counts: {
      sent: meter.sent,
      skipped: meter.skipped,
      retried: meter.retried,
      dead_lettered: meter.deadLettered,
      batches: { ...meter.batches },
    },
  }
}

const states: readonly SinkState[] = ['running', 'retrying', 'holding', 'stopped']

/** Publishes `status` as Prometheus metrics, read at each scrape. Returns how to take them away again. */
export function publishMetrics(registry: Registry, status: () => readonly SinkStatus[]): () => void {
  const gauge = (name: string, help: string, value: (each: SinkStatus) => number) => {
    const metric = new Gauge({
      name,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        for (const each of status()) this.set({ sink: each.name }, value(each))
      },
    })
    return { name, metric }
  }
  const counter = (name: string, help: string, values: (each: SinkStatus) => Record<string, number>) => {
    const metric = new Counter({
      name,
      help,
      labelNames: ['sink', 'result'],
      registers: [registry],
      collect() {
        this.reset()
        for (const each of status()) {
          for (const [result, count] of Object.entries(values(each)))
            this.inc({ sink: each.name, result }, count)
        }
      },
    })
    return { name, metric }
  }
  const metrics = [
    gauge('sallyport_export_cursor', 'Entries below this are settled at the sink', each => each.cursor),
    gauge('sallyport_export_head', 'Entries in the log', each => each.head),
    gauge('sallyport_export_lag_entries', 'Entries not yet acknowledged', each => each.lag.entries),
    gauge(
      'sallyport_export_oldest_unacked_seconds',
      'Age of the oldest entry not yet acknowledged; at 18 hours Datadog loses what comes later',
      each => each.lag.seconds,
    ),
    stateGauge(registry, status),
    counter('sallyport_export_events_total', 'Entries by what became of them', ({ counts }) => ({
      sent: counts.sent,
      skipped: counts.skipped,
      dead_lettered: counts.dead_lettered,
    })),
    counter(
      'sallyport_export_batches_total',
      'Calls to the sink by their result',
      ({ counts }) => counts.batches,
    ),
  ]
  return () => {
    for (const metric of metrics) registry.removeSingleMetric(metric.name)
  }
}

function stateGauge(registry: Registry, status: () => readonly SinkStatus[]) {
  const name = 'sallyport_export_state'
  const metric = new Gauge({
    name,
    help: 'Which state the sink is in: 1 for that state, 0 for the others',
    labelNames: ['sink', 'state'],
    registers: [registry],
    collect() {
      for (const each of status()) {
        for (const state of states) this.set({ sink: each.name, state }, each.state === state ? 1 : 0)
      }
    },
  })
  return { name, metric }
}
