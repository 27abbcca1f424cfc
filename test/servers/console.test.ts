/** The console in a real browser, before a real gateway, an identity provider, a practice Datadog and PostgreSQL. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import {
  assertAccessible,
  launchChromium,
  missingChromium,
  openVisitor,
  signInAs,
} from './console-browser.ts'
import { type ConsoleStage, openConsoleStage } from './console-stage.ts'
import { missing, postgresPrograms } from './postgres-cluster.ts'

const programs = await postgresPrograms()
const skip = missingChromium || (programs === undefined && missing)

const opened = new AsyncDisposableStack()
let stage: ConsoleStage
let browser: Browser

before(async () => {
  if (skip) return
  stage = opened.use(await openConsoleStage(programs!))
  browser = await launchChromium()
  opened.defer(() => browser.close())
  const agent = stage.runAgent()
  await stage.decideNext('approve')
  await agent
  await stage.query([
    'select id, name, email, city, notes from customers order by id limit 8',
    'select count(*), sum(total) from orders',
    'delete from orders',
  ])
})

after(() => opened.disposeAsync())

/** A page of the console. */
const at = (path: string): string => `${stage.gateway.url}/console/${path}`

const sessionOf = async (protocol: string): Promise<string> => {
  const entries = await stage.gateway.entries()
  return entries.findLast(
    each => each.connection?.protocol === protocol && each.recording !== undefined && each.masked?.count,
  )!.session!
}

async function rows(page: Page, table: string): Promise<number> {
  return await page.getByRole('table', { name: table }).locator('tbody tr').count()
}

test('who is nobody signs in by OIDC and comes to the page that was asked for', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page, context, complaints, hosts } = visitor
  await signInAs(page, at('search?text=monitor'), 'bo')
  await page.waitForURL('**/console/search?text=monitor')
  const found = page.getByRole('table', { name: 'Entries that match, newest first' })
  await found.getByText('v1.listMonitors').first().waitFor()
  const cookies = await context.cookies(stage.gateway.url)
  const session = cookies.find(({ name }) => name === '__Host-sallyport')
  assert.ok(session?.httpOnly && session.secure && session.sameSite === 'Lax' && session.path === '/')
  assert.equal(await page.evaluate('document.cookie'), '')
  const allowed = [stage.gateway.url, stage.world.identityProvider.issuer].map(each => new URL(each).host)
  assert.deepEqual(
    [...hosts].filter(host => !allowed.includes(host)),
    [],
    'no request to any other host',
  )
  assert.deepEqual(complaints, [])
})

test('no page breaks the content security policy or a rule of axe', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page, complaints } = visitor
  await page.goto(at(''))
  await page.getByRole('link', { name: 'Practice' }).waitFor()
  await assertAccessible(page, 'sign-in')
  await signInAs(page, at(''), 'bo')
  const sql = await sessionOf('postgres')
  const pages = ['', 'live', 'search', 'sessions', `sessions/${sql}`, 'approvals', 'policy']
  for (const path of [...pages, 'connections', 'identities', 'log', 'sinks', 'entries/9']) {
    const answer = await page.goto(at(path))
    assert.match(answer?.headers()['content-security-policy'] ?? '', /script-src (?!.*unsafe)/)
    await page.locator('h1').waitFor()
    await page.locator('.skeleton').first().waitFor({ state: 'detached' })
    await assertAccessible(page, path)
  }
  await page.keyboard.press('t')
  await page.keyboard.press('t')
  await assertAccessible(page, 'dark')
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  await assertAccessible(page, 'shortcuts')
  assert.deepEqual(complaints, [])
})

test('the first load is under 300 kB compressed', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  const sizes = new Map<string, number>()
  page.on('response', response => {
    const url = new URL(response.url())
    // What comes from the browser's own cache the second time was loaded once.
    if (url.pathname.startsWith('/console/'))
      sizes.set(url.pathname, Number(response.headers()['content-length'] ?? 0))
  })
  await signInAs(page, at(''), 'bo')
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.waitForLoadState('load')
  const bytes = [...sizes.values()].reduce((sum, each) => sum + each, 0)
  assert.ok(bytes > 50_000 && bytes < 300_000, `${bytes} bytes`)
})

