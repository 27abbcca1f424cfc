/** What goes into one object, and under which name. */
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { ColumnSource, SchemaElement } from 'hyparquet-writer'
import type { Entry } from '../../audit/events.ts'
import type { SinkEvent } from '../sink.ts'

const compress = promisify(gzip)

export type ObjectFormat = 'ndjson' | 'parquet'

export interface StoredObject {
  /** Below the prefix, its segments already fit for a path. */
  readonly key: string
  readonly contentType: string
  readonly events: readonly SinkEvent[]
}

/**
 * Divides a batch by the hour its entries were written in, so that a query over a partition sees all of it, and names
 * each object by the range of the log that it holds and by what they are: the same entries have the same name, whoever
 * sends them again, and another log's never have.
 * A stub has a name of its own, since the entry may still come.
 */
export function objectsOf(batch: readonly SinkEvent[], format: ObjectFormat): StoredObject[] {
  const groups: SinkEvent[][] = []
  let current: string | undefined
  for (const event of batch) {
    const hour = `${hourOf(event)}${isStub(event) ? '/stub' : ''}`
    if (hour !== current || isStub(event)) groups.push([])
    current = hour
    groups.at(-1)!.push(event)
  }
  return groups.map(events => {
    const [first, last] = [events[0]!.record, events.at(-1)!.record]
    const [date, hour] = hourOf(events[0]!).split('T')
    const range = `${padded(first.index)}-${padded(last.index)}-${hashOf(events)}`
    // A stub is a line of JSON whatever the format: it has none of the columns.
    const stub = isStub(events[0]!)
    const end = stub ? 'stub.ndjson.gz' : format === 'parquet' ? 'parquet' : 'ndjson.gz'
    return {
      key: `log=${safe(first.origin)}/dt=${date}/hour=${hour}/${range}.${end}`,
      contentType: end === 'parquet' ? 'application/vnd.apache.parquet' : 'application/gzip',
      events,
    }
  })
}

export async function contentOf({ events, key }: StoredObject): Promise<Buffer> {
  if (!key.endsWith('.parquet')) {
    const lines = events.flatMap(({ body }) => [body, newline])
    return await compress(Buffer.concat(lines), { level: 6 })
  }
  // Loaded when it is needed: most gateways write no Parquet.
  const { parquetWriteBuffer, schemaFromColumnData } = await import('hyparquet-writer')
  const columnData = columnsOf(events)
  const schema = schemaFromColumnData({ columnData, schemaOverrides: { time: microseconds } })
  return Buffer.from(
    parquetWriteBuffer({ columnData: columnData.map(({ name, data }) => ({ name, data })), schema }),
  )
}

const newline = Buffer.from('\n')

export const stubMark = Buffer.from('{"stub":true,')

function isStub({ body }: SinkEvent): boolean {
  return body.subarray(0, stubMark.length).equals(stubMark)
}

/** `YYYY-MM-DDTHH`; a time that can't be read has a partition of its own. */
function hourOf({ record }: SinkEvent): string {
  try {
    const found = /^(\d{4}-\d{2}-\d{2}T\d{2}):/.exec(record.entry.time)?.[1]
    return found ?? '0000-00-00T00'
  } catch {
    return '0000-00-00T00'
  }
}

/** Names sort as numbers do. */
function padded(index: number): string {
  return String(index).padStart(16, '0')
}

/** Tells apart what has the same numbers: a log begun anew under its name, or two whose names look alike in a path. */
function hashOf(events: readonly SinkEvent[]): string {
  const hash = createHash('sha256')
  for (const { record } of events) hash.update(record.origin).update(record.leafHash)
  return hash.digest('hex').slice(0, 16)
}

function safe(origin: string): string {
  return origin.replaceAll(/[^\w.-]/g, '_')
}

type Read = (entry: Entry, event: SinkEvent) => unknown

/** Columns that most questions are about; `entry` holds the exact bytes, and with them everything else. */
const texts: Readonly<Record<string, Read>> = {
  id: (_, { record }) => record.id,
  leaf_hash: (_, { record }) => record.leafHash,
  kind: entry => entry.kind,
  session: entry => entry.session,
  action: entry => entry.action,
  subject_id: entry => entry.subject?.id,
  subject_kind: entry => entry.subject?.kind,
  subject_issuer: entry => entry.subject?.issuer,
  subject_email: entry => entry.subject?.email,
  on_behalf_of: entry => entry.subject?.on_behalf_of?.id,
  client_ip: entry => entry.client?.ip,
  connection: entry => entry.connection?.name,
  protocol: entry => entry.connection?.protocol,
  sensitivity: entry => entry.connection?.sensitivity,
  operation: entry => entry.operation,
  risk: entry => entry.risk,
  resource: entry => entry.resource,
  outcome: entry => entry.outcome,
  decision: entry => entry.decision?.effect,
  rule: entry => entry.decision?.rule,
  reason: entry => entry.decision?.reason,
  error: entry => entry.error?.code,
}

const numbers: Readonly<Record<string, Read>> = {
  duration: entry => entry.duration,
  bytes_in: entry => entry.bytes_in,
  bytes_out: entry => entry.bytes_out,
  masked: entry => entry.masked?.count,
}

function columnsOf(events: readonly SinkEvent[]): ColumnSource[] {
  // From the body, which is what the sink may be shown; a record that has no entry never gets here.
  const rows = events.map(event => ({ event, entry: JSON.parse(event.body.toString('utf8')) as Entry }))
  const column = (read: Read, fits: (value: unknown) => unknown) =>
    rows.map(({ entry, event }) => fits(read(entry, event)) ?? null)
  return [
    {
      name: 'seq',
      type: 'INT64',
      data: rows.map(({ event }) => BigInt(event.record.index)),
      nullable: false,
    },
    { name: 'time', data: column(entry => entry.time, microsOf) },
    ...Object.entries(texts).map(([name, read]) => ({
      name,
      type: 'STRING' as const,
      data: column(read, textOf),
      nullable: true,
    })),
    ...Object.entries(numbers).map(([name, read]) => ({
      name,
      type: 'INT64' as const,
      data: column(read, integerOf),
      nullable: true,
    })),
    {
      name: 'entry',
      type: 'STRING',
      data: rows.map(({ event }) => event.body.toString('utf8')),
      nullable: false,
    },
  ]
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function integerOf(value: unknown): bigint | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined
}

/** The writer's own type for times has milliseconds. */
const microseconds: SchemaElement = {
  name: 'time',
  type: 'INT64',
  converted_type: 'TIMESTAMP_MICROS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  repetition_type: 'OPTIONAL',
}

/** Microseconds since the epoch; undefined for what is no time. */
function microsOf(value: unknown): bigint | undefined {
  const [, start, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{1,6})Z$/.exec(String(value)) ?? []
  const ms = Date.parse(`${start}Z`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, '0'))
}
