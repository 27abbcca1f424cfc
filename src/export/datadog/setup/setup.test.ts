/** The installation against a Datadog that keeps state, and against the official client's own models. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { client, v1, v2 } from '@datadog/datadog-api-client'
import { type PracticeDatadog, startPracticeDatadog } from '../../../../practice/datadog/practice-datadog.ts'
import { parse } from 'yaml'
import { datadogSetup } from '../../../config/datadog-setup.ts'
import { sinksSection } from '../../../config/sinks.ts'
import { type DatadogApi, openDatadogApi } from '../api.ts'
import { definitionsOf } from './definitions.ts'
import type { Definition, Json } from './definition.ts'
import { carryOut, plan, planRemoval, type Step } from './plan.ts'

const setup = datadogSetup.parse({
  notify: '@slack-security',
  page: '@pagerduty-security',
  index: { retention_days: 15, flex_days: 360, daily_limit: 50_000_000 },
  archive: { type: 's3', bucket: 'audit', account_id: '123456789012', role_name: 'dd-archive' },
  watched_keys: [{ key_id: '11111111-2222-4333-8444-555555555555', addresses: ['192.0.2.1', '2001:db8::1'] }],
})
const { definitions } = definitionsOf({ setup, ships: () => true })

let datadog: PracticeDatadog
let api: DatadogApi
let configuration: client.Configuration
before(async () => {
  datadog = await startPracticeDatadog()
  const { apiKey, appKey } = datadog.keys
  api = openDatadogApi({ url: datadog.url, apiKey: () => apiKey, appKey: () => appKey })
  configuration = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(datadog.url, {}),
    authMethods: { apiKeyAuth: apiKey, appKeyAuth: appKey },
  })
})
after(async () => {
  await api.close()
  await datadog.close()
})

async function install(of: readonly Definition[] = definitions): Promise<Step[]> {
  const steps = (await plan(api, of)).filter(step => step.do !== 'keep')
  for (const step of steps) await carryOut(api, step)
  return steps
}

/** Where the client met what its models do not know: `unparsed`, or members beyond them. */
function unknownIn(value: unknown, path = '$'): string[] {
  if (typeof value !== 'object' || value === null) return []
  const own = value as Record<string, unknown>
  const found = own['_unparsed'] === true ? [`${path} is unparsed`] : []
  const more = own['additionalProperties']
  if (typeof more === 'object' && more !== null && Object.keys(more).length > 0)
    found.push(`${path} has ${Object.keys(more).join(', ')} as well`)
  if ('_data' in own) found.push(`${path} is an unparsed object`)
  return [...found, ...Object.entries(own).flatMap(([name, each]) => unknownIn(each, `${path}.${name}`))]
}

/** Everything that is there, as the official client reads it. */
async function everything(): Promise<Record<string, unknown>> {
  const rules = new v2.SecurityMonitoringApi(configuration)
  const dashboards = new v1.DashboardsApi(configuration)
  const { dashboards: listed = [] } = await dashboards.listDashboards({})
  return {
    pipelines: await new v1.LogsPipelinesApi(configuration).listLogsPipelines(),
    indexes: await new v1.LogsIndexesApi(configuration).listLogIndexes(),
    order: await new v1.LogsIndexesApi(configuration).getLogsIndexOrder(),
    archives: await new v2.LogsArchivesApi(configuration).listLogsArchives(),
    metrics: await new v2.LogsMetricsApi(configuration).listLogsMetrics(),
    monitors: await new v1.MonitorsApi(configuration).listMonitors({}),
    rules: await rules.listSecurityMonitoringRules({ pageSize: 100 }),
    dashboards: await Promise.all(listed.map(({ id }) => dashboards.getDashboard({ dashboardId: id! }))),
  }
}

test('install makes everything, and the official client knows every field of it', async () => {
  const steps = await install()
  assert.deepEqual(
    steps.map(step => step.do),
    [...definitions.map(() => 'create'), 'place-index-first'],
  )
  assert.deepEqual(unknownIn(await everything()), [])
  assert.equal([...datadog.state.logIndexes.keys()][0], 'sallyport')
})

test('what is not in the models is found: a control', async () => {
  const { state } = datadog
  const [id, monitor] = [...state.monitors].at(-1)!
  state.monitors.set(id, { ...monitor, unheard_of: 1, type: 'no such type' })
  assert.equal(unknownIn(await everything()).length >= 2, true)
  state.monitors.set(id, monitor)
})

test('install twice changes nothing', async () => {
  assert.deepEqual(await install(), [])
})