test('an agent is watched live, and what passes can be held back and filtered', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  await signInAs(page, at('live'), 'cam')
  await page.getByText('following the log').waitFor()
  await page.getByRole('table', { name: 'Entries, newest first' }).waitFor()
  const before = await rows(page, 'Entries, newest first')
  await page.keyboard.press('p')
  await page.getByText('paused').waitFor()
  await stage.query(['select city from customers where id = 3'])
  await page.getByText(/paused, [1-9]\d* waiting/).waitFor()
  assert.equal(await rows(page, 'Entries, newest first'), before)
  await page.keyboard.press('p')
  await page.keyboard.press('/')
  await page.keyboard.type('select orders')
  const table = page.getByRole('table', { name: 'Entries, newest first' })
  await table.locator('tbody tr').filter({ hasText: 'SELECT' }).first().waitFor()
  assert.match(page.url(), /text=select(\+|%20)orders/)
  await page.keyboard.press('Escape')
  await table
    .getByRole('link', { name: /Session of SELECT/ })
    .first()
    .click()
  await page.getByRole('heading', { name: 'Session', exact: true }).waitFor()
})

test('P8, P10: a session is replayed with its masks, beside its receipt; the reading is an entry', {
  skip,
}, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  await signInAs(page, at(`sessions/${await sessionOf('postgres')}`), 'cam')
  const result = page.getByRole('table', { name: 'Rows that the statement gave' })
  await result.getByText('[masked:email]').first().waitFor()
  assert.equal(await result.locator('tbody tr').count(), 8)
  assert.doesNotMatch(await page.locator('main').innerText(), /customer\d+@example\.com/)
  await page.getByText('in the log', { exact: true }).waitFor()
  await page.keyboard.press(']')
  await page.getByText('2 of 3').waitFor()
  await page.goto(at(`sessions/${await sessionOf('datadog')}`))
  await page.getByRole('button', { name: 'Copy as curl' }).waitFor()
  await page
    .getByRole('button', { name: /v1\.listMonitors/ })
    .first()
    .click()
  await page.locator('em.mask').first().waitFor()
  const readings = (await stage.gateway.entries()).filter(({ kind }) => kind === 'recording.read')
  assert.ok(readings.some(({ subject }) => subject?.email === 'cam@example.com'))
})

test('P5: a change is seen as it will be and approved by keyboard, with the reason in the log', {
  skip,
}, async () => {
  await using visitor = await openVisitor(browser, { phone: true })
  const { page } = visitor
  await signInAs(page, at('approvals'), 'bo')
  const { id, done } = await stage.askForChange(97)
  await page.getByRole('link', { name: 'v1.updateMonitor' }).click()
  await page.waitForURL(`**/console/approvals/${id}`)
  const changes = page.getByRole('list', { name: 'Changes' })
  await changes.getByText('97').first().waitFor()
  await assertAccessible(page, 'approval')
  await page.keyboard.press('a')
  await page.getByRole('dialog', { name: 'Approve this action?' }).waitFor()
  await page.keyboard.type('agreed in stand-up')
  await page.keyboard.press('Enter')
  assert.equal(await done, 200)
  await page.getByText('Approved, and it has run.').waitFor()
  const [vote] = (await stage.gateway.entries()).filter(({ kind }) => kind === 'approval.voted').slice(-1)
  assert.match(JSON.stringify(vote), /agreed in stand-up/)
})

