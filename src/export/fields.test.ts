import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sinksSection } from '../config/sinks.ts'
import { encodeRecord } from './batch.ts'
import { type FieldClass, fieldClasses, viewOf } from './fields.ts'
import { createSink } from './kinds.ts'
import { LogRecord } from './record.ts'
import type { Sink } from './sink.ts'
import { recordOf, samples, variants } from './testing/samples.ts'

const key = 'a key that nobody guesses'
const encoding = { now: Date.parse('2026-11-21T07:00:01Z'), backfill: false }
/** One of each type, as the configuration makes them. */
const sinks: readonly Sink[] = sinksSection
  .parse([
    { name: 'dd', type: 'datadog', api_key: '${env:KEY}' },
    { name: 'events', type: 'datadog-events', api_key: '${env:KEY}' },
    { name: 'elastic', type: 'elasticsearch', url: 'http://127.0.0.1:1', api_key: '${env:KEY}' },
    { name: 'file', type: 'file', path: '/nowhere' },
    { name: 'otlp-json', type: 'otlp', url: 'http://127.0.0.1:1/v1/logs', encoding: 'json' },
    { name: 'otlp-protobuf', type: 'otlp', url: 'http://127.0.0.1:1/v1/logs', encoding: 'protobuf' },
    {
      name: 'lake',
      type: 's3',
      bucket: 'audit',
      region: 'eu-west-1',
      access_key_id: '${env:KEY}',
      secret_access_key: '${env:KEY}',
    },
    { name: 'splunk', type: 'splunk', url: 'http://127.0.0.1:1', token: '${env:KEY}' },
    { name: 'out', type: 'stdout' },
    { name: 'syslog', type: 'syslog', host: '127.0.0.1' },
    { name: 'hook', type: 'webhook', url: 'http://127.0.0.1:1/', secret: '${env:KEY}' },
  ])
  .map(config =>
    createSink(config, { version: '0.1.0', secret: () => ({ read: () => '' }), resolvePath: path => path }),
  )

/** Where entries hold something of each class; `$` is the planted text. */
const places: Readonly<Record<FieldClass, readonly object[]>> = {
  identity: [
    { subject: { id: '$', kind: 'agent', issuer: '$', method: 'oidc', name: '$', email: '$', team: '$' } },
    { subject: { id: 'x', kind: 'agent', on_behalf_of: { id: '$', issuer: '$', email: '$' } } },
    { approval: { id: 'ap_1', approvers: ['$', 'x'], by: '$' } },
    { claimed: '$' },
    { grant: { to: { email: '$' } } },
    { subject: '$' },
  ],
  network: [{ client: '$' }, { client: { ip: '$', agent: '$', more: { deep: '$' } } }],
  content: [
    { resource: '$', digest: '$', reason: '$', error: { code: 'x', detail: '$' } },
    { http: { method: 'GET', host: 'h', path: '$', query: ['$'], user_agent: '$' } },
    { db: { statement: '$' }, tables: ['$'] },
    { nobody_knows_this: '$', nor: { this: ['$'] }, list: [{ of: '$' }, [['$']]] },
    { http: '$', mcp: ['$'] },
  ],
  credential: [
    { token: { id: '$' } },
    { token: '$', linked: { user: '$' }, recording: { blob: 'b', key: '$' } },
  ],
}

function plant(value: unknown, text: string): unknown {
  if (value === '$') return text
  if (Array.isArray(value)) return value.map(each => plant(each, text))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plant(each, text)]))
}

const planted = fc
  .stringMatching(/^[a-z0-9"\\/äß😀 ]{8,40}$/u)
  .filter(text => text.trim().length >= 8)
  .map(text => `PLANTED${text}`)

for (const hiding of fieldClasses) {
  test(`P8: a withheld ${hiding} field leaves through no sink`, () => {
    fc.assert(
      fc.property(
        planted,
        fc.constantFrom(...places[hiding]),
        fc.record({
          way: fc.constantFrom('redact' as const, 'hash' as const),
          kind: fc.constantFrom(
            'action.completed',
            'approval.granted',
            'identity.refused',
            'export.dead_lettered',
          ),
        }),
        (text, place, { way, kind }) => {
          const view = viewOf({ ways: { [hiding]: way }, key })!
          const record = recordOf({ ...samples['heartbeat'], ...(plant(place, text) as object), kind })
          assert.ok(record.bytes.includes('PLANTED'))
          for (const sink of sinks) {
            const shown = view(record)
            const { body, unencodable } = encodeRecord(sink, shown, encoding)
            assert.equal(unencodable, undefined)
            assert.ok(!body.includes('PLANTED'), `${sink.type}: ${body}`)
            assert.ok(!sink.stub(shown, 'why').includes('PLANTED'))
            assert.ok(!body.includes(record.leafHash), 'the leaf hash would let guesses be checked')
          }
        },
      ),
      { numRuns: 150 },
    )
  })
}

test('every type of sink is in the list', () => {
  const { options } = (
    sinksSection as unknown as {
      unwrap(): { element: { options: { shape: { type: { value: string } } }[] } }
    }
  ).unwrap().element
  const types = options.map(({ shape }) => shape.type.value)
  assert.deepEqual([...new Set(sinks.map(({ type }) => type))].toSorted(), types.toSorted())
})

test('what is kept is as it was, whatever the entry', () => {
  for (const [kind, members] of Object.entries({ ...samples, ...variants })) {
    const record = recordOf({ kind, ...members })
    const { client: _, leaf_hash: _proof, ...rest } = record.entry
    const { client: hidden, ...shown } = viewOf({ ways: { network: 'redact' }, key })!(record).entry
    assert.deepEqual(shown, rest)
    if (record.entry.client !== undefined) assert.equal(hidden!.ip, '[redacted]')
  }
})

test('equal values have equal hashes within a class, and a key of their own', () => {
  const entry = { kind: 'approval.granted', subject: { id: 'ana' }, approval: { approvers: ['ana', 'bo'] } }
  const view = (of: string) => viewOf({ ways: { identity: 'hash' }, key: of })!(recordOf(entry)).entry
  const { subject, approval } = view('one')
  const [first, second] = approval!['approvers'] as string[]
  assert.match(subject!.id, /^hmac:[0-9a-f]{32}$/)
  assert.equal(subject!.id, first)
  assert.notEqual(first, second)
  assert.notEqual(view('two').subject!.id, first)
})

test('bytes that are no entry are shown as a stub without them', () => {
  const bytes = Buffer.from('PLANTED and no JSON')
  const shown = viewOf({ ways: { content: 'redact' }, key })!(new LogRecord('o', 3, bytes))
  for (const sink of sinks) {
    const { body, unencodable } = encodeRecord(sink, shown, encoding)
    assert.notEqual(unencodable, undefined)
    assert.ok(!body.includes('PLANTED'))
  }
  assert.equal(shown.original.bytes, bytes, 'the cursor goes by the log itself')
})

test('configuration: to withhold needs a key', () => {
  const sink = { name: 'out', type: 'stdout', fields: { identity: 'hash' } }
  assert.equal(sinksSection.safeParse([sink]).success, false)
  const keyed = { ...sink, fields: { ...sink.fields, key: '${env:FIELD_KEY}' } }
  assert.equal(sinksSection.safeParse([keyed]).success, true)
})
