/** The official client against the practice Datadog, group by group: what it is given it must be able to read whole. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client, v1, v2 } from '@datadog/datadog-api-client'
import { type PracticeDatadog, startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'

let practice: PracticeDatadog
let config: client.Configuration

before(async () => {
  practice = await startPracticeDatadog()
  config = configured({ apiKeyAuth: practice.keys.apiKey, appKeyAuth: practice.keys.appKey })
})

after(() => practice.close())

function configured(authMethods: client.AuthMethodsConfiguration): client.Configuration {
  return client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(practice.url, {}),
    authMethods,
  })
}

/** Fails where the client could not make sense of a part of the answer, and hands the answer on. */
function whole<T>(answer: T): T {
  const look = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    assert.notEqual(value.constructor.name, 'UnparsedObject', `not understood: ${path}`)
    assert.notEqual((value as { _unparsed?: boolean })._unparsed, true, `not understood: ${path}`)
    for (const [name, inner] of Object.entries(value)) look(inner, `${path}.${name}`)
  }
  look(answer, 'answer')
  return answer
}

const status = (code: number) => (error: unknown) =>
  error instanceof client.ApiException && error.code === code

test('dashboards: create, read, update, list, delete, restore', async () => {
  const api = new v1.DashboardsApi(config)
  const bodyOf = (title: string): v1.Dashboard => ({
    title,
    layoutType: 'ordered',
    widgets: [
      { definition: { type: 'note', content: 'hello' } },
      {
        definition: {
          type: 'timeseries',
          requests: [{ displayType: 'line', q: 'avg:system.cpu.user{*}' }],
        },
      },
    ],
  })
  const made = whole(await api.createDashboard({ body: bodyOf('Made by a test') }))
  const id = made.id!
  assert.match(id, /^[a-z0-9]{3}-[a-z0-9]{3}-[a-z0-9]{3}$/)
  assert.equal(whole(await api.getDashboard({ dashboardId: id })).widgets.length, 2)
  const renamed = await api.updateDashboard({ dashboardId: id, body: bodyOf('Renamed') })
  assert.equal(whole(renamed).title, 'Renamed')
  const list = whole(await api.listDashboards({})).dashboards!
  assert.ok(list.some(each => each.id === id) && list.length === 4)
  assert.equal(whole(await api.deleteDashboard({ dashboardId: id })).deletedDashboardId, id)
  await assert.rejects(api.getDashboard({ dashboardId: id }), status(404))
  await api.restoreDashboards({ body: { data: [{ id, type: 'dashboard' }] } })
  assert.equal((await api.getDashboard({ dashboardId: id })).title, 'Renamed')
  await api.deleteDashboards({ body: { data: [{ id, type: 'dashboard' }] } })
  for (const each of whole(await api.listDashboards({})).dashboards!)
    whole(await api.getDashboard({ dashboardId: each.id! }))
})

test('dashboard lists and what is in them', async () => {
  const lists = new v1.DashboardListsApi(config)
  const items = new v2.DashboardListsApi(config)
  const { id } = whole(await lists.createDashboardList({ body: { name: 'Mine' } }))
  const dashboardListId = id!
  const [dashboard] = [...practice.state.dashboards.keys()]
  const body = { dashboards: [{ id: dashboard!, type: 'custom_timeboard' as const }] }
  whole(await items.createDashboardListItems({ dashboardListId, body }))
  assert.equal(whole(await items.getDashboardListItems({ dashboardListId })).total, 1)
  whole(await items.updateDashboardListItems({ dashboardListId, body }))
  whole(await items.deleteDashboardListItems({ dashboardListId, body }))
  whole(await lists.updateDashboardList({ listId: dashboardListId, body: { name: 'Ours' } }))
  assert.equal(whole(await lists.getDashboardList({ listId: dashboardListId })).name, 'Ours')
  assert.equal(whole(await lists.listDashboardLists()).dashboardLists!.length, 2)
  whole(await lists.deleteDashboardList({ listId: dashboardListId }))
  await assert.rejects(lists.getDashboardList({ listId: dashboardListId }), status(404))
})