test('a search is found again by its address and by its name', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  await signInAs(page, at('search'), 'cam')
  const filters = page.getByRole('search')
  await filters.getByLabel('Outcome').selectOption('denied')
  await page.waitForURL('**outcome=denied**')
  await filters.getByLabel('Operation').fill('DELETE')
  await page.keyboard.press('Enter')
  await page.waitForURL('**operation=DELETE**')
  const table = page.getByRole('table', { name: 'Entries that match, newest first' })
  await table.getByText('nothing-is-deleted').first().waitFor()
  await page.getByRole('button', { name: 'Saved' }).click()
  await page.getByLabel('Save this search as').fill('Deletes that were denied')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByRole('link', { name: 'Deletes that were denied' }).waitFor()
  const exported = await page.request.get(
    `${stage.gateway.url}/api/v1/audit/export?operation=DELETE&format=csv`,
    {
      headers: { 'sec-fetch-site': 'same-origin' },
    },
  )
  assert.match(await exported.text(), /DELETE/)
})

test('the playground names the place of a mistake, and the recorded actions that an edit denies', {
  skip,
}, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  await signInAs(page, at('policy'), 'cam')
  const editor = page.getByRole('textbox', { name: 'Policy, YAML' })
  const text = await editor.inputValue()
  await editor.fill(text.replace('effect: deny', 'effect: refuse'))
  await page
    .getByRole('list', { name: 'Problems' })
    .getByText(/^\d+:\d+$/)
    .waitFor()
  await editor.fill(text.replace(/risks:\s*- delete|risks: \[delete\]/, 'risks: [delete, read]'))
  await page.getByText('valid', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Try against recorded actions' }).click()
  await page.getByText('would have been denied').waitFor()
  const before = (await stage.gateway.entries()).filter(({ kind }) => kind === 'policy.changed').length
  await page.getByRole('tab', { name: 'Explain a decision' }).click()
  await page.getByLabel('Operation').fill('v1.deleteMonitor')
  await page.getByLabel('Risk').selectOption('delete')
  await page.getByRole('button', { name: 'Explain', exact: true }).click()
  await page.getByText('by rule nothing-is-deleted').waitFor()
  const changed = (await stage.gateway.entries()).filter(({ kind }) => kind === 'policy.changed').length
  assert.equal(changed, before, 'nothing on the page changes the gateway')
})

test('each role sees what it may: a user no log, an auditor no way to end a session', { skip }, async () => {
  {
    await using visitor = await openVisitor(browser)
    const { page } = visitor
    await signInAs(page, at(''), 'ana')
    await page.getByRole('heading', { name: 'Approvals' }).waitFor()
    const links = await page
      .getByRole('navigation', { name: 'Pages' })
      .first()
      .getByRole('link')
      .allInnerTexts()
    assert.deepEqual(
      links.map(each => each.replace(/\s*\d+$/, '')),
      ['Approvals', 'Exceptions', 'Connections'],
    )
    await page.goto(at('search'))
    await page.getByText('This is not for your role').first().waitFor()
  }
  await stage.runReads(1)
  const running = stage.gateway.running.services.sessions.list()[0]!
  for (const [who, count] of [
    ['cam', 0],
    ['bo', 1],
  ] as const) {
    await using visitor = await openVisitor(browser)
    const { page } = visitor
    await signInAs(page, at(`sessions/${running.id}`), who)
    await page.getByRole('list', { name: 'Actions' }).waitFor()
    assert.equal(await page.getByRole('button', { name: 'End session' }).count(), count, who)
    if (count === 0) continue
    await page.getByRole('button', { name: 'End session' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click()
    await page.getByText('killed by bo@example.com').waitFor()
  }
})

test('signing out ends the session at the gateway', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page } = visitor
  await signInAs(page, at(''), 'cam')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('menuitem', { name: 'Sign out of this browser' }).click()
  await page.getByRole('link', { name: 'Practice' }).waitFor()
  const entries = await stage.gateway.entries()
  assert.ok(
    entries.some(
      ({ kind, subject }) => kind === 'identity.signed_out' && subject?.email === 'cam@example.com',
    ),
  )
})