test('what somebody changed is shown field by field and put right', async () => {
  const { state } = datadog
  const ours = [...state.monitors.values()].find(each =>
    (each['tags'] as string[]).includes('sallyport_id:no-approval'),
  )!
  state.monitors.set(ours.id, { ...ours, query: ours['query'] + '0', name: 'Renamed', priority: 5 })
  const steps = (await plan(api, definitions)).filter(step => step.do !== 'keep')
  assert.equal(steps.length, 1)
  assert.ok(steps[0]?.do === 'change')
  assert.deepEqual(steps[0].changes.map(each => each.path).toSorted(), ['name', 'priority', 'query'])
  assert.equal((await install()).length, 1)
  assert.deepEqual(state.monitors.get(ours.id)!['name'], ours['name'])
  assert.deepEqual(await install(), [])
})

test('each kind takes its change, by the method and body that Datadog takes', async () => {
  const changed = structuredClone(definitions) as Definition[]
  for (const { kind, body } of changed) alter(kind, body)
  const steps = await install(changed)
  assert.deepEqual(
    new Set(steps.map(step => (step.do === 'change' ? step.definition.kind : step.do))),
    new Set(definitions.map(each => each.kind)),
  )
  assert.deepEqual(await install(changed), [])
  assert.deepEqual(unknownIn(await everything()), [])
  await install()
  assert.deepEqual(await install(), [])
})

function alter(kind: Definition['kind'], body: Json): void {
  const data = body['data'] as { attributes: Json } | undefined
  if (kind === 'log-metric') data!.attributes['group_by'] = []
  else if (kind === 'archive') data!.attributes['query'] = 'source:other'
  else if (kind === 'index') body['num_retention_days'] = 7
  else if (kind === 'dashboard') body['widgets'] = (body['widgets'] as unknown[]).slice(1)
  else if (kind === 'pipeline') body['processors'] = []
  else body['message'] = 'another'
}

test('a limit of the index that is no longer wanted is taken away', async () => {
  const changed = structuredClone(definitions) as Definition[]
  delete changed.find(each => each.kind === 'index')!.body['daily_limit']
  changed.find(each => each.kind === 'index')!.body['num_retention_days'] = 30
  await install(changed)
  assert.equal(datadog.state.logIndexes.get('sallyport')!['daily_limit'], null)
  await install()
})

test('what is ours and no longer defined goes', async () => {
  const fewer = definitions.filter(each => each.id !== 'denials')
  const steps = await install(fewer)
  assert.deepEqual(
    steps.map(step => (step.do === 'remove' ? step.found.id : step.do)),
    ['denials'],
  )
  await install()
})

test('uninstall removes ours and nothing else; the index only when asked for', async () => {
  const own = await startPracticeDatadog()
  const untouched = JSON.stringify(stateOf(own))
  await own.close()
  const stranger = { ...datadog.state.monitors.values().next().value!, name: '[Sallyport] not ours' }
  datadog.state.monitors.set(stranger.id, stranger)
  const dashboard = [...datadog.state.dashboards.values()][0]!
  datadog.state.dashboards.set(String(dashboard['id']), { ...dashboard, title: 'Agent activity by target' })
  for (const step of await planRemoval(api, definitions, false)) await carryOut(api, step)
  assert.deepEqual([...datadog.state.logIndexes.keys()], ['sallyport', 'main'])
  assert.equal(datadog.state.monitors.get(stranger.id)!['name'], '[Sallyport] not ours')
  for (const step of await planRemoval(api, definitions, true)) await carryOut(api, step)
  assert.deepEqual(await planRemoval(api, definitions, true), [])
  assert.equal(JSON.stringify(stateOf(datadog)), untouched)
})

/** How many of each there are: ids differ from one organisation to the next. */
function stateOf({ state }: PracticeDatadog): unknown {
  const { monitors, dashboards, logPipelines, logIndexes, logArchives, logMetrics, securityRules } = state
  return [monitors, dashboards, logPipelines, logIndexes, logArchives, logMetrics, securityRules].map(
    each => each.size,
  )
}

test('an error of the API is told in its words, without the keys', async () => {
  datadog.fail({ kind: 'status', status: 403 }, 1)
  await assert.rejects(plan(api, definitions), (error: Error) => {
    assert.match(error.message, /403 Practice fault/)
    assert.ok(!error.message.includes(datadog.keys.apiKey))
    return true
  })
})

test("the guide's configuration is a valid one, and the guide names every monitor", async () => {
  const guide = await readFile(new URL('../../../../docs/guides/datadog-setup.md', import.meta.url), 'utf8')
  const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(guide)!
  assert.equal(sinksSection.parse((parse(yaml!) as { sinks: unknown }).sinks).length, 1)
  for (const { kind, id } of definitions) {
    if (kind === 'monitor') assert.ok(guide.includes(`\`${id.replace(/-[0-9a-f-]{36}$/, '-<id>')}\``), id)
  }
})
