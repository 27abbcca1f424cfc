/**
 * The syslog sink judged by a real rsyslog, with both of its TLS drivers: its own parser, its certificates, its deaths.
 * Skips loudly where rsyslog is not there, except in CI.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { testSink } from '../../src/export/contract.ts'
import type { Sink } from '../../src/export/sink.ts'
import { createSyslogSink } from '../../src/export/syslog/index.ts'
import { recordOf, samples, variants } from '../../src/export/testing/samples.ts'
import { openGateway, readEntries } from '../support/gateway.ts'
import { type Issued, TestAuthority } from '../support/test-authority.ts'
import { until } from '../support/until.ts'
import { createWorld } from '../support/world.ts'
import { missingRsyslog, type ParsedMessage, Rsyslog } from './rsyslog.ts'

const skip = (await missingRsyslog()) ?? false
const drivers = ['gtls', 'ossl'] as const
const { signal } = new AbortController()

let authority: TestAuthority
let stranger: TestAuthority
let server: Issued
/** The name of the server, by an authority that nobody trusts. */
let impostor: Issued
/** By the right authority, for another host. */
let elsewhere: Issued
let client: Issued

before(async () => {
  if (skip !== false) return
  authority = await TestAuthority.create()
  stranger = await TestAuthority.create()
  const here = { subject: '/CN=syslog', names: 'DNS:localhost,IP:127.0.0.1', usage: 'serverAuth' }
  server = await authority.issue(here)
  impostor = await stranger.issue(here)
  elsewhere = await authority.issue({ ...here, names: 'DNS:elsewhere.example.com' })
  client = await authority.issue({ names: 'DNS:gw-1.example.com' })
})

interface Opening {
  readonly port: number
  readonly timeoutMs?: number
  readonly cert?: Issued
}

function open({ port, timeoutMs = 10_000, cert }: Opening): Sink {
  return createSyslogSink({
    name: 'far',
    host: '127.0.0.1',
    port,
    facility: 13,
    hostname: 'gw-1',
    appName: 'sallyport',
    enterprise: 32_473,
    acknowledge: 'close',
    timeoutMs,
    maxEvents: 500,
    maxBytes: 1_000_000,
    tls: async () => ({
      ca: await readFile(authority.ca),
      ...(cert === undefined ? {} : { cert: await readFile(cert.cert), key: await readFile(cert.key) }),
    }),
  })
}

function dataOf(message: ParsedMessage) {
  return message['rfc5424-sd']['sallyport@32473']!
}

if (skip === false) {
  for (const driver of drivers) {
    testSink(`syslog, rsyslog with ${driver}`, ['down', 'slow', 'refusing'], async () => {
      const far = await Rsyslog.start({ driver, ca: authority.ca, server })
      let timeoutMs = 10_000
      return {
        open: () => open({ port: far.port, timeoutMs }),
        async fail(fault) {
          if (fault === 'slow') {
            timeoutMs = 250
            return far.freeze(true)
          }
          await far.kill()
          if (fault === 'refusing') await far.start({ server: impostor })
        },
        async mend() {
          far.freeze(false)
          await far.kill()
          await far.start({ server })
        },
        arrived: async () => far.messages().map(each => Number(dataOf(each)['seq'])),
        close: () => far.close(),
      }
    })
  }
}

for (const driver of drivers) {
  test(`rsyslog's own parser finds every part where RFC 5424 has it, ${driver}`, { skip }, async () => {
    const far = await Rsyslog.start({ driver, ca: authority.ca, server })
    try {
      const hostile = {
        kind: 'action.denied',
        operation: 'a"b]c\\d [x@1 y="z"]',
        subject: { id: 'ünï\u0000\n<13>1 - - - - - -', kind: 'agent', issuer: 'i', method: 'oidc' },
      }
      const members = [
        ...Object.entries(samples).map(([kind, sample]) => ({ ...sample, kind })),
        ...Object.values(variants),
        hostile,
        { kind: 'action.denied', operation: 'longest', note: 'é'.repeat(7500) },
      ]
      const records = members.map((each, i) => recordOf(each, i))
      const sink = open({ port: far.port })
      const batch = records.map(record => ({
        record,
        body: sink.encode(record, { now: 0, backfill: false }),
      }))
      assert.deepEqual(await sink.send(batch, signal), { result: 'accepted' })
      const messages = far.messages()
      assert.deepEqual(
        messages.map(({ msg }) => msg),
        records.map(({ bytes }) => bytes.toString()),
      )
      for (const [i, message] of messages.entries()) {
        const { entry, id, leafHash, index } = records[i]!
        const { host, app, version, msgid, time } = message
        assert.deepEqual(
          { host, app, version, msgid, time },
          { host: 'gw-1', app: 'sallyport', version: '1', msgid: entry.kind, time: entry.time },
        )
        const { id: said, leaf, seq } = dataOf(message)
        assert.deepEqual({ said, leaf, seq }, { said: id, leaf: leafHash, seq: String(index) })
        assert.equal(Number(message.pri) >> 3, 13)
      }
      const found = dataOf(messages.at(-2)!)
      assert.equal(found['operation'], hostile.operation)
      assert.equal(found['subject'], 'ünï  <13>1 - - - - - -')
    } finally {
      await far.close()
    }
  })
}