test('monitors: validate, create, read, update, search, delete', async () => {
  const api = new v1.MonitorsApi(config)
  const query = 'avg(last_5m):avg:x{*} > 1'
  const bodyOf = (asked: string): v1.Monitor => ({
    name: 'A test',
    type: 'query alert',
    query: asked,
    tags: ['a:b'],
  })
  const body = bodyOf(query)
  await api.validateMonitor({ body })
  await assert.rejects(api.validateMonitor({ body: bodyOf('nonsense') }), status(400))
  const { id } = whole(await api.createMonitor({ body }))
  const monitorId = id!
  await api.validateExistingMonitor({ monitorId, body })
  assert.equal(whole(await api.updateMonitor({ monitorId, body: { name: 'Renamed' } })).name, 'Renamed')
  assert.equal(whole(await api.getMonitor({ monitorId })).query, query)
  assert.equal(whole(await api.listMonitors({ monitorTags: 'a:b' })).length, 1)
  assert.equal(whole(await api.listMonitors({})).length, 5)
  const found = whole(await api.searchMonitors({ query: 'renamed' }))
  assert.deepEqual([found.monitors!.length, found.metadata!.totalCount], [1, 1])
  whole(await api.checkCanDeleteMonitor({ monitorIds: [monitorId] }))
  const muted = await fetch(`${practice.url}/api/v1/monitor/${monitorId}/mute`, {
    method: 'POST',
    headers: { 'dd-api-key': practice.keys.apiKey, 'dd-application-key': practice.keys.appKey },
  })
  assert.equal(muted.status, 200)
  assert.deepEqual(practice.state.monitors.get(monitorId)?.['options'], { silenced: { '*': null } })
  whole(await api.deleteMonitor({ monitorId }))
  await assert.rejects(api.getMonitor({ monitorId }), status(404))
})

test('downtimes: create, read, update, list, cancel', async () => {
  const api = new v2.DowntimesApi(config)
  const made = whole(
    await api.createDowntime({
      body: {
        data: {
          type: 'downtime',
          attributes: {
            scope: 'env:prod',
            monitorIdentifier: { monitorTags: ['team:shop'] },
            message: 'works',
          },
        },
      },
    }),
  )
  const downtimeId = made.data!.id!
  whole(
    await api.updateDowntime({
      downtimeId,
      body: { data: { id: downtimeId, type: 'downtime', attributes: { message: 'longer' } } },
    }),
  )
  assert.equal(whole(await api.getDowntime({ downtimeId })).data!.attributes!.message, 'longer')
  assert.equal(whole(await api.listDowntimes({})).data!.length, 1)
  await api.cancelDowntime({ downtimeId })
  assert.equal(whole(await api.getDowntime({ downtimeId })).data!.attributes!.status, 'canceled')
})

test('metrics: submitted by both versions, then queried', async () => {
  const now = Math.floor(Date.now() / 1000)
  const [one, two] = [new v1.MetricsApi(config), new v2.MetricsApi(config)]
  const series = { metric: 'test.made', tags: ['env:test'] }
  whole(await one.submitMetrics({ body: { series: [{ ...series, points: [[now - 60, 4]] }] } }))
  const sent = { ...series, type: 3 as const, points: [{ timestamp: now - 30, value: 8 }] }
  assert.deepEqual(
    whole(await two.submitMetrics({ body: { series: [sent] }, contentEncoding: 'gzip' })).errors,
    [],
  )
  await one.submitDistributionPoints({
    body: { series: [{ metric: 'test.spread', points: [[now, [1, 2]]] }] },
  })
  const range = { from: now - 600, to: now + 60 }
  const made = whole(await one.queryMetrics({ ...range, query: 'max:test.made{env:test}' }))
  assert.deepEqual(
    made.series![0]!.pointlist!.map(([, value]) => value),
    [4, 8],
  )
  const byHost = whole(await one.queryMetrics({ ...range, query: 'avg:system.cpu.user{env:prod} by {host}' }))
  assert.equal(byHost.series!.length, 4)
  const query = { dataSource: 'metrics' as const, name: 'a', query: 'sum:test.made{*}' }
  const timeseries = await two.queryTimeseriesData({
    body: {
      data: {
        type: 'timeseries_request',
        attributes: { from: range.from * 1000, to: range.to * 1000, queries: [query] },
      },
    },
  })
  assert.deepEqual(whole(timeseries).data!.attributes!.values![0], [4, 8])
  const scalar = await two.queryScalarData({
    body: {
      data: {
        type: 'scalar_request',
        attributes: {
          from: range.from * 1000,
          to: range.to * 1000,
          queries: [{ ...query, aggregator: 'avg' }],
        },
      },
    },
  })
  whole(scalar)
  assert.ok(whole(await one.listActiveMetrics({ from: range.from })).metrics!.includes('test.made'))
  assert.deepEqual(whole(await one.listMetrics({ q: 'metrics:test.' })).results!.metrics!.length, 2)
  whole(await one.getMetricMetadata({ metricName: 'test.made' }))
  whole(await two.listTagConfigurations({}))
})

