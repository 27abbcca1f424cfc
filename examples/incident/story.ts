/** The incident from its beginning to its end, with the practice stand-ins; gives what each command printed. */
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { client, v1 } from '@datadog/datadog-api-client'
import { startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import { startPracticeIdentityProvider } from '../../practice/identity-provider/practice-identity-provider.ts'
import { silentLogger } from '../../src/log.ts'
import { type RunningGateway, startGateway } from '../../src/main.ts'
import { runCli } from '../../test/support/cli.ts'

export interface IncidentStory {
  /** By command, as the guide has it, what it printed; ids, times and addresses are those of every telling. */
  readonly printed: ReadonlyMap<string, string>
  /** Whether the monitor and the dashboard are as they were before. */
  readonly isUndone: boolean
}

export async function tellIncident(): Promise<IncidentStory> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-incident-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const idp = await startPracticeIdentityProvider()
  stack.defer(() => idp.close())
  const datadog = await startPracticeDatadog()
  stack.defer(() => datadog.close())
  const sandbox = await startPracticeDatadog({ sandbox: true })
  stack.defer(() => sandbox.close())
  process.env['DD_API_KEY'] = datadog.keys.apiKey
  process.env['DD_APP_KEY'] = datadog.keys.appKey
  const config = await configured(directory, idp.issuer, datadog.url)
  await copyFile(join(import.meta.dirname, 'proposed.yaml'), join(directory, 'proposed.yaml'))
  const gateway = await startGateway({ config, logger: silentLogger })
  stack.defer(() => gateway.close(500))

  const { monitors, dashboards } = datadog.state
  const [monitorId, monitor] = [...monitors][0]!
  const [dashboardId] = [...dashboards][0]!
  const was = monitor['query']
  await misbehave(gateway, await idp.mintFor('triage-agent'), { monitorId, dashboardId })
  const session = await sessionOf(gateway)
  const names = new Map([
    [session, '$SESSION'],
    [sandbox.url, '$SANDBOX'],
  ])
  const printed = new Map<string, string>()
  const indexes = new Map<string, number>()
  const token = await idp.mintFor('cam')
  for (const command of commands) {
    const args = [...names].reduce((text, [real, name]) => text.replaceAll(name, real), command).split(' ')
    const { stdout, stderr } = await runCli([...args.slice(1), '--url', gateway.urls[0]!, '--token', token], {
      cwd: directory,
    })
    const output = stdout === '' ? stderr : stdout
    printed.set(command, steady(output, { names, indexes }))
  }
  const isUndone = monitors.get(monitorId)?.['query'] === was && dashboards.has(dashboardId)
  return { printed, isUndone }
}

export const commands = [
  'sallyport audit search --operation v1.* --kind action.completed --identity triage-agent',
  'sallyport sessions replay $SESSION --sandbox $SANDBOX',
  'sallyport sessions replay $SESSION --sandbox $SANDBOX --policy proposed.yaml',
  'sallyport sessions undo $SESSION --dry-run',
  'sallyport sessions undo $SESSION --yes',
  'sallyport audit search --kind undo.started undo.applied',
]

async function configured(directory: string, issuer: string, datadog: string): Promise<string> {
  const example = await readFile(join(import.meta.dirname, 'sallyport.yaml'), 'utf8')
  const config = join(directory, 'sallyport.yaml')
  const local = example
    .replace('https://idp.example.com', issuer)
    .replace('address: 127.0.0.1:8080', 'address: 127.0.0.1:0')
    .replace('site: datadoghq.com', `url: ${datadog}`)
  await writeFile(config, local)
  return config
}

/** It was told that a monitor is too loud, and that a dashboard is out of date. */
async function misbehave(
  gateway: RunningGateway,
  token: string,
  of: { readonly monitorId: number; readonly dashboardId: string },
): Promise<void> {
  const configuration = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(`${gateway.urls[0]!}/c/datadog-prod`, {}),
    authMethods: { apiKeyAuth: token, appKeyAuth: token },
  })
  const monitors = new v1.MonitorsApi(configuration)
  const { query } = await monitors.getMonitor({ monitorId: of.monitorId })
  const critical = 9000
  await monitors.updateMonitor({
    monitorId: of.monitorId,
    body: { query: query.replace(/\d+$/, String(critical)), options: { thresholds: { critical } } },
  })
  await new v1.DashboardsApi(configuration).deleteDashboard({ dashboardId: of.dashboardId })
}

async function sessionOf({ services }: RunningGateway): Promise<string> {
  const { storage } = services
  await storage.index.whenIndexed(storage.log.size)
  const page = await storage.index.search({ kinds: ['session.started'], identity: 'triage-agent', limit: 1 })
  return (JSON.parse(page.entries[0]!.bytes.toString('utf8')) as { session: string }).session
}

/** What differs from one telling to the next, made the same: heartbeats may stand between any two entries. */
function steady(
  text: string,
  { names, indexes }: { readonly names: ReadonlyMap<string, string>; readonly indexes: Map<string, number> },
): string {
  let out = text.replaceAll(/#(\d+)/g, (_, index: string) => {
    if (!indexes.has(index)) indexes.set(index, indexes.size + 1)
    return `#${indexes.get(index)}`
  })
  for (const [real, name] of names) out = out.replaceAll(real, name)
  return out
    .replaceAll(/\d\d:\d\d:\d\d/g, '09:30:00')
    .replaceAll(/\b\d+\.\d ms\b/g, '4.2 ms')
    .replaceAll(/[ \t]+$/gm, '')
    .trimEnd()
}
