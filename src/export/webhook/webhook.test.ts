import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { testSink } from '../contract.ts'
import type { LogRecord } from '../record.ts'
import type { Sink } from '../sink.ts'
import { startHttpFarEnd } from '../testing/http-far-end.ts'
import { recordOf } from '../testing/samples.ts'
import { createWebhookSink } from './index.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

interface Body {
  readonly type: string
  readonly data: { readonly entries: readonly { readonly seq: string }[] }
}

function entriesOf(body: Buffer): Body['data']['entries'] {
  return (JSON.parse(body.toString()) as Body).data.entries
}

function open(url: string, key = secret, timeoutMs = 10_000): Sink {
  return createWebhookSink({
    name: 'far',
    url,
    secret: () => key,
    version: '0.1.0',
    timeoutMs,
    maxEvents: 500,
    maxBytes: 1_000_000,
  })
}

const faults = ['down', 'lost-answer', 'overloaded', 'slow', 'poison', 'small', 'refusing'] as const

testSink('webhook', faults, async () => {
  const far = await startHttpFarEnd(body => entriesOf(body).length)
  return {
    open: () => open(far.url, secret, far.fault === 'slow' ? 250 : 10_000),
    fail: fault => void (far.fault = fault),
    mend: () => void (far.fault = undefined),
    arrived: async () => far.taken.flatMap(({ body }) => entriesOf(body).map(({ seq }) => Number(seq))),
    close: () => far.close(),
  }
})

function batchOf(sink: Sink, records: readonly LogRecord[]) {
  return records.map(record => ({ record, body: sink.encode(record, { now: 0, backfill: false }) }))
}

test('a delivery is signed as Standard Webhooks say, and carries the exact bytes of the log', async () => {
  const far = await startHttpFarEnd(() => 0)
  const sink = open(far.url)
  try {
    const records = [recordOf({ kind: 'heartbeat', text: 'ünï 1e3' }, 4), recordOf({ kind: 'heartbeat' }, 5)]
    const batch = batchOf(sink, records)
    const { signal } = new AbortController()
    assert.deepEqual(await sink.send(batch, signal), { result: 'accepted' })
    assert.deepEqual(await sink.send(batch, signal), { result: 'accepted' })
    const [first, second] = far.taken
    const { headers, body } = first!
    const id = String(headers['webhook-id'])
    const timestamp = String(headers['webhook-timestamp'])
    const expected = createHmac('sha256', Buffer.alloc(32, 7)).update(`${id}.${timestamp}.`).update(body)
    assert.equal(headers['webhook-signature'], `v1,${expected.digest('base64')}`)
    assert.equal(second!.headers['webhook-id'], id, 'a repeated delivery has the same id')
    assert.ok(records.every(({ bytes }) => body.includes(bytes)))
    assert.equal((JSON.parse(body.toString()) as Body).type, 'sallyport.entries')
  } finally {
    await sink.close()
    await far.close()
  }
})

test("the specification's own library takes a delivery as it came, and not a changed one", async () => {
  const far = await startHttpFarEnd(() => 0)
  const sink = open(far.url)
  try {
    const batch = batchOf(sink, [recordOf({ kind: 'heartbeat', text: 'ünï 🛡' }, 4)])
    assert.deepEqual(await sink.send(batch, new AbortController().signal), { result: 'accepted' })
    const [{ body, headers } = assert.fail('nothing came')] = far.taken
    const receiver = new Webhook(secret)
    const told = headers as Record<string, string>
    assert.deepEqual(receiver.verify(body, told), JSON.parse(body.toString()))
    const changed = body.toString().replace('heartbeat', 'heartbeet')
    assert.throws(() => receiver.verify(changed, told), /signature/i)
    assert.throws(() => receiver.verify(body, { ...told, 'webhook-id': 'msg_other' }), /signature/i)
    const late = { ...told, 'webhook-timestamp': String(Number(told['webhook-timestamp']) - 3600) }
    assert.throws(() => receiver.verify(body, late), /timestamp/i)
  } finally {
    await sink.close()
    await far.close()
  }
})

for (const bad of ['', 'whsec_', 'whsec_c2hvcnQ=', 'plain-text-that-is-long-enough-to-be-one']) {
  test(`a secret of the wrong form waits for a person: "${bad}"`, async () => {
    const sink = open('http://127.0.0.1:1/', bad)
    const sent = await sink.send(
      batchOf(sink, [recordOf({ kind: 'heartbeat' })]),
      new AbortController().signal,
    )
    assert.equal(sent.result, 'refused')
    await sink.close()
  })
}