test('logs: sent by both versions, then searched, paged and counted', async () => {
  const [one, two] = [new v1.LogsApi(config), new v2.LogsApi(config)]
  const log = {
    ddsource: 'test',
    ddtags: 'env:test',
    hostname: 'h',
    service: 'maker',
    message: 'made by a test',
  }
  await two.submitLog({ body: [log, { ...log, message: 'another' }], contentEncoding: 'gzip' })
  await one.submitLog({ body: [{ ...log, message: 'old way' }] })
  await practice.intake.waitFor(3)
  const found = whole(
    await two.listLogs({ body: { filter: { query: 'service:maker', from: 'now-1h', to: 'now' } } }),
  )
  assert.equal(found.data!.length, 3)
  const first = whole(await two.listLogsGet({ filterQuery: 'service:maker -another', pageLimit: 1 }))
  assert.equal(first.data!.length, 1)
  const rest = await two.listLogsGet({
    filterQuery: 'service:maker -another',
    pageLimit: 1,
    pageCursor: first.meta!.page!.after!,
  })
  assert.deepEqual([whole(rest).data!.length, rest.meta!.page], [1, undefined])
  const now = new Date()
  const old = await one.listLogs({
    body: {
      query: 'env:test',
      time: { from: new Date(now.getTime() - 60_000), to: new Date(now.getTime() + 2000) },
    },
  })
  assert.equal(whole(old).logs!.length, 3)
  const counted = await two.aggregateLogs({
    body: {
      filter: { query: 'service:auth', from: 'now-2h', to: 'now' },
      compute: [{ aggregation: 'count' }, { aggregation: 'cardinality', metric: '@usr.id' }],
      groupBy: [{ facet: 'status' }],
    },
  })
  const buckets = whole(counted).data!.buckets!
  assert.deepEqual(
    buckets.map(bucket => [bucket.by!['status'], bucket.computes!['c0']]),
    [
      ['info', 25],
      ['warn', 5],
    ],
  )
})

test('events: made by both versions, read and searched', async () => {
  const [one, two] = [new v1.EventsApi(config), new v2.EventsApi(config)]
  const { event } = whole(await one.createEvent({ body: { title: 'Deployed', text: 'test', tags: ['a:b'] } }))
  assert.equal(whole(await one.getEvent({ eventId: event!.id! })).event!.title, 'Deployed')
  const now = Math.floor(Date.now() / 1000)
  assert.equal(whole(await one.listEvents({ start: now - 600, end: now + 600 })).events!.length, 1)
  const tooOld = { title: 'x', text: 'y', dateHappened: now - 19 * 3600 }
  await assert.rejects(one.createEvent({ body: tooOld }), status(400))
  const made = await two.createEvent({
    body: {
      data: {
        type: 'event',
        attributes: {
          category: 'change',
          title: 'Flag changed',
          attributes: { changedResource: { name: 'fallback', type: 'feature_flag' } },
        },
      },
    },
  })
  const uid = whole(made).data!.attributes!.attributes!.evt!.uid!
  whole(await two.getEvent({ eventId: uid }))
  assert.equal(whole(await two.searchEvents({ body: { filter: { query: 'flag' } } })).data!.length, 1)
  assert.ok(whole(await two.listEvents({})).data!.length >= 3)
})

