/** Signing in by SAML in a real browser at a real identity provider, and a terminal that such a person lets in. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { followCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'
import {
  assertAccessible,
  launchChromium,
  missingChromium,
  openVisitor,
  type Visitor,
} from './console-browser.ts'
import { missingSaml, type SamlProvider, startSamlProvider } from './saml-provider.ts'

const skip = missingChromium || missingSaml
const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let provider: SamlProvider
let browser: Browser

before(async () => {
  if (skip) return
  provider = opened.use(await startSamlProvider())
  world = opened.use(await createWorld())
  const attributes = { email: 'email', name: 'name', groups: 'groups' }
  await world.configure({
    sign_in: {
      providers: [
        {
          id: 'corp',
          kind: 'saml',
          label: 'Corporate account',
          entity_id: provider.entityId,
          sso_url: provider.ssoUrl,
          certificates: [provider.certificate],
          attributes,
        },
      ],
    },
  })
  gateway = opened.use(await openGateway(world))
  await provider.trust(await (await fetch(`${gateway.url}/auth/saml/corp/metadata`)).text())
  browser = await launchChromium()
  opened.defer(() => browser.close())
})

after(() => opened.disposeAsync())

async function signIn({ page }: Visitor, path: string, who: string): Promise<void> {
  await page.goto(`${gateway.url}${path}`)
  await page.getByRole('link', { name: 'Corporate account' }).click()
  await page.getByRole('button', { name: who }).click()
  await page.getByRole('button', { name: 'Continue' }).click()
}

test('P9: who signs in by SAML is who the provider says, and comes to the page asked for', {
  skip,
}, async () => {
  await using visitor = await openVisitor(browser)
  const { page, context, complaints, hosts } = visitor
  await signIn(visitor, '/console/search?text=monitor', 'cam')
  await page.waitForURL('**/console/search?text=monitor')
  await page.getByRole('navigation', { name: 'Pages' }).first().waitFor({ state: 'attached' })
  const [entry] = (await gateway.entries()).filter(each => each.kind === 'identity.signed_in').slice(-1)
  assert.equal(entry?.subject?.email, 'cam@example.com')
  assert.equal(entry?.subject?.id, 'saml-cam')
  assert.equal(entry?.subject?.method, 'saml')
  assert.equal(entry?.subject?.issuer, provider.entityId)
  const roles = await page.evaluate(
    `fetch('/api/v1/me').then(each => each.json()).then(me => me.roles.sort().join())`,
  )
  assert.equal(roles, 'approver,auditor,user', 'groups of the assertion become roles')
  const cookies = await context.cookies(gateway.url)
  const session = cookies.find(({ name }) => name === '__Host-sallyport')
  assert.ok(session?.httpOnly && session.secure && session.sameSite === 'Lax')
  assert.equal(
    cookies.find(({ name }) => name === '__Host-sallyport-sign-in'),
    undefined,
  )
  const known = [gateway.url, provider.ssoUrl].map(each => new URL(each).host)
  assert.deepEqual(
    [...hosts].filter(host => !known.includes(host)),
    [],
  )
  assert.deepEqual(complaints, [])
})

test('P9: an answer that was used, or that another browser asked for, signs nobody in', {
  skip,
}, async () => {
  await using visitor = await openVisitor(browser)
  const { page, context } = visitor
  let form = ''
  await page.route('**/auth/saml/corp/acs', async route => {
    form = route.request().postData() ?? ''
    await route.continue()
  })
  await signIn(visitor, '/console/', 'bo')
  await page.getByRole('navigation', { name: 'Pages' }).first().waitFor({ state: 'attached' })
  assert.match(form, /^SAMLResponse=/)
  const post = (cookie: string): Promise<Response> =>
    fetch(`${gateway.url}/auth/saml/corp/acs`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
      body: form,
    })
  assert.equal((await post('')).status, 403, 'a replay without the cookie')
  const begun = await fetch(`${gateway.url}/auth/saml/corp`, { redirect: 'manual' })
  const other = begun.headers
    .getSetCookie()
    .map(each => each.split(';')[0]!)
    .join('; ')
  const answer = await post(other)
  assert.equal(answer.status, 403, 'into the sign-in of another browser')
  assert.equal(
    answer.headers.getSetCookie().some(each => each.startsWith('__Host-sallyport=')),
    false,
  )
  await context.clearCookies()
})

test('a person of the SAML provider lets their terminal in', { skip }, async () => {
  await using visitor = await openVisitor(browser)
  const { page, complaints } = visitor
  const login = followCli(['--url', gateway.url, 'login', '--browser'], { cwd: world.directory })
  const line = await until('the address', () => login.hints().find(each => each.includes('user_code=')))
  const address = new URL(/https?:\S+/.exec(line)![0])
  await signIn(visitor, address.pathname + address.search, 'cam')
  await page.getByRole('heading', { name: 'Let a terminal in as you?' }).waitFor()
  await page.getByText('cam@example.com').waitFor()
  await assertAccessible(page, 'terminal')
  await page.getByRole('button', { name: 'This is my terminal: let it in' }).click()
  await page.getByText('Your terminal is signed in').waitFor()
  assert.equal(await login.ended, 0, login.hints().join('\n'))
  assert.match(login.lines().join('\n'), /cam@example\.com[^]*auditor/)
  assert.deepEqual(complaints, [])
})
