/** Runs the example as it stands, with the practice stand-ins in place of the company's issuer and of Datadog. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { client, v1 } from '@datadog/datadog-api-client'
import { startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import { startPracticeIdentityProvider } from '../../practice/identity-provider/practice-identity-provider.ts'
import { silentLogger } from '../../src/log.ts'
import { startGateway } from '../../src/main.ts'

const stack = new AsyncDisposableStack()
let monitors: v1.MonitorsApi
let dashboards: v1.DashboardsApi
let datadog: Awaited<ReturnType<typeof startPracticeDatadog>>

before(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-example-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const idp = await startPracticeIdentityProvider()
  stack.defer(() => idp.close())
  datadog = await startPracticeDatadog()
  stack.defer(() => datadog.close())
  const example = await readFile(join(import.meta.dirname, 'sallyport.yaml'), 'utf8')
  const config = join(directory, 'sallyport.yaml')
  const local = example
    .replace('https://idp.example.com', idp.issuer)
    .replace('address: 127.0.0.1:8080', 'address: 127.0.0.1:0')
    .replace('    site: datadoghq.com\n    credential', `    url: ${datadog.url}\n    credential`)
    .replace(
      '    site: datadoghq.com\n    api_key',
      `    intake_url: ${datadog.url}/api/v2/logs\n    api_key`,
    )
  await writeFile(config, local)
  process.env['DD_API_KEY'] = datadog.keys.apiKey
  process.env['DD_APP_KEY'] = datadog.keys.appKey
  process.env['DD_LOGS_API_KEY'] = datadog.keys.apiKey
  const gateway = await startGateway({ config, logger: silentLogger })
  stack.defer(() => gateway.close(500))
  const token = await idp.mintFor('triage-agent')
  const configuration = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(`${gateway.urls[0]!}/c/datadog-prod`, {}),
    authMethods: { apiKeyAuth: token, appKeyAuth: token },
  })
  monitors = new v1.MonitorsApi(configuration)
  dashboards = new v1.DashboardsApi(configuration)
})
after(() => stack.disposeAsync())

test('the agent reads, and e-mail addresses are masked', async () => {
  const all = await monitors.listMonitors({})
  assert.ok(all.length > 0)
  assert.ok(!JSON.stringify(all).includes('@example.com'))
})

test('P11: a denial names its rule in the words of the client’s own errors', async () => {
  const [first] = await monitors.listMonitors({})
  const paging = monitors.updateMonitor({
    monitorId: first!.id!,
    body: { message: 'wake up @pagerduty-oncall' },
  })
  await assert.rejects(paging, (error: client.ApiException<{ errors: string[] }>) => {
    assert.equal(error.code, 403)
    assert.match(JSON.stringify(error.body), /no-paging-monitors/)
    return true
  })
  await assert.rejects(dashboards.deleteDashboard({ dashboardId: 'abc-def-ghi' }), /403/)
})

test('P7: what happened is at Datadog as well', async () => {
  await datadog.intake.waitFor(6, 10_000)
  const names = datadog.intake.logs.map(({ record }) => JSON.stringify(record))
  assert.ok(names.some(each => each.includes('v1.listMonitors')))
})