test('users and roles', async () => {
  const users = new v2.UsersApi(config)
  const roles = new v2.RolesApi(config)
  const body = { data: { type: 'users' as const, attributes: { email: 'new@example.com', name: 'New' } } }
  const made = whole(await users.createUser({ body }))
  const userId = made.data!.id!
  await assert.rejects(users.createUser({ body }), status(409))
  whole(
    await users.updateUser({
      userId,
      body: { data: { id: userId, type: 'users', attributes: { name: 'Newer' } } },
    }),
  )
  assert.equal(whole(await users.getUser({ userId })).data!.attributes!.name, 'Newer')
  assert.equal(whole(await users.listUsers({ filter: 'example.com' })).data!.length, 6)
  const role = whole(
    await roles.createRole({ body: { data: { type: 'roles', attributes: { name: 'Tests' } } } }),
  )
  const roleId = role.data!.id!
  const permission = whole(await roles.listPermissions()).data![0]!
  whole(
    await roles.addPermissionToRole({ roleId, body: { data: { id: permission.id!, type: 'permissions' } } }),
  )
  whole(await roles.addUserToRole({ roleId, body: { data: { id: userId, type: 'users' } } }))
  assert.equal(whole(await roles.listRoleUsers({ roleId })).data!.length, 1)
  assert.equal(whole(await users.listUserPermissions({ userId })).data!.length, 1)
  whole(await roles.removeUserFromRole({ roleId, body: { data: { id: userId, type: 'users' } } }))
  assert.equal(whole(await roles.listRoles({})).data!.length, 4)
  whole(await roles.getRole({ roleId }))
  await roles.deleteRole({ roleId })
  await users.disableUser({ userId })
  assert.equal(whole(await users.getUser({ userId })).data!.attributes!.disabled, true)
  const old = new v1.UsersApi(config)
  assert.equal(whole(await old.listUsers()).users!.length, 6)
  assert.equal(whole(await old.getUser({ userHandle: 'bo@example.com' })).user!.name, 'Bo')
})

test('key management, with whole keys in the answers that have them', async () => {
  const api = new v2.KeyManagementApi(config)
  const body = { data: { type: 'api_keys' as const, attributes: { name: 'Made' } } }
  const made = whole(await api.createAPIKey({ body }))
  const apiKeyId = made.data!.id!
  const key = made.data!.attributes!.key!
  assert.match(key, /^[0-9a-f]{32}$/)
  assert.equal(whole(await api.getAPIKey({ apiKeyId })).data!.attributes!.key, key)
  const listed = whole(await api.listAPIKeys({})).data!
  assert.equal(listed.length, 4)
  assert.ok(!JSON.stringify(listed).includes(key))
  const named = { data: { id: apiKeyId, type: 'api_keys' as const, attributes: { name: 'Renamed' } } }
  assert.equal(whole(await api.updateAPIKey({ apiKeyId, body: named })).data!.attributes!.name, 'Renamed')
  const withIt = new v1.AuthenticationApi(configured({ apiKeyAuth: key }))
  assert.equal(whole(await withIt.validate()).valid, true)
  await api.deleteAPIKey({ apiKeyId })
  await assert.rejects(withIt.validate(), status(403))
  const own = await api.createCurrentUserApplicationKey({
    body: { data: { type: 'application_keys', attributes: { name: 'Mine', scopes: ['monitors_read'] } } },
  })
  const appKeyId = whole(own).data!.id!
  assert.match(own.data!.attributes!.key!, /^[0-9a-f]{40}$/)
  whole(await api.getApplicationKey({ appKeyId }))
  assert.equal(whole(await api.listApplicationKeys({})).data!.length, 3)
  whole(await api.listCurrentUserApplicationKeys({}))
  await api.deleteApplicationKey({ appKeyId })
  const old = new v1.KeyManagementApi(config)
  const oldKey = whole(await old.createAPIKey({ body: { name: 'Old' } })).apiKey!.key!
  assert.equal(whole(await old.getAPIKey({ key: oldKey })).apiKey!.name, 'Old')
  assert.ok(whole(await old.listAPIKeys()).apiKeys!.some(each => each.key === oldKey))
  whole(await old.deleteAPIKey({ key: oldKey }))
  assert.equal(whole(await old.listApplicationKeys()).applicationKeys!.length, 2)
})

