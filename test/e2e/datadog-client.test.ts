/** The official client through the gateway, with nothing changed but base URL and credential. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { v1, v2 } from '@datadog/datadog-api-client'
import { type PracticeRequest, startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import type { Entry } from '../../src/audit/events.ts'
import {
  byAccessToken,
  byApiKey,
  byBearer,
  byServerVariables,
  direct,
  failure,
  storyTime,
  tell,
} from '../support/datadog-story.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

const now = () => storyTime
const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let token: string
let base: string

before(async () => {
  world = opened.use(
    await createWorld({
      now,
      config: {
        policy: {
          rules: [
            { name: 'agents', effect: 'allow', subjects: { kinds: ['agent'], on_behalf_of: ['ana'] } },
            { name: 'people-are-private', effect: 'allow', operations: ['v2.*User*'], mask: ['personal'] },
            {
              name: 'no-bulk-deletes',
              effect: 'deny',
              operations: ['v1.deleteDashboards'],
              message: 'One at a time, please.',
            },
          ],
        },
      },
    }),
  )
  const [datadog] = world.config.connections!
  const second = { ...datadog!, name: 'datadog-port' }
  await world.configure({
    connections: [datadog!, second],
    listen: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', connection: 'datadog-port' }],
  })
  gateway = opened.use(await openGateway(world))
  token = await world.token('triage-agent')
  base = `${gateway.url}/c/datadog`
})

after(() => opened.disposeAsync())

/** What was asked since, upstream and in the log. */
async function since(
  requests: number,
  entries: number,
): Promise<{ upstream: PracticeRequest[]; log: Entry[] }> {
  return { upstream: world.datadog.requests.slice(requests), log: (await gateway.entries()).slice(entries) }
}

const isEmail = /[\w.]+@example\.com/
const isKey = /\b[0-9a-f]{32}\b|\b[0-9a-f]{40}\b/

test('P11: every answer is the one that a direct call gets, but for what is masked', async () => {
  const other = await startPracticeDatadog({ now })
  const expected = await tell(direct(other.url, other.keys))
  await other.close()
  const [requests, entries] = [world.datadog.requests.length, (await gateway.entries()).length]
  const told = await tell(byBearer(base, token))
  for (const name of ['dashboards', 'monitors', 'metrics', 'logs', 'events'])
    assert.deepEqual(told[name], expected[name], name)
  // Masked by rule and by default: the same shape, and nothing of what must not be seen.
  assert.match(JSON.stringify(expected['users']), isEmail)
  assert.doesNotMatch(JSON.stringify(told['users']), isEmail)
  assert.match(JSON.stringify(expected['keys']), isKey)
  assert.doesNotMatch(JSON.stringify(told['keys']), isKey)
  for (const name of ['users', 'keys']) assert.deepEqual(unmasked(told[name]), unmasked(expected[name]), name)

  const { upstream, log } = await since(requests, entries)
  assert.ok(upstream.length > 30, `${upstream.length} calls`)
  for (const request of upstream) assertOwnKeysOnly(request)
  assertOneEndEach(log, upstream)
})

test('P4: the other ways of giving the client a token', async () => {
  const port = new URL(gateway.running.urls[1]!).host
  for (const config of [
    byApiKey(base, token),
    byAccessToken(base, token),
    byServerVariables(port, token),
    byBearer(`${base}/`, token),
  ]) {
    const before = world.datadog.requests.length
    const { dashboards } = await new v1.DashboardsApi(config).listDashboards({})
    assert.equal(dashboards!.length, 3)
    const upstream = world.datadog.requests.slice(before)
    assert.equal(upstream.length, 1)
    assertOwnKeysOnly(upstream[0]!)
  }
})

test('P11: a denied write is an ApiException that names the rule, and the client goes on', async () => {
  const config = byBearer(base, token)
  const api = new v1.DashboardsApi(config)
  const [id] = [...world.datadog.state.dashboards.keys()]
  const [requests, entries] = [world.datadog.requests.length, (await gateway.entries()).length]
  const { code, body } = await failure(() =>
    api.deleteDashboards({ body: { data: [{ id: id!, type: 'dashboard' }] } }),
  )
  const text = JSON.stringify(body)
  assert.equal(code, 403)
  assert.match(text, /no-bulk-deletes/)
  assert.match(text, /One at a time, please\./)
  assert.ok(world.datadog.state.dashboards.has(id!))
  const { upstream, log } = await since(requests, entries)
  assert.deepEqual(upstream, [])
  const [intended, denied] = log
  assert.deepEqual([intended?.kind, denied?.kind], ['action.intended', 'action.denied'])
  assert.deepEqual(
    [denied?.operation, denied?.decision?.rule, denied?.outcome],
    ['v1.deleteDashboards', 'no-bulk-deletes', 'denied'],
  )
  assert.ok(text.includes(`${denied?.log}/${denied?.seq}`), 'the body names the entry')
  assert.equal((await api.getDashboard({ dashboardId: id! })).id, id)
})

