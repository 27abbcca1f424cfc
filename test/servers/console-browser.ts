/** Debian's Chromium before the console: what it shows, and whatever it complains of. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

const program = '/usr/bin/chromium'

/** What a test says that can't run; in CI that is a failure (see script/servers). */
export const missingChromium: string | false = existsSync(program)
  ? false
  : 'SKIPPED LOUDLY: Chromium is not installed; run script/servers'

/** Loopback is its only network: without these Chromium looks for hosts of its maker at every start. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: program, args: flags })
}

export interface Visitor extends AsyncDisposable {
  readonly page: Page
  readonly context: BrowserContext
  /** What the page complained of: script errors, and violations of the content security policy. */
  readonly complaints: readonly string[]
  /** Hosts that anything was asked of. */
  readonly hosts: ReadonlySet<string>
}

export interface Look {
  readonly scheme?: 'light' | 'dark'
  readonly phone?: boolean
}

/** A browser of its own, with no cookies. */
export async function openVisitor(
  browser: Browser,
  { scheme = 'light', phone = false }: Look = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'Europe/Lisbon',
    viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
    ...(phone ? { hasTouch: true } : {}),
  })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  const complaints: string[] = []
  const hosts = new Set<string>()
  page.on('console', message => {
    // Refusals of the gateway are answers that pages show.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => hosts.add(new URL(request.url()).host))
  return {
    page,
    context,
    complaints,
    hosts,
    [Symbol.asyncDispose]: () => context.close(),
  }
}

/** Asks for a page of the console, and signs in as a person of the practice directory through the provider's pages. */
export async function signInAs(page: Page, address: string, who: string): Promise<void> {
  await page.goto(address)
  await page.getByRole('link', { name: 'Practice' }).click()
  await page.locator(`button[value="${who}"]`).click()
  await page.getByRole('navigation', { name: 'Pages' }).first().waitFor({ state: 'attached' })
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string }[]
}

/** Fails with every violation that axe finds on the page as it is. */
export async function assertAccessible(page: Page, name: string): Promise<void> {
  // By the debugger, which the content security policy does not bind.
  await page.evaluate(await axe)
  const found = await page.evaluate<Violation[]>(
    `axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations)`,
  )
  const told = found.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  )
  assert.deepEqual(told, [], name)
}
