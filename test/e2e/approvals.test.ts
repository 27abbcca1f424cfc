/** The official client, unchanged, and calls that wait for a person. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { client, v1 } from '@datadog/datadog-api-client'
import type { Entry } from '../../src/audit/events.ts'
import { type Approver, approver } from '../support/approver.ts'
import { byBearer, failure } from '../support/datadog-story.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
let gateway: TestGateway
let token: string
let cam: Approver
let entriesBefore = 0

const monitor = { name: 'Hot', type: 'query alert' as const, query: 'avg(last_5m):avg:x{*} > 1' }

before(async () => {
  const approval = { approvers: ['group:security', 'group:sre'], message: 'Writes wait for a person.' }
  world = await createWorld({
    config: {
      policy: {
        rules: [
          { name: 'reads', effect: 'allow', risks: ['read'] },
          {
            name: 'writes',
            effect: 'require_approval',
            risks: ['write', 'delete', 'admin'],
            connections: { names: ['datadog', 'short', 'other'] },
            approval,
          },
          {
            name: 'later',
            effect: 'require_approval',
            risks: ['write', 'delete'],
            connections: { names: ['later'] },
            approval: { ...approval, when_held: 'retry-later' },
          },
        ],
      },
    },
  })
  const [datadog] = world.config.connections!
  const short = { profiles: [{ agent: 'datadog-api-client-typescript/*', hold: 0.2 }], default: 0.2 }
  await world.configure({
    connections: [
      datadog!,
      { ...datadog!, name: 'short', hold: short },
      { ...datadog!, name: 'later', hold: short },
      { ...datadog!, name: 'other', hold: short },
    ],
  })
  gateway = await openGateway(world)
  token = await world.token('triage-agent')
  cam = approver(gateway.url, await world.token('cam'))
})

after(async () => {
  await gateway.close()
  await world.close()
})

beforeEach(async () => {
  entriesBefore = (await gateway.entries()).length
})

const waitless = { 'content-type': 'application/json', prefer: 'wait=0' }
const address = (connection: string): string => `${gateway.url}/c/${connection}`
const monitors = (connection: string, bearer = token): v1.MonitorsApi =>
  new v1.MonitorsApi(byBearer(address(connection), bearer))

async function entriesSince(): Promise<Entry[]> {
  return (await gateway.entries()).slice(entriesBefore)
}

function post(path: string, init: { headers?: Record<string, string>; body?: string; token?: string } = {}) {
  return fetch(address('short') + path, {
    method: 'POST',
    headers: { ...waitless, authorization: `Bearer ${init.token ?? token}`, ...init.headers },
    body: init.body ?? JSON.stringify(monitor),
  })
}

interface Problem {
  readonly status: number
  readonly code: string
  readonly reason?: string
  readonly approval?: {
    readonly id: string
    readonly state: string
    readonly expires: string
    readonly url: string
    readonly how: string
  }
}

const problemOf = async (response: Response): Promise<Problem> => (await response.json()) as Problem

for (const seconds of [1, 10]) {
  test(`an approval given after ${seconds} s is a slow answer`, async () => {
    const started = performance.now()
    const call = monitors('datadog').createMonitor({ body: { ...monitor, name: `After ${seconds}` } })
    const approved = await cam.approveNext(seconds * 1000)
    const made = await call
    assert.ok(performance.now() - started >= seconds * 1000)
    assert.equal(world.datadog.state.monitors.get(made.id!)?.['name'], `After ${seconds}`)
    const done = (await entriesSince()).find(
      each => each.kind === 'action.completed' && each.operation === 'v1.createMonitor',
    )
    const { approvers, ...facts } = done!.approval as Record<string, unknown>
    assert.deepEqual([facts['id'], facts['required'], facts['state']], [approved.id, true, 'consumed'])
    assert.deepEqual(approvers, ['cam@example.com'])
  })
}

test('an approval given after the hold works by the same call again, and once', async () => {
  const body = { ...monitor, name: 'Resubmitted' }
  const refused = await failure(() => monitors('short').createMonitor({ body }))
  assert.equal(refused.code, 403)
  assert.match(JSON.stringify(refused.body), /Writes wait for a person\./)
  const approved = await cam.approveNext()
  const made = await monitors('short').createMonitor({ body })
  assert.equal(world.datadog.state.monitors.get(made.id!)?.['name'], 'Resubmitted')
  const again = await failure(() => monitors('short').createMonitor({ body }))
  assert.equal(again.code, 403)
  assert.match(JSON.stringify(again.body), /was used/)
  const consumed = (await entriesSince()).filter(each => each.kind === 'approval.consumed')
  assert.deepEqual(
    consumed.map(each => (each.approval as { id: string }).id),
    [approved.id],
  )
})

test('with enableRetry and retry-later the client waits by itself', async () => {
  const config = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(address('later'), {}),
    authMethods: { apiKeyAuth: token, appKeyAuth: 'unused' },
    enableRetry: true,
    maxRetries: 3,
  })
  const call = new v1.MonitorsApi(config).createMonitor({ body: { ...monitor, name: 'Retried' } })
  const refused = await gateway.waitForEntries(
    1,
    each =>
      each.operation === 'v1.createMonitor' &&
      each.kind === 'action.denied' &&
      Number(each.seq) >= entriesBefore,
  )
  assert.ok(refused.length > 0)
  await cam.approveNext()
  const made = await call
  assert.equal(world.datadog.state.monitors.get(made.id!)?.['name'], 'Retried')
  const answer = await fetch(`${address('later')}/api/v1/monitor`, {
    method: 'POST',
    headers: { ...waitless, authorization: `Bearer ${token}` },
    body: JSON.stringify({ ...monitor, name: 'Told' }),
  })
  assert.equal(answer.status, 429)
  const told = [
    'retry-after',
    'x-ratelimit-reset',
    'x-ratelimit-limit',
    'x-ratelimit-remaining',
    'x-ratelimit-period',
  ]
  assert.deepEqual(
    told.map(name => answer.headers.get(name)),
    ['5', '5', '1', '0', '5'],
  )
  const { approval } = await problemOf(answer)
  await cam.vote(approval!.id, 'deny')
})

test('what means the same attaches; what does not is another request', async () => {
  const text = JSON.stringify({ ...monitor, name: 'Exact' })
  const first = (await problemOf(await post('/api/v1/monitor?b=2&a=1', { body: text }))).approval!
  const idOf = async (response: Response): Promise<string> => (await problemOf(response)).approval!.id
  assert.equal(await idOf(await post('/api/v1/monitor?a=1&b=2', { body: text })), first.id)
  const others = await Promise.all([
    post('/api/v1/monitor?a=1&b=2', { body: text.replace('Exact', 'Exacu') }).then(idOf),
    post('/api/v1/monitor?a=1&b=3', { body: text }).then(idOf),
    post('/api/v1/monitor?a=1&b=2', { body: text, token: await world.token('batch-agent') }).then(idOf),
    fetch(`${address('other')}/api/v1/monitor?a=1&b=2`, {
      method: 'POST',
      headers: { ...waitless, authorization: `Bearer ${token}` },
      body: text,
    }).then(idOf),
  ])
  assert.equal(new Set([first.id, ...others]).size, 5)
  // The approved one runs; the approval of one byte more, one parameter less, somebody else is worth nothing here.
  await cam.vote(first.id, 'approve')
  const before = world.datadog.requests.length
  for (const each of [
    await post('/api/v1/monitor?a=1&b=2', { body: `${text} ` }),
    await post('/api/v1/monitor?a=1', { body: text }),
    await post('/api/v1/monitor?a=1&b=2', { body: text, token: await world.token('batch-agent') }),
  ])
    assert.equal(each.status, 403)
  assert.equal(world.datadog.requests.length, before)
  assert.equal((await post('/api/v1/monitor?a=1&b=2', { body: text })).status, 200)
  for (const each of await cam.open()) await cam.vote(each.id, 'deny')
})

test('neither the requester nor the person it acts for may approve', async () => {
  const { approval } = await problemOf(await post('/api/v1/monitor', { body: '{"name":"Mine"}' }))
  for (const own of ['ana', 'triage-agent']) {
    const { status } = await approver(gateway.url, await world.token(own)).vote(approval!.id, 'approve')
    assert.equal(status, 403, own)
  }
  assert.equal((await cam.vote(approval!.id, 'deny')).status, 200)
  const refused = await post('/api/v1/monitor', { body: '{"name":"Mine"}' })
  assert.equal(refused.status, 403)
  assert.equal((await problemOf(refused)).reason, 'approval-denied')
})

test('P4: an approved call with a key in its path leaves the key nowhere', async () => {
  const key = world.datadog.keys.apiKey
  const path = `/api/v1/api_key/${key}`
  const send = () =>
    fetch(address('short') + path, {
      method: 'PUT',
      headers: { ...waitless, authorization: `Bearer ${token}` },
      body: '{"name":"Renamed"}',
    })
  const { approval } = await problemOf(await send())
  const shown = JSON.stringify(await cam.open())
  await cam.vote(approval!.id, 'approve')
  await send()
  const { index, log } = gateway.running.services.storage
  await index.whenIndexed(log.size)
  const entries = await entriesSince()
  const sessions = [...new Set(entries.map(each => each.session).filter(each => each !== undefined))]
  const replays = await Promise.all(sessions.map(id => gateway.api.ask(`/sessions/${id}/replay`)))
  assert.match(replays.map(each => each.text).join(''), /api_key\/\{key\}/)
  const everything = JSON.stringify([entries, shown, replays, await gateway.api.ask('/approvals?all=true')])
  assert.ok(!everything.includes(key))
  assert.match(shown, /api_key\/\{key\}/)
})