test('P6: a path that no catalogue knows is denied', async () => {
  const entries = (await gateway.entries()).length
  for (const [method, path] of [
    ['GET', '/api/v2/brand_new_thing'],
    ['POST', '/api/v1/monitor/100006/mute'],
    ['PUT', '/'],
  ] as const) {
    const requests = world.datadog.requests.length
    const answer = await fetch(base + path, { method, headers: { authorization: `Bearer ${token}` } })
    assert.equal(answer.status, 403, path)
    assert.equal(((await answer.json()) as { reason: string }).reason, 'unknown-operation', path)
    assert.equal(world.datadog.requests.length, requests, path)
  }
  const { log } = await since(0, entries)
  assert.deepEqual(
    log.filter(each => each.kind === 'action.denied').map(each => [each.operation, each.known]),
    [
      ['GET /api/v2/brand_new_thing', false],
      ['POST /api/v1/monitor/100006/mute', false],
      ['PUT /', false],
    ],
  )
})

test('P11: what the upstream refuses comes back as it is', async () => {
  world.datadog.fail({ kind: 'status', status: 429, headers: { 'x-ratelimit-reset': '7' } }, 1)
  const api = new v2.UsersApi(byBearer(base, token))
  assert.deepEqual(await failure(() => api.getUser({ userId: '00000000-0000-4000-8000-000000000000' })), {
    code: 429,
    body: { errors: ['Practice fault'] },
  })
  const limited = (await gateway.entries()).at(-1)
  assert.equal(limited?.kind, 'action.completed')
  assert.equal(limited?.outcome, 'failure')
  assert.equal((limited?.['http'] as { status_code?: number } | undefined)?.status_code, 429)
})

test('P7: the intake has every entry, with its id, in order', async () => {
  const entries = await gateway.entries()
  const logs = await world.intake.waitFor(entries.length)
  assert.deepEqual(
    logs
      .slice(0, entries.length)
      .map(({ record }) => (record['sallyport'] as { event: { id: string } }).event.id),
    entries.map(({ log, seq }) => `${log}/${seq}`),
  )
})

/** P4: ours arrive, and nothing of what the client sent as a credential. */
function assertOwnKeysOnly(request: PracticeRequest): void {
  const { headers, rawHeaders, target, body, operation } = request
  const { apiKey, appKey } = world.datadog.keys
  const apiKeyAlone = ['v2.submitLog', 'v1.submitMetrics', 'v2.submitMetrics', 'v1.createEvent']
  assert.equal(headers['dd-api-key'], apiKey, operation)
  assert.equal(
    headers['dd-application-key'],
    apiKeyAlone.includes(operation!) ? undefined : appKey,
    operation,
  )
  assert.equal(headers.authorization, undefined)
  assert.equal(headers.cookie, undefined)
  const all = [target, ...rawHeaders, body].join('\n')
  assert.ok(!all.includes(token) && !all.includes('leftover'), operation)
}

/** P2, P9: each call is one intent and one end, of the operation that was called and of who called. */
function assertOneEndEach(log: readonly Entry[], upstream: readonly PracticeRequest[]): void {
  const intents = log.filter(each => each.kind === 'action.intended')
  const ends = log.filter(each => each.kind === 'action.completed')
  assert.deepEqual(
    intents.map(each => each.operation),
    upstream.map(each => each.operation),
  )
  assert.deepEqual(
    ends.map(each => each.intent),
    intents.map(each => each.seq),
  )
  for (const entry of [...intents, ...ends]) {
    assert.deepEqual(
      [entry.subject?.id, entry.subject?.kind, entry.subject?.on_behalf_of?.email, entry.connection?.name],
      ['triage-agent', 'agent', 'ana@example.com', 'datadog'],
    )
  }
  assert.equal(log.filter(each => each.kind.startsWith('action.')).length, 2 * upstream.length)
  const refused = ends.filter(each => each.outcome !== 'success').map(each => each.operation)
  assert.deepEqual(refused, ['v1.getDashboard', 'v1.validateMonitor'])
}

/** With one word in place of every masked or maskable text, so that shapes can be compared. */
function unmasked(value: unknown): unknown {
  const text = JSON.stringify(value, (_name, each: unknown) =>
    typeof each === 'string' &&
    (each.includes('[masked:') ||
      isEmail.test(each) ||
      isKey.test(each) ||
      each === 'New' ||
      each === 'Newer')
      ? 'masked'
      : each,
  )
  return JSON.parse(text)
}
