/**
 * What `datadog install` makes, evaluated over events that a real gateway shipped and over copies of them, shifted in
 * time or changed in one fact: each monitor and rule fires when it should, and is silent when it should be.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { evaluateMonitor, metricPoints, type Watched } from '../../practice/datadog/evaluate-monitor.ts'
import { evaluateRule } from '../../practice/datadog/evaluate-rule.ts'
import { searchable, type SearchedLog, valueAt } from '../../practice/datadog/operations/log-query.ts'
import type { Json } from '../../practice/datadog/wire.ts'
import { datadogSetup } from '../../src/config/datadog-setup.ts'
import { eventOf } from '../../src/export/datadog/event.ts'
import type { Definition } from '../../src/export/datadog/setup/definition.ts'
import { definitionsOf } from '../../src/export/datadog/setup/definitions.ts'
import { recordOf, samples } from '../../src/export/testing/samples.ts'
import { approver } from '../support/approver.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const watchedKey = '11111111-2222-4333-8444-555555555555'
const setup = datadogSetup.parse({
  watched_keys: [{ key_id: watchedKey, addresses: ['127.0.0.1', '::1'] }],
})
const { definitions } = definitionsOf({ setup, ships: () => true })

let world: World
let gateway: TestGateway
/** What arrived at the intake, in the order of the log. */
let real: SearchedLog[]
let now: number

before(async () => {
  world = await createWorld({
    config: {
      policy: {
        rules: [
          { name: 'reads', effect: 'allow', risks: ['read'], mask: ['personal'] },
          {
            name: 'updates',
            effect: 'require_approval',
            operations: ['v1.updateMonitor'],
            approval: { approvers: ['group:security'] },
          },
          { name: 'no-deletes', effect: 'deny', operations: ['v1.deleteMonitor'] },
        ],
      },
    },
  })
  gateway = await openGateway(world)
  const [id] = world.datadog.state.monitors.keys()
  await act('GET', '/api/v1/monitor')
  await act('GET', '/api/v2/users')
  await act('DELETE', `/api/v1/monitor/${id}`)
  const cam = approver(gateway.url, await world.token('cam'))
  const held = act('PUT', `/api/v1/monitor/${id}`, { name: 'Renamed' })
  await cam.approveNext()
  assert.equal(await held, 200)
  const size = gateway.running.services.storage.log.size
  const sent = await world.intake.waitFor(size)
  real = sent.map(({ record, arrivedAt, tags }, i) =>
    searchable(record, { id: String(i), time: arrivedAt, tags }),
  )
  now = Math.max(...real.map(({ time }) => time)) + 1000
})

after(async () => {
  await gateway.close()
  await world.close()
})