test(`P7: killed in the midst of reading, again and again, nothing is missing`, {
  skip,
}, async () => {
  const far = await Rsyslog.start({ driver: 'ossl', ca: authority.ca, server })
  try {
    const sink = open({ port: far.port, timeoutMs: 3000 })
    const note = 'x'.repeat(1000)
    const records = Array.from({ length: 2000 }, (_, i) => recordOf({ kind: 'heartbeat', note }, i))
    const events = records.map(record => ({
      record,
      body: sink.encode(record, { now: 0, backfill: false }),
    }))
    let interrupted = 0
    for (let from = 0, round = 0; from < events.length; from += 400) {
      for (let accepted = false; !accepted; round++) {
        const sending = sink.send(events.slice(from, from + 400), signal)
        // A third of the calls goes undisturbed; the others end anywhere between the first packet and the last.
        const disturbed = round % 3 !== 0
        if (disturbed) {
          await Promise.race([delay((round * 7) % 90), sending])
          await far.kill()
        }
        const sent = await sending
        accepted = sent.result === 'accepted'
        assert.ok(accepted || sent.result === 'retry', JSON.stringify(sent))
        if (!accepted) interrupted++
        if (disturbed) await far.start()
      }
    }
    assert.ok(interrupted > 0, 'no call was cut')
    const arrived = far.messages().map(each => Number(dataOf(each)['seq']))
    assert.deepEqual(
      [...new Set(arrived)],
      records.map(({ index }) => index),
    )
  } finally {
    await far.close()
  }
})

test('a server with the wrong certificate is told nothing, and waits for a person', { skip }, async () => {
  const record = recordOf({ kind: 'heartbeat' })
  const wrong = [
    { server: impostor, detail: /UNABLE_TO|SELF_SIGNED/ },
    { server: elsewhere, detail: /ALTNAME/ },
  ]
  for (const { server: shown, detail } of wrong) {
    const far = await Rsyslog.start({ driver: 'gtls', ca: authority.ca, server: shown })
    try {
      const sink = open({ port: far.port })
      const body = sink.encode(record, { now: 0, backfill: false })
      const sent = await sink.send([{ record, body }], signal)
      assert.equal(sent.result, 'refused')
      assert.match(sent.result === 'refused' ? sent.detail : '', detail)
      assert.deepEqual(far.messages(), [])
    } finally {
      await far.close()
    }
  }
})

test('P7: a client that rsyslog does not let in is never told that its entries arrived', {
  skip,
}, async () => {
  const far = await Rsyslog.start({ driver: 'gtls', ca: authority.ca, server, client: 'gw-1.example.com' })
  try {
    const record = recordOf({ kind: 'heartbeat' })
    const strangers: readonly (Issued | undefined)[] = [
      undefined,
      await authority.issue({ names: 'DNS:gw-2.example.com' }),
      await authority.issue({ names: 'DNS:gw-1.example.com', expired: true }),
      await stranger.issue({ names: 'DNS:gw-1.example.com' }),
    ]
    for (const cert of strangers) {
      const sink = open({ port: far.port, ...(cert === undefined ? {} : { cert }) })
      const body = sink.encode(record, { now: 0, backfill: false })
      const sent = await sink.send([{ record, body }], signal)
      assert.notEqual(sent.result, 'accepted')
      assert.match('detail' in sent ? sent.detail : '', /certificate|CERT/)
    }
    assert.deepEqual(far.messages(), [])
    const sink = open({ port: far.port, cert: client })
    const body = sink.encode(record, { now: 0, backfill: false })
    assert.deepEqual(await sink.send([{ record, body }], signal), { result: 'accepted' })
    assert.equal(far.messages().length, 1)
  } finally {
    await far.close()
  }
})

test('P7: what a gateway logged is what rsyslog has, over a client certificate and a dead rsyslog', {
  skip,
}, async () => {
  const far = await Rsyslog.start({ driver: 'gtls', ca: authority.ca, server, client: 'gw-1.example.com' })
  try {
    await using world = await createWorld()
    await world.configure({
      sinks: [
        {
          name: 'syslog',
          type: 'syslog',
          host: '127.0.0.1',
          port: far.port,
          tls: { ca: authority.ca, cert: client.cert, key: client.key },
          batch: { max_wait: '10ms' },
        },
      ],
    })
    {
      await using gateway = await openGateway(world)
      await until('the first entries', () => far.messages().length > 0)
      await far.kill()
      const headers = { authorization: `Bearer ${await world.token('triage-agent')}` }
      await (await fetch(`${gateway.url}/c/datadog/api/v1/monitor`, { headers })).arrayBuffer()
      await far.start()
      const size = () => gateway.running.services.storage.log.size
      await until('it caught up', () => gateway.running.services.export.status()[0]!.cursor === size())
    }
    await using gateway = await openGateway(world)
    const { log } = gateway.running.services.storage
    await until('it caught up', () => gateway.running.services.export.status()[0]!.cursor === log.size)
    const held = [...new Set(far.messages().map(({ msg }) => msg))]
    const entries = await readEntries(log)
    assert.deepEqual(
      held.map(text => JSON.parse(text) as unknown),
      entries,
    )
    assert.ok(entries.some(({ kind }) => kind === 'action.completed'))
  } finally {
    await far.close()
  }
})
