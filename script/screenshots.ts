/** The pictures of the guide: every page of the console before the stage of its tests. Names given choose pages. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { launchChromium, type Look, openVisitor, signInAs } from '../test/servers/console-browser.ts'
import { type ConsoleStage, openConsoleStage } from '../test/servers/console-stage.ts'
import { missing, postgresPrograms } from '../test/servers/postgres-cluster.ts'
import { root } from '../test/sources.ts'

const directory = join(root, 'docs/images/console')
const looks: readonly Look[] = [
  { scheme: 'light' },
  { scheme: 'dark' },
  { scheme: 'light', phone: true },
  { scheme: 'dark', phone: true },
]

/** A morning's work: enough of each outcome to fill a page. */
async function work(stage: ConsoleStage): Promise<string> {
  // Some time passes between, or the charts would be one bar.
  for (const reads of [2, 5, 3]) {
    await stage.runReads(reads)
    await sleep(15_000)
  }
  const agent = stage.runAgent()
  await stage.decideNext('approve')
  await agent
  await stage.query([
    'select id, name, email, city, notes from customers order by id limit 8',
    'select c.city, sum(o.total) from orders o join customers c on c.id = o.customer group by 1 order by 2 desc',
    'delete from orders where id < 10',
    'select count(*) from orders',
  ])
  await sleep(15_000)
  await stage.runReads(6)
  const { id, done } = await stage.askForChange(120)
  done.catch(() => undefined)
  return id
}

async function sessionOf(stage: ConsoleStage, protocol: string): Promise<string> {
  const entries = await stage.gateway.entries()
  return entries.find(each => each.connection?.protocol === protocol && each.masked?.count)!.session!
}

async function photograph(page: Page, file: string): Promise<void> {
  await page.locator('h1').waitFor()
  await page.locator('.skeleton').first().waitFor({ state: 'detached' })
  await page.waitForTimeout(600)
  await page.screenshot({ path: file })
}

const programs = await postgresPrograms()
if (programs === undefined) throw new Error(missing)
await using stage = await openConsoleStage(programs, { detection: { first_use: { after: '0s' } } })
const approval = await work(stage)
const pages: Readonly<Record<string, string>> = {
  overview: '?range=15m',
  live: 'live',
  search: 'search?since=15m',
  sessions: 'sessions',
  detections: 'detections',
  'session-http': `sessions/${await sessionOf(stage, 'datadog')}`,
  'session-sql': `sessions/${await sessionOf(stage, 'postgres')}`,
  approvals: 'approvals',
  approval: `approvals/${approval}`,
  exceptions: 'exceptions',
  policy: 'policy',
  connections: 'connections',
  identities: 'identities',
  access: 'access',
  log: 'log',
  sinks: 'sinks',
}
const wanted = process.argv.slice(2)
await mkdir(directory, { recursive: true })
const browser = await launchChromium()
try {
  for (const look of looks) {
    await using visitor = await openVisitor(browser, look)
    const { page } = visitor
    const suffix = `${look.scheme}-${look.phone === true ? 'phone' : 'desktop'}.png`
    await page.goto(`${stage.gateway.url}/console/sign-in`)
    await page.getByRole('link', { name: 'Practice' }).waitFor()
    await page.screenshot({ path: join(directory, `sign-in-${suffix}`) })
    await signInAs(page, `${stage.gateway.url}/console/`, 'bo')
    for (const [name, path] of Object.entries(pages)) {
      if (wanted.length > 0 && !wanted.includes(name)) continue
      await page.goto(`${stage.gateway.url}/console/${path}`)
      await photograph(page, join(directory, `${name}-${suffix}`))
    }
  }
} finally {
  await browser.close()
}
// The call that waits for its approval would keep the process up.
process.exit()
