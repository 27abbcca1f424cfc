/**
 * The main job on one machine, told as it happens: a sample agent made with Datadog's own client reads, is masked, is
 * held for approval, is denied, and runs in a loop, which is noticed; the audit feed runs beside it; Datadog has the
 * same events; the log verifies.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, verify } from '../../src/audit/verify.ts'
import type { Entry } from '../../src/audit/events.ts'
import { approvalText, type ApprovalView } from '../../src/cli/approval-text.ts'
import { entryLine } from '../../src/cli/entry-text.ts'
import { paint, print } from '../../src/cli/output.ts'
import { type PracticeWorld, startPracticeWorld } from './world.ts'

const root = join(import.meta.dirname, '../..')
/** Kinds that would only be noise in a story. */
const quiet = new Set(['heartbeat', 'audit.read', 'log.opened', 'key.created', 'connection.changed'])

export async function runQuickstart(choice: { readonly keep: boolean }): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  const world = await startPracticeWorld(() => undefined)
  try {
    await tell(world, stop.signal)
    if (choice.keep) {
      print(paint('bold', '\nEverything stays up. Ctrl-C ends it.'))
      nextSteps(world)
      await untilAborted(stop.signal)
    } else {
      print(`\n${paint('bold', 'To look around yourself:')} script/quickstart --keep`)
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    await world.close()
  }
}

async function tell(world: PracticeWorld, signal: AbortSignal): Promise<void> {
  print(paint('bold', 'Sallyport quickstart'))
  print(`  gateway            ${world.url}`)
  print(`  console            ${world.url}/console/`)
  print(`  identity provider  ${world.identityProvider.issuer}  (practice)`)
  print(`  Datadog            ${world.datadog.url}  (practice; only the gateway has its keys)`)

  chapter('An agent works. It has a token of its own and the gateway’s address; no Datadog key.')
  const feed = followFeed(world)
  const over = new AbortController()
  const approver = approveWhenAsked(world, AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
    if (!over.signal.aborted) throw error
  })
  await runAgent(world, signal)
  over.abort()
  await approver
  await sleep(300)
  feed.stop()

  chapter('Then it runs in a loop, and tries what it may not: noticed while it happens')
  await goWrong(world, signal)

  chapter('The same, as Datadog received it')
  await showIntake(world)

  chapter('Anyone can check the log')
  await showVerification(world)
}

function chapter(title: string): void {
  print(`\n${paint('bold', `── ${title}`)}`)
}

const isTold = ({ kind }: Entry): boolean => !quiet.has(kind)
const isFinding = ({ kind }: Entry): boolean => kind.startsWith('detection.')

/** The live feed, as `sallyport audit tail` shows it. `seen` is told of each entry that is printed. */
function followFeed(
  { gateway }: PracticeWorld,
  show: (entry: Entry) => boolean = isTold,
  seen: (entry: Entry) => void = () => undefined,
): { stop(): void } {
  const { storage, audit } = gateway.services
  let next = storage.log.size
  let reading = Promise.resolve()
  const look = (): void => {
    reading = reading.then(async () => {
      for (const bytes of await storage.log.read(next, 256)) {
        next++
        const entry = JSON.parse(bytes.toString('utf8')) as Entry
        if (!show(entry)) continue
        print(`${paint('magenta', '  audit │')} ${entryLine(entry)}`)
        seen(entry)
      }
    })
  }
  return { stop: audit.onGrowth(look) }
}

/** Bo of the platform team looks at what is asked, and says yes. */
async function approveWhenAsked(world: PracticeWorld, signal: AbortSignal): Promise<void> {
  const token = await world.identityProvider.mintFor('bo')
  const call = async <T>(path: string, init: RequestInit = {}): Promise<T> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(`${world.url}/api/v1${path}`, { ...init, headers, signal })
    return (await response.json()) as T
  }
  for (let tries = 0; tries < 600; tries++) {
    const { approvals } = await call<{ approvals: ApprovalView[] }>('/approvals')
    const [asked] = approvals.filter(each => each.state === 'pending')
    if (asked !== undefined) {
      const lines = approvalText(asked).split('\n')
      for (const line of lines) print(`${paint('cyan', '     bo │')} ${line}`)
      await sleep(1500, undefined, { signal })
      await call(`/approvals/${asked.id}/approve`, {
        method: 'POST',
        body: JSON.stringify({ reason: 'agreed in stand-up' }),
      })
      print(`${paint('cyan', '     bo │')} approved: “agreed in stand-up”`)
      return
    }
    await sleep(100, undefined, { signal })
  }
}

