import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parquetReadObjects } from 'hyparquet'
import { AwsClient } from 'aws4fetch'
import { recordOf, samples } from '../testing/samples.ts'
import { createS3Sink } from './index.ts'
import { contentOf, objectsOf } from './object.ts'

const require = createRequire(import.meta.url)

interface Server {
  run(): Promise<{ readonly port: number }>
  close(): Promise<void>
}
const S3rver = require('s3rver') as new (options: object) => Server

function sinkAt(port: number, format: 'ndjson' | 'parquet', secret = 'S3RVER') {
  return createS3Sink({
    name: 'lake',
    bucketUrl: `http://127.0.0.1:${port}/audit`,
    region: 'us-east-1',
    prefix: 'prod/',
    format,
    accessKeyId: () => 'S3RVER',
    secretAccessKey: () => secret,
    sessionToken: undefined,
    timeoutMs: 10_000,
    maxEvents: 1000,
    maxBytes: 1_000_000,
  })
}

const records = [
  recordOf({ ...samples['action.completed'], kind: 'action.completed' }, 7),
  recordOf({ kind: 'heartbeat' }, 8),
  recordOf({ kind: 'heartbeat', time: '2026-11-21T08:00:00.000001Z' }, 9),
]
const { signal } = new AbortController()

test('another implementation of the store gives back objects by log, day, hour and range', async () => {
  const server = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory: mkdtempSync(join(tmpdir(), 'sallyport-s3-')),
    configureBuckets: [{ name: 'audit' }],
  })
  const { port } = await server.run()
  try {
    for (const format of ['ndjson', 'parquet'] as const) {
      const sink = sinkAt(port, format)
      const batch = records.map(record => ({
        record,
        body: sink.encode(record, { now: 0, backfill: false }),
      }))
      assert.deepEqual(await sink.send(batch, signal), { result: 'accepted' })
      await sink.close()
    }
    const client = new AwsClient({ accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', service: 's3' })
    const listed = await (await client.fetch(`http://127.0.0.1:${port}/audit?list-type=2`)).text()
    const keys = [...listed.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key!)
    const at = 'prod/log=gateway.example.com_test/dt=2026-11-21/hour='
    const named = keys.map(key => key.replace(/-[0-9a-f]{16}\./, '.'))
    assert.deepEqual(named.toSorted(), [
      `${at}07/0000000000000007-0000000000000008.ndjson.gz`,
      `${at}07/0000000000000007-0000000000000008.parquet`,
      `${at}08/0000000000000009-0000000000000009.ndjson.gz`,
      `${at}08/0000000000000009-0000000000000009.parquet`,
    ])
  } finally {
    await server.close()
  }
})

test('a Parquet object has columns for the usual questions and the exact bytes of the log', async () => {
  const [object] = objectsOf(
    records.slice(0, 2).map(record => ({ record, body: record.bytes })),
    'parquet',
  )
  const bytes = await contentOf(object!)
  const rows = await parquetReadObjects({ file: new Uint8Array(bytes).buffer })
  assert.equal(rows.length, 2)
  const [first, second] = rows
  assert.equal(first!['seq'], 7n)
  assert.equal(first!['connection'], 'datadog-prod')
  assert.equal(first!['leaf_hash'], records[0]!.leafHash)
  assert.equal(first!['duration'], 184_000_000n)
  assert.deepEqual(first!['time'], new Date('2026-11-21T07:00:00.123Z'))
  assert.equal(first!['entry'], records[0]!.bytes.toString())
  assert.equal(second!['connection'] ?? undefined, undefined)
})

test('a stub has an object of its own, under a name that the entry does not take', () => {
  const sink = sinkAt(1, 'parquet')
  const events = records.map((record, i) => ({
    record,
    body: i === 1 ? sink.stub(record, 'why') : record.bytes,
  }))
  const names = objectsOf(events, 'parquet').map(({ key }) =>
    key
      .split('/')
      .at(-1)!
      .replace(/-[0-9a-f]{16}\./, '.'),
  )
  assert.deepEqual(names, [
    '0000000000000007-0000000000000007.parquet',
    '0000000000000008-0000000000000008.stub.ndjson.gz',
    '0000000000000009-0000000000000009.parquet',
  ])
})
