/**
 * The lake read by DuckDB, which shares no code with what writes it: types, times, absent values, compression, and the
 * partitions as it finds them by itself.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { LogRecord } from '../record.ts'
import { recordOf, samples, variants } from '../testing/samples.ts'
import { contentOf, objectsOf } from './object.ts'

const every = [
  ...Object.entries(samples).map(([kind, sample]) => ({ ...sample, kind })),
  ...Object.values(variants),
  { kind: 'heartbeat', note: 'ünï "\\ \u0000 🛡' },
  { kind: 'action.completed', duration: Number.MAX_SAFE_INTEGER, bytes_in: 0, subject: 'of no known form' },
]
/** Thirty to an hour, and so over days too. */
const records = every.map((each, i) => {
  const hour = 20 + Math.floor(i / 30)
  const time = `2026-11-${21 + Math.floor(hour / 24)}T${String(hour % 24).padStart(2, '0')}:00:00.${String(i).padStart(6, '0')}Z`
  return recordOf({ time, ...each }, i)
})

let directory: string
let instance: DuckDBInstance
let connection: DuckDBConnection

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-lake-'))
  const events = records.map(record => ({ record, body: record.bytes }))
  for (const object of objectsOf(events, 'parquet')) {
    const file = join(directory, object.key)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, await contentOf(object))
  }
  const closed = { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' }
  instance = await DuckDBInstance.create(':memory:', closed)
  connection = await instance.connect()
  await connection.run("set timezone = 'UTC'")
  await connection.run(
    `create view lake as from read_parquet('${directory}/**/*.parquet', hive_partitioning = true)`,
  )
})

after(async () => {
  connection.closeSync()
  instance.closeSync()
  await rm(directory, { recursive: true, force: true })
})

async function ask(sql: string): Promise<Record<string, unknown>[]> {
  return (await connection.runAndReadAll(sql)).getRowObjectsJson()
}

function column(rows: readonly Record<string, unknown>[], name: string): unknown[] {
  return rows.map(row => row[name])
}

test('every entry is a row, with its exact bytes', async () => {
  const rows = await ask('select seq, leaf_hash, entry from lake order by seq')
  assert.deepEqual(
    rows,
    records.map(({ index, leafHash, bytes }) => ({
      seq: String(index),
      leaf_hash: leafHash,
      entry: bytes.toString(),
    })),
  )
})

test('each column has the type that a reader expects', async () => {
  const rows = await ask('describe lake')
  const types = Object.fromEntries(rows.map(row => [row['column_name'], row['column_type']]))
  const { seq, time, duration, bytes_in, masked, dt, hour, entry, ...texts } = types
  assert.deepEqual(
    { seq, time, duration, bytes_in, masked, dt, entry },
    {
      seq: 'BIGINT',
      time: 'TIMESTAMP WITH TIME ZONE',
      duration: 'BIGINT',
      bytes_in: 'BIGINT',
      masked: 'BIGINT',
      dt: 'DATE',
      entry: 'VARCHAR',
    },
  )
  assert.ok(hour === 'BIGINT' || hour === 'VARCHAR', String(hour))
  const { bytes_out, ...rest } = texts
  assert.equal(bytes_out, 'BIGINT')
  for (const [name, type] of Object.entries(rest)) assert.equal(type, 'VARCHAR', name)
})

test('times keep their microseconds', async () => {
  const rows = await ask('select epoch_us(time) as us from lake order by seq')
  const micros = ({ entry: { time } }: LogRecord) =>
    String(BigInt(Date.parse(time)) * 1000n + BigInt(time.slice(23, 26)))
  assert.deepEqual(column(rows, 'us'), records.map(micros))
})

test('what an entry does not say is null, and nothing else is', async () => {
  const rows = await ask(
    'select connection, subject_id, on_behalf_of, rule, outcome, duration, bytes_in, masked from lake order by seq',
  )
  const said = records.map(({ entry }) => ({
    connection: entry.connection?.name ?? null,
    subject_id: entry.subject?.id ?? null,
    on_behalf_of: entry.subject?.on_behalf_of?.id ?? null,
    rule: entry.decision?.rule ?? null,
    outcome: entry.outcome ?? null,
    duration: entry.duration === undefined ? null : String(entry.duration),
    bytes_in: entry.bytes_in === undefined ? null : String(entry.bytes_in),
    masked: entry.masked === undefined ? null : String(entry.masked.count),
  }))
  assert.deepEqual(rows, said)
})

test('what has no column of its own is found inside the entry', async () => {
  const [row] = await ask(
    "select count(*) as n from lake where entry->>'$.http.method' = 'DELETE' and connection = 'datadog-prod'",
  )
  const deletes = records.filter(({ bytes }) => bytes.includes('"method":"DELETE"'))
  assert.ok(deletes.length > 0)
  assert.equal(Number(row!['n']), deletes.length)
})

test('a partition holds the hour it is called after, and a query over it reads nothing else', async () => {
  const stray = await ask(
    "select seq from lake where (strftime(time, '%Y-%m-%d') <> dt::varchar or strftime(time, '%H')::int <> hour::int)",
  )
  assert.deepEqual(stray, [])
  const [row] = await ask(
    "select count(*) as n from lake where log = 'gateway.example.com_test' and dt = '2026-11-21' and hour::int = 21",
  )
  assert.equal(Number(row!['n']), 30)
  const plan = JSON.stringify(await ask("explain select seq from lake where dt = '2026-11-22'"))
  assert.match(plan, /Scanning Files|File Filters/)
})

test('every column is compressed, and its row groups say what they span', async () => {
  const rows = await ask(
    `select distinct compression from parquet_metadata('${directory}/**/*.parquet') where num_values > 0`,
  )
  assert.deepEqual(rows, [{ compression: 'SNAPPY' }])
  const [span] = await ask(
    `select min(stats_min_value::bigint) as low, max(stats_max_value::bigint) as high from parquet_metadata('${directory}/**/*.parquet') where path_in_schema = 'seq'`,
  )
  assert.deepEqual(span, { low: '0', high: String(records.length - 1) })
})
