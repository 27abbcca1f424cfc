/** `sallyport export reconcile` as a person runs it, against a running gateway and a Datadog that lost something. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
let gateway: TestGateway

before(async () => {
  world = await createWorld()
  const { datadog } = world
  const secret = (name: string, value: string) => world.secret(name, value)
  await world.configure({
    retention: { requirements: ['pci-dss'] },
    sinks: [
      {
        name: 'dd',
        type: 'datadog',
        api_key: await secret('dd-api', datadog.keys.apiKey),
        app_key: await secret('dd-app', datadog.keys.appKey),
        intake_url: `${datadog.url}/api/v2/logs`,
        api_url: datadog.url,
        batch: { max_wait: '0s' },
      },
    ],
  })
  gateway = await openGateway(world)
  for (let i = 0; i < 3; i++) {
    const headers = { authorization: `Bearer ${await world.token('triage-agent')}` }
    await (await fetch(`${gateway.url}/c/datadog/api/v1/monitor`, { headers })).arrayBuffer()
  }
  await datadog.intake.waitFor(gateway.running.services.storage.log.size)
})

after(async () => {
  await gateway.close()
  await world.close()
})

const reconcile = (...more: string[]) =>
  runCli(['export', 'reconcile', 'dd', '--until', '0s', '--json', ...more], { cwd: world.directory })

interface Found {
  readonly equal: boolean
  readonly entries: number
  readonly missing: number
  readonly sent?: number
}

test('P7: 0 where all is there, 1 where something is lost and sent again, 2 where it can not be told', async () => {
  const first = await reconcile('--dry-run')
  assert.equal(first.code, 0, first.stderr + first.stdout)
  assert.ok((JSON.parse(first.stdout) as Found).entries >= 6)
  const { intake } = world.datadog
  intake.tamper((log, i) => (i === 2 ? [] : [log]))
  const lost = await reconcile()
  assert.equal(lost.code, 1, lost.stderr)
  const found = JSON.parse(lost.stdout) as Found
  assert.deepEqual([found.equal, found.missing, found.sent], [false, 1, 1])
  const [entry] = await gateway.waitForEntries(1, ({ kind }) => kind === 'export.diverged')
  assert.equal((entry!['compared'] as Found).missing, 1)
  await intake.waitFor(gateway.running.services.storage.log.size)
  const mended = await reconcile('--dry-run')
  assert.equal(mended.code, 0, mended.stdout)
  world.datadog.fail({ kind: 'status', status: 403 })
  const unable = await reconcile()
  world.datadog.fail(undefined)
  assert.equal(unable.code, 2)
  assert.match(unable.stderr, /logs_read_data/)
})

test('export status and doctor say how long the events are kept, and what asks for more', async () => {
  const status = await runCli(['export', 'status'], { cwd: world.directory })
  assert.match(status.stdout, /dd: pci-dss asks for 90 days at hand/)
  assert.match(status.stdout, /not equal/)
  const doctor = await runCli(['doctor'], { cwd: world.directory })
  assert.match(doctor.stdout, /warn\s+kept: dd\s+pci-dss asks for 365 days, and there is no archive/)
})
