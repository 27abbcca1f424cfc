import { setImmediate as breathe } from 'node:timers/promises'
import type { LogStore } from '../storage/storage.ts'
import type { Filter } from './filter.ts'
import { LogRecord } from './record.ts'
import type { Encoding, Sink, SinkEvent } from './sink.ts'

/** Longest stretch of encoding before requests get their turn, milliseconds. */
const sliceMs = 1

/** What to read and how to see it. */
export interface BatchSource {
  readonly log: LogStore
  readonly origin: string
  readonly sink: Sink
  /** Undefined takes everything. */
  readonly wanted: Filter | undefined
  /**
   * Gives what the sink is shown of a record; undefined: all of it. Asked before each batch, since it needs a secret;
   * rejects where that can't be read, and then nothing is encoded.
   */
  readonly view?: () => Promise<((record: LogRecord) => LogRecord) | undefined>
}

/** Entries looked at for one batch of a sink that wants few of them, so that its cursor moves in strides. */
const scanned = 1000

export interface EncodedBatch {
  readonly events: readonly SinkEvent[]
  /** The last entry looked at: part of `events`, or left out by the filter. */
  readonly last: LogRecord
  readonly skipped: number
  /** When the first entry was written, milliseconds; undefined when that can't be told. */
  readonly oldest: number | undefined
  /** True where the given checkpoint is attached to an event. */
  readonly attached: boolean
}

/**
 * Reads and encodes entries from `start`, before `end`, up to what the sink takes at once. Memory is bounded by one
 * read of the log and one batch. An entry that can't be encoded becomes its stub. Throws where the log has nothing.
 */
export async function readBatch(
  source: BatchSource,
  range: { readonly start: number; readonly end: number },
  encoding: Encoding,
): Promise<EncodedBatch> {
  const { limits } = source.sink
  const most = source.wanted === undefined ? limits.maxEvents : Math.max(limits.maxEvents, scanned)
  const count = Math.min(most, range.end - range.start)
  const view = await source.view?.()
  const read = await source.log.read(range.start, count)
  const events: SinkEvent[] = []
  const { checkpoint: _, ...bare } = encoding
  let bytes = 0
  let skipped = 0
  let last: LogRecord | undefined
  let oldest: number | undefined
  let sliceEnd = performance.now() + sliceMs
  for (const [offset, entry] of read.slice(0, count).entries()) {
    if (performance.now() > sliceEnd) {
      await breathe()
      sliceEnd = performance.now() + sliceMs
    }
    const record = new LogRecord(source.origin, range.start + offset, entry)
    oldest ??= timeOf(record)
    if (source.wanted !== undefined && !isWanted(record, source.wanted)) {
      skipped++
    } else {
      if (events.length === limits.maxEvents) break
      const shown = view === undefined ? record : view(record)
      const event = encodeRecord(source.sink, shown, events.length === 0 ? encoding : bare)
      bytes += event.body.length + 1
      if (events.length > 0 && bytes > limits.maxBytes) break
      events.push(event)
    }
    last = record
  }
  if (last === undefined) throw new Error(`the log has no entry ${range.start}`)
  return { events, last, skipped, oldest, attached: events.length > 0 && encoding.checkpoint !== undefined }
}

/** One record in the sink's form, or its stub and why. */
export function encodeRecord(sink: Sink, record: LogRecord, encoding: Encoding): SinkEvent {
  let reason: string
  try {
    const body = sink.encode(record, encoding)
    if (body.length <= sink.limits.maxEventBytes) return { record, body }
    reason = `the event has ${body.length} bytes, over the ${sink.limits.maxEventBytes} that the sink takes`
  } catch (error) {
    reason = `the entry has no form here (${error instanceof Error ? error.name : 'unknown fault'})`
  }
  return { record, body: sink.stub(record, reason), unencodable: reason }
}

/** What can't be read is never filtered out: it must show up as a dead letter. */
export function isWanted(record: LogRecord, wanted: Filter): boolean {
  try {
    return wanted(record.entry)
  } catch {
    return true
  }
}

/** When the entry was written, milliseconds; undefined where that can't be told. */
export function timeOf(record: LogRecord): number | undefined {
  try {
    const time = Date.parse(record.entry.time)
    return Number.isNaN(time) ? undefined : time
  } catch {
    return undefined
  }
}