/** Ends when a streak of refusals and a surge have been in the feed. */
async function goWrong(world: PracticeWorld, signal: AbortSignal): Promise<void> {
  const awaited = new Set(['detection.denial_streak_found', 'detection.surge_found'])
  const token = await world.identityProvider.mintFor('triage-agent')
  const ask = async (method: string, path: string): Promise<void> => {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await fetch(`${world.url}/c/datadog-prod${path}`, { method, headers, signal })
    await answer.arrayBuffer()
  }
  await new Promise<void>((done, failed) => {
    const feed = followFeed(world, isFinding, ({ kind }) => {
      awaited.delete(kind)
      if (awaited.size > 0) return
      feed.stop()
      done()
    })
    const act = async (): Promise<void> => {
      print(`${paint('yellow', '  agent │')} deletes three dashboards, then lists the monitors 25 times`)
      for (let i = 0; i < 3; i++) await ask('DELETE', '/api/v1/dashboard/abc-def-ghi')
      for (let i = 0; i < 25; i++) await ask('GET', '/api/v1/monitor')
    }
    act().catch(failed)
    signal.addEventListener('abort', () => failed(new Error('ended')), { once: true })
  })
}

async function runAgent(world: PracticeWorld, signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'practice/agent/main.ts')], {
    env: {
      PATH: process.env['PATH'],
      DD_BASE_URL: `${world.url}/c/datadog-prod`,
      DD_TOKEN: await world.identityProvider.mintFor('triage-agent'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', line => print(`${paint('yellow', '  agent │')} ${line}`))
  }
  await new Promise<void>((done, failed) => {
    child.once('error', failed)
    child.once('close', code =>
      code === 0 ? done() : failed(new Error(`the sample agent ended with ${code}`)),
    )
  })
}

interface DatadogEvent {
  readonly status?: string
  readonly message?: string
}

async function showIntake({ datadog, gateway }: PracticeWorld): Promise<void> {
  const { storage } = gateway.services
  await datadog.intake.waitFor(storage.log.size - 1, 10_000).catch(() => undefined)
  const received = datadog.intake.logs.map(({ record }) => record as DatadogEvent)
  const told = received.filter(({ message }) => message !== undefined && !/heartbeat/i.test(message))
  const distinct = [...new Map(told.map(each => [each.message, each])).values()]
  for (const { status = '', message } of distinct.slice(-12)) print(`  ${status.padEnd(7)} ${message}`)
  print(paint('dim', `  ${received.length} events; the log has ${storage.log.size} entries`))
}

async function showVerification({ gateway }: PracticeWorld): Promise<void> {
  const { published, storage, checkpoint } = gateway.services
  for (let tries = 0; tries < 50 && (checkpoint()?.size ?? 0) < storage.log.size; tries++) await sleep(100)
  const report = await verify({ directory: published, vkeys: [join(published, 'log.vkey')], complete: true })
  print(
    describe(report)
      .replace(published, 'data/log')
      .split('\n')
      .map(line => `  ${line}`)
      .join('\n')
      .trimEnd(),
  )
  if (report.exit !== 0) throw new Error('the log does not verify')
}

function nextSteps({ config, url, identityProvider }: PracticeWorld): void {
  const sallyport = `script/sallyport --config ${config}`
  print(`
  ${sallyport} audit tail
  ${sallyport} audit search --outcome denied
  ${sallyport} sessions list
  ${sallyport} sessions replay <session>
  ${sallyport} export status
  ${sallyport} verify --complete
  ${sallyport} policy explain ${config} --connection datadog-prod --operation v1.deleteMonitor --risk delete

  TOKEN=$(curl -s ${identityProvider.issuer}/token -u triage-agent:practice -d grant_type=client_credentials | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl -H "DD-API-KEY: $TOKEN" ${url}/c/datadog-prod/api/v1/monitor

  ${url}/console/        # the console; sign in as bo@example.com, who may see and decide

  script/sallyport --url ${url} login        # as a person of the practice identity provider
  script/sallyport --url ${url} approvals watch`)
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    // Something must keep the process up while nothing else does.
    const alive = setInterval(() => undefined, 60_000)
    signal.addEventListener('abort', () => clearInterval(alive), { once: true })
  })
}