test('webhooks, service level objectives, notebooks and hosts', async () => {
  const webhooks = new v1.WebhooksIntegrationApi(config)
  const headers = JSON.stringify({ Authorization: 'Bearer x' })
  const body = { name: 'made', url: 'https://hooks.example.com/x', customHeaders: headers }
  whole(await webhooks.createWebhooksIntegration({ body }))
  assert.equal(whole(await webhooks.getWebhooksIntegration({ webhookName: 'made' })).customHeaders, headers)
  whole(
    await webhooks.updateWebhooksIntegration({
      webhookName: 'made',
      body: { url: 'https://hooks.example.com/y' },
    }),
  )
  await webhooks.deleteWebhooksIntegration({ webhookName: 'made' })
  const slos = new v1.ServiceLevelObjectivesApi(config)
  const slo = {
    name: 'Made',
    type: 'monitor' as const,
    monitorIds: [1],
    thresholds: [{ target: 99, timeframe: '7d' as const }],
  }
  const sloId = whole(await slos.createSLO({ body: slo })).data![0]!.id!
  whole(await slos.getSLO({ sloId }))
  whole(await slos.updateSLO({ sloId, body: { ...slo, name: 'Renamed' } }))
  assert.equal(whole(await slos.listSLOs({})).data!.length, 2)
  whole(await slos.deleteSLO({ sloId }))
  const notebooks = new v1.NotebooksApi(config)
  const attributes = {
    name: 'Made',
    time: { liveSpan: '1h' as const },
    cells: [
      {
        type: 'notebook_cells' as const,
        attributes: { definition: { type: 'markdown' as const, text: '# Hello' } },
      },
    ],
  }
  const notebook = whole(
    await notebooks.createNotebook({ body: { data: { type: 'notebooks', attributes } } }),
  )
  const notebookId = notebook.data!.id
  whole(await notebooks.getNotebook({ notebookId }))
  assert.equal(whole(await notebooks.listNotebooks({})).data!.length, 1)
  await notebooks.deleteNotebook({ notebookId })
  const hosts = new v1.HostsApi(config)
  assert.equal(whole(await hosts.listHosts({})).hostList!.length, 4)
  whole(await hosts.muteHost({ hostName: 'web-1', body: { message: 'works' } }))
  whole(await hosts.unmuteHost({ hostName: 'web-1' }))
  whole(await hosts.getHostTotals({}))
  whole(await new v1.IPRangesApi(config).getIPRanges())
})

test('each operation wants its own credential', async () => {
  const { keys } = practice
  const list = (auth: client.AuthMethodsConfiguration) =>
    new v1.MonitorsApi(configured(auth)).listMonitors({})
  await list({ AuthZ: { accessToken: keys.accessToken } })
  await list({ apiKeyAuth: 'not looked at', appKeyAuth: keys.accessToken })
  await assert.rejects(list({}), status(401))
  await assert.rejects(list({ apiKeyAuth: keys.apiKey }), status(401))
  await assert.rejects(list({ apiKeyAuth: keys.apiKey, appKeyAuth: 'wrong' }), status(403))
  await assert.rejects(list({ apiKeyAuth: 'wrong', appKeyAuth: keys.appKey }), status(403))
  await assert.rejects(list({ AuthZ: { accessToken: 'wrong' } }), status(403))
  const validate = (auth: client.AuthMethodsConfiguration) =>
    new v1.AuthenticationApi(configured(auth)).validate()
  await validate({ apiKeyAuth: keys.apiKey })
  await assert.rejects(validate({ apiKeyAuth: 'wrong' }), status(403))
})

test('it fails when told to, says how much is left, and keeps what arrived', async () => {
  const api = new v1.MonitorsApi(config)
  practice.fail({ kind: 'status', status: 503 }, 1)
  await assert.rejects(api.listMonitors({}), status(503))
  // Not with the official client: it prints the first, and waits for ever for the rest of the second.
  const read = async () => {
    const answer = await fetch(`${practice.url}/api/v1/monitor`)
    return await answer.text()
  }
  practice.fail({ kind: 'down' }, 1)
  await assert.rejects(read())
  practice.fail({ kind: 'reset' }, 1)
  await assert.rejects(read())
  practice.fail({ kind: 'delay', ms: 1 }, 1)
  await api.listMonitors({})
  const last = practice.requests.at(-1)
  assert.deepEqual([last?.operation, last?.headers['dd-api-key']], ['v1.listMonitors', practice.keys.apiKey])
  const missing = await fetch(`${practice.url}/api/v9/thing`, {
    headers: { 'dd-application-key': practice.keys.accessToken },
  })
  assert.equal(missing.status, 404)
  assert.match(missing.headers.get('x-ratelimit-remaining') ?? '', /^\d+$/)
  assert.deepEqual(await missing.json(), { errors: ['Not found'] })
})
