/** Calls of the sink before a store that verifies each as Amazon S3 does; s3rver takes any signature. */
import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { test } from 'node:test'
import {
  type S3Receiver,
  type S3ReceiverOptions,
  startS3Receiver,
} from '../../../practice/receivers/s3-receiver.ts'
import { recordOf } from '../testing/samples.ts'
import { createS3Sink, type S3SinkOptions } from './index.ts'

const identity = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEBYaDE+/=token==',
}
const { signal } = new AbortController()
const records = [recordOf({ kind: 'heartbeat' }, 7), recordOf({ kind: 'heartbeat', text: 'ünï' }, 8)]

interface Case {
  readonly receiver?: Partial<S3ReceiverOptions>
  readonly sink?: Partial<S3SinkOptions>
}

function sinkOf(store: S3Receiver, here: Case['sink'] = {}) {
  return createS3Sink({
    name: 'lake',
    bucketUrl: `${store.http.url}audit`,
    region: 'eu-west-1',
    prefix: 'prod/a_b.c-d/',
    format: 'ndjson',
    accessKeyId: () => identity.accessKeyId,
    secretAccessKey: () => identity.secretAccessKey,
    sessionToken: () => identity.sessionToken,
    timeoutMs: 10_000,
    maxEvents: 1000,
    maxBytes: 1_000_000,
    ...here,
  })
}

/** What became of one batch, sent twice. */
async function shipped({ receiver: there = {}, sink: here = {} }: Case = {}) {
  const store = await startS3Receiver({ identity, region: 'eu-west-1', bucket: 'audit', ...there })
  const sink = sinkOf(store, here)
  try {
    const batch = records.map(record => ({ record, body: sink.encode(record, { now: 0, backfill: false }) }))
    return { first: await sink.send(batch, signal), second: await sink.send(batch, signal), store }
  } finally {
    await sink.close()
    await store.http.close()
  }
}

test("a store that verifies Signature Version 4 takes the sink's objects, and each once", async () => {
  const { first, second, store } = await shipped()
  assert.deepEqual([first, second], [{ result: 'accepted' }, { result: 'accepted' }])
  assert.deepEqual(store.errors, ['PreconditionFailed'])
  const [[key, body] = assert.fail('nothing is stored')] = store.objects
  assert.match(
    key,
    /^prod\/a_b\.c-d\/log=gateway\.example\.com_test\/dt=2026-11-21\/hour=07\/0000000000000007-0000000000000008-[0-9a-f]{16}\.ndjson\.gz$/,
  )
  assert.equal(gunzipSync(body).toString(), records.map(({ bytes }) => `${bytes.toString()}\n`).join(''))
})

test('and without a session token', async () => {
  const { sessionToken: _, ...lasting } = identity
  const { first } = await shipped({ receiver: { identity: lasting }, sink: { sessionToken: undefined } })
  assert.deepEqual(first, { result: 'accepted' })
})

const minutes = 60_000
const waiting: Readonly<Record<string, Case & { readonly detail: string }>> = {
  'a clock of ours that is an hour off': {
    receiver: { now: () => Date.now() + 60 * minutes },
    detail: '403 RequestTimeTooSkewed',
  },
  'a wrong secret': { sink: { secretAccessKey: () => 'wrong' }, detail: '403 SignatureDoesNotMatch' },
  'an unknown key': { sink: { accessKeyId: () => 'AKIAOTHER' }, detail: '403 InvalidAccessKeyId' },
  'a session token that has ended': { sink: { sessionToken: () => 'old' }, detail: '400 InvalidToken' },
  'another region': { sink: { region: 'us-east-1' }, detail: '400 AuthorizationHeaderMalformed' },
  'a bucket that is not there': { receiver: { bucket: 'other' }, detail: '404 NoSuchBucket' },
}
for (const [name, { detail, ...of }] of Object.entries(waiting)) {
  test(`${name} waits for a person, is told by its code alone, and costs no entry`, async () => {
    const { first, store } = await shipped(of)
    assert.deepEqual(first, { result: 'refused', detail })
    assert.equal(store.objects.size, 0)
  })
}

test('a clock that is fourteen minutes off is borne with', async () => {
  const { first } = await shipped({ receiver: { now: () => Date.now() - 14 * minutes } })
  assert.deepEqual(first, { result: 'accepted' })
})

test('P7: another log under the same name never passes for what is there already', async () => {
  const store = await startS3Receiver({ identity, region: 'eu-west-1', bucket: 'audit' })
  const sink = sinkOf(store)
  try {
    for (const text of ['of the first log', 'of the one after a new start']) {
      const record = recordOf({ kind: 'heartbeat', text }, 0)
      const body = sink.encode(record, { now: 0, backfill: false })
      assert.deepEqual(await sink.send([{ record, body }], signal), { result: 'accepted' })
    }
    assert.equal(store.objects.size, 2)
  } finally {
    await sink.close()
    await store.http.close()
  }
})