async function act(method: string, path: string, body?: unknown): Promise<number> {
  const response = await fetch(`${gateway.url}/c/datadog${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await world.token('triage-agent')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  await response.arrayBuffer()
  return response.status
}

function only(kind: string, operation?: string): SearchedLog {
  const found = real.find(
    ({ attributes }) =>
      valueAt(attributes, 'sallyport.event.kind') === kind &&
      (operation === undefined || valueAt(attributes, 'sallyport.operation') === operation),
  )
  assert.ok(found !== undefined, `no ${kind}`)
  return found
}

let copies = 0
interface Change {
  readonly ago?: number
  /** Attributes by path; undefined takes one away. */
  readonly set?: Readonly<Record<string, unknown>>
  readonly tags?: readonly string[]
  /** The same event again instead of another one. */
  readonly same?: boolean
}

function copy(log: SearchedLog, { ago = 0, set = {}, tags = [], same = false }: Change = {}): SearchedLog {
  const attributes = structuredClone(log.attributes)
  const id = same ? {} : { 'sallyport.event.id': `gateway.example.com/test/copy-${++copies}` }
  for (const [path, value] of Object.entries({ ...id, ...set })) {
    const names = path.split('.')
    const last = names.pop()!
    let at: Json = attributes
    for (const name of names) at = at[name] as Json
    if (value === undefined) delete at[last]
    else at[last] = value
  }
  return { ...log, id: `copy ${copies}`, time: now - ago, tags: [...log.tags, ...tags], attributes }
}

/** So many copies, one each `everyMs` back from `ago`. */
function many(count: number, log: SearchedLog, how: number | (Change & { everyMs: number })): SearchedLog[] {
  const { everyMs, ...change } = typeof how === 'number' ? { everyMs: how } : how
  const { ago = 0 } = change as Change
  return Array.from({ length: count }, (_, i) => copy(log, { ...change, ago: ago + i * everyMs }))
}

/** An entry of this kind as it would be sent `lateMs` after it was written. */
function sample(kind: keyof typeof samples, ago: number, lateMs = 0): SearchedLog {
  const time = new Date(now - ago).toISOString().replace('Z', '000Z')
  const record = recordOf({ ...samples[kind], kind, time })
  const event = eventOf(
    record,
    { now: now - ago + lateMs, backfill: false },
    { service: 'sallyport', hostname: 'gw', tags: [] },
  )
  return searchable(event as Json, { id: `${kind} ${ago}`, time: now })
}

function bodyOf(kind: Definition['kind'], id: string): Json {
  const found = definitions.find(each => each.kind === kind && each.id === id)
  assert.ok(found !== undefined, `no ${kind} ${id}`)
  return found.body
}

const metrics = new Map(
  definitions
    .filter(({ kind }) => kind === 'log-metric')
    .map(({ id, body }) => [id, (body['data'] as Json)['attributes'] as Json]),
)

const tested = new Set<string>()
function alerts(id: string, logs: readonly SearchedLog[], more: Partial<Watched> & { at?: number } = {}) {
  tested.add(id)
  const { at = now, ...watched } = more
  return evaluateMonitor(bodyOf('monitor', id), { logs, metrics, ...watched }, at)
}

const fires = (id: string, logs: readonly SearchedLog[], at = now) =>
  assert.notDeepEqual(alerts(id, logs, { at }), [], `${id} is silent`)
const silent = (id: string, logs: readonly SearchedLog[], at = now) =>
  assert.deepEqual(alerts(id, logs, { at }), [], `${id} fires`)

test('sensitive-connection: an agent that succeeds on what is marked, within five minutes', () => {
  const who = String(valueAt(only('action.completed').attributes, 'usr.id'))
  assert.deepEqual(
    alerts('sensitive-connection', real).map(({ by }) => by),
    [{ '@usr.id': who, '@sallyport.connection.name': 'datadog' }],
  )
  silent('sensitive-connection', real, now + 6 * minute)
  const done = only('action.completed')
  silent('sensitive-connection', [copy(done, { set: { 'sallyport.connection.sensitivity': 'low' } })])
  silent('sensitive-connection', [copy(done, { set: { 'sallyport.actor.type': 'user' } })])
  silent('sensitive-connection', [copy(only('action.denied')), copy(only('action.intended'))])
  fires('sensitive-connection', [copy(done, { set: { 'sallyport.connection.sensitivity': 'critical' } })])
})

test('no-approval: silent on what ran with consent, fires on the same event without it', () => {
  silent('no-approval', real)
  const ran = only('action.completed', 'v1.updateMonitor')
  assert.equal(valueAt(ran.attributes, 'sallyport.approval.state'), 'approved')
  fires('no-approval', [copy(ran, { set: { 'sallyport.approval.state': 'pending' } })])
  fires('no-approval', [copy(ran, { set: { 'sallyport.approval.state': undefined } })])
})

test('spike: more than 300 actions in five minutes, and never by counting one twice', () => {
  silent('spike', real)
  const done = only('action.completed')
  fires('spike', many(301, done, 900))
  silent('spike', many(300, done, 900))
  silent('spike', many(400, done, { everyMs: 700, same: true }))
  silent('spike', many(400, done, 2000))
  silent('spike', many(301, only('action.intended'), 900))
})

test('unusual-rate: a quarter of an hour above what the same hour has; not one busy minute, not the usual', () => {
  const done = only('action.completed')
  const usual = many(3 * 24 * 60, done, minute)
  silent('unusual-rate', usual)
  silent('unusual-rate', [...usual, ...many(40, done, 1000)])
  fires('unusual-rate', [...usual, ...many(15 * 12, done, 5000)])
})

test('denials: five in five minutes of one identity', () => {
  silent('denials', real)
  const denied = only('action.denied')
  fires('denials', many(5, denied, minute - 1))
  silent('denials', many(4, denied, minute))
  silent('denials', many(9, denied, { everyMs: 1000, same: true }))
  silent('denials', [
    ...many(3, denied, 1000),
    ...many(3, denied, { everyMs: 1000, set: { 'usr.id': 'somebody-else' } }),
  ])
})

test('heartbeat-missing: five minutes after the last of a log, while it is remembered', () => {
  silent('heartbeat-missing', [sample('heartbeat', minute)])
  fires('heartbeat-missing', [sample('heartbeat', 6 * minute)])
  silent('heartbeat-missing', [sample('heartbeat', 6 * minute), sample('heartbeat', minute)])
  silent('heartbeat-missing', [], now)
  silent('heartbeat-missing', [sample('heartbeat', 4 * day)])
})

test('shipping-behind: an entry sent more than ten minutes after it was written', () => {
  silent('shipping-behind', real)
  fires('shipping-behind', [sample('action.completed', minute, 11 * minute)])
  silent('shipping-behind', [sample('action.completed', minute, 9 * minute)])
})

test('sequence-gap: a number that is missing between others, and none that was sent again', () => {
  silent('sequence-gap', real)
  fires(
    'sequence-gap',
    real.filter((_, i) => i !== 2),
  )
  silent('sequence-gap', [
    ...real,
    copy(real[0]!, { same: true, tags: ['backfill:true'], set: { 'sallyport.event.seq': 9999 } }),
  ])
  silent('sequence-gap', [...real, copy(real[1]!, { same: true })])
})

test('diverged: a comparison that found a difference, and no other', () => {
  silent('diverged', [sample('export.reconciled', minute)])
  fires('diverged', [sample('export.diverged', minute)])
})

test("key-elsewhere: the key in Datadog's audit trail, from an address that is not the gateway's", () => {
  const seen = world.datadog.state.auditTrail.map((record, i) =>
    searchable(record, { id: String(i), time: Number(record['timestamp']) }),
  )
  const own = String(valueAt(seen[0]!.attributes, 'metadata.api_key.id'))
  const ofKey = (key: string) =>
    seen.map(log => copy(log, { same: true, set: { 'metadata.api_key': { id: key } } }))
  assert.match(own, /^[0-9a-f-]{36}$/)
  const id = `key-elsewhere-${watchedKey}`
  assert.deepEqual(alerts(id, [], { audits: ofKey(watchedKey) }), [])
  const elsewhere = ofKey(watchedKey).map(log =>
    copy(log, { same: true, set: { 'network.client.ip': '203.0.113.9' } }),
  )
  assert.notDeepEqual(alerts(id, [], { audits: elsewhere }), [])
  const another = elsewhere.map(log => copy(log, { same: true, set: { 'metadata.api_key.id': own } }))
  assert.deepEqual(alerts(id, [], { audits: another }), [])
})

test('every monitor was made to fire and to be silent', () => {
  const all = definitions.filter(({ kind }) => kind === 'monitor').map(({ id }) => id)
  assert.deepEqual([...tested].toSorted(), all.toSorted())
})

const signals = (id: string, logs: readonly SearchedLog[]) => evaluateRule(bodyOf('security-rule', id), logs)

test('Cloud SIEM: each rule makes a signal when it should, and none on an ordinary day', () => {
  const ordinary = definitions.filter(
    ({ kind, id }) => kind === 'security-rule' && signals(id, real).length > 0,
  )
  assert.deepEqual(ordinary, [])
  const ran = only('action.completed', 'v1.updateMonitor')
  const done = only('action.completed')
  const denied = only('action.denied')
  const loud: Readonly<Record<string, readonly SearchedLog[]>> = {
    'no-approval': [copy(ran, { set: { 'sallyport.approval.state': 'denied' } })],
    'break-glass': [sample('break_glass.used', minute)],
    'first-use': [
      ...many(9, done, { everyMs: day, ago: hour }),
      copy(done, { set: { 'sallyport.connection.name': 'billing' } }),
    ],
    'denied-then-allowed': [...many(5, denied, { everyMs: minute, ago: 2 * minute }), copy(done)],
    'unusual-rate': [
      ...many(26 * 12, done, { everyMs: 5 * minute, ago: 10 * minute }),
      ...many(12, done, 5000),
    ],
  }
  const rules = definitions.filter(({ kind }) => kind === 'security-rule')
  assert.deepEqual(Object.keys(loud).toSorted(), rules.map(({ id }) => id).toSorted())
  for (const [id, logs] of Object.entries(loud)) assert.notDeepEqual(signals(id, logs), [], id)
  const quiet: Readonly<Record<string, readonly SearchedLog[]>> = {
    'no-approval': [copy(ran)],
    'break-glass': [sample('break_glass.ended', minute)],
    'first-use': many(9, done, day),
    'denied-then-allowed': [
      ...many(5, denied, { everyMs: minute, ago: 2 * minute }),
      copy(done, { set: { 'sallyport.connection.name': 'other' } }),
      ...many(1, done, { everyMs: 0, ago: hour }),
    ],
    'unusual-rate': many(27 * 12, done, 5 * minute),
  }
  for (const [id, logs] of Object.entries(quiet)) assert.deepEqual(signals(id, logs), [], id)
})

test('log-based metrics count ends and not intents, with every tag filled', () => {
  const points = metricPoints(metrics.get('sallyport.actions')!, real)
  const ends = real.filter(({ attributes }) =>
    /^action\.(?!intended)/.test(String(valueAt(attributes, 'sallyport.event.kind'))),
  )
  assert.equal(points.length, ends.length)
  assert.ok(points.every(({ tags }) => Object.values(tags).every(value => value !== 'N/A')))
  assert.equal(metricPoints(metrics.get('sallyport.denied')!, real).length, 1)
  assert.ok(metricPoints(metrics.get('sallyport.approvals')!, real).length >= 2)
  assert.equal(metricPoints(metrics.get('sallyport.heartbeats')!, [sample('heartbeat', 0)]).length, 1)
})

/** Attributes that queries, groups and messages name and no event has. */
function unknownAttributes(of: readonly Definition[], events: readonly SearchedLog[]): string[] {
  const named = of
    .filter(({ body }) => body['type'] !== 'audit alert')
    .flatMap(({ body }) =>
      [...JSON.stringify(body).matchAll(/@([a-z_]+(?:\.[a-z_]+)*)/g)].map(([, path]) => path!),
    )
  return [...new Set(named)].filter(path =>
    events.every(({ attributes }) => valueAt(attributes, path) === undefined),
  )
}

test('no query names an attribute that events do not have', () => {
  assert.deepEqual(unknownAttributes(definitions, real), [])
  const [monitor] = definitions.filter(({ kind }) => kind === 'monitor')
  const misspelled = { ...monitor!, body: { ...monitor!.body, query: 'logs("@sallyport.conection.name:x")' } }
  assert.deepEqual(unknownAttributes([misspelled], real), ['sallyport.conection.name'], 'a control')
})
