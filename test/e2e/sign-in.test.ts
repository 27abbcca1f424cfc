/** People sign in with a browser: by OIDC, and with a password; what a session may, and how it ends. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startGateway } from '../../src/main.ts'
import { createLogger } from '../../src/log.ts'
import { Browser, type Page } from '../support/browser.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let host: string

before(async () => {
  world = opened.use(await createWorld())
  const { issuer } = world.identityProvider
  await world.configure({
    sign_in: {
      issuer,
      client_id: 'sallyport-cli',
      providers: [
        { id: 'practice', kind: 'oidc', issuer: 'practice', client_id: 'sallyport-console' },
        { id: 'other', kind: 'oidc', issuer: 'practice', client_id: 'sallyport-console' },
      ],
    },
  })
  gateway = opened.use(await openGateway(world))
  host = new URL(gateway.url).host
})

after(() => opened.disposeAsync())

/** The address that a page of the practice issuer leads to when this person is chosen. */
async function choose(browser: Browser, page: Page, person: string): Promise<string> {
  const fields = Object.fromEntries(
    [...page.text.matchAll(/<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(
      ([, name, value]) => [name!, value!.replaceAll('&amp;', '&')],
    ),
  )
  const action = /<form[^>]*action="([^"]+)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&') ?? page.url
  const button = /<button[^>]*name="([^"]+)"/.exec(page.text)?.[1] ?? 'person'
  const answer = await browser.visit(new URL(action, page.url).href, {
    form: { ...fields, [button]: person },
    site: 'same-origin',
    redirects: 0,
  })
  return answer.headers.get('location') ?? assert.fail(`no redirect: ${answer.status} ${answer.text}`)
}

async function signIn(person: string, returnTo = '/console/', browser = new Browser()): Promise<Browser> {
  const page = await browser.visit(
    `${gateway.url}/auth/oidc/practice?return_to=${encodeURIComponent(returnTo)}`,
  )
  const back = await browser.visit(await choose(browser, page, person), { redirects: 0 })
  assert.equal(back.status, 303, back.text)
  assert.equal(back.headers.get('location'), returnTo)
  return browser
}

async function me(
  browser: Browser,
): Promise<{ status: number; csrf: string; email: string; roles: string[] }> {
  const { status, text } = await browser.visit(`${gateway.url}/api/v1/me`, { site: 'same-origin' })
  const { csrf, subject, roles } = JSON.parse(text) as {
    csrf: string
    subject?: { email: string }
    roles: string[]
  }
  return { status, csrf, email: subject?.email ?? '', roles }
}

test('P10: OIDC: who signs in is who the issuer says, with a session that is an entry', async () => {
  const browser = await signIn('cam', '/console/search?text=a')
  const { email, roles } = await me(browser)
  assert.equal(email, 'cam@example.com')
  assert.deepEqual(roles.sort(), ['approver', 'auditor', 'user'])
  const cookie = browser.cookie(host, '__Host-sallyport')!
  for (const attribute of ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax'])
    assert.ok(cookie.attributes.includes(attribute), cookie.attributes)
  assert.doesNotMatch(cookie.attributes, /domain/i)
  assert.equal(browser.cookie(host, '__Host-sallyport-sign-in'), undefined)
  const [entry] = (await gateway.entries()).filter(each => each.kind === 'identity.signed_in').slice(-1)
  assert.equal(entry?.subject?.email, 'cam@example.com')
  const store = await gateway.running.services.storage.state.list('browser-session')
  assert.ok(
    !JSON.stringify(store).includes(cookie.value.split('.')[1]!),
    'the store has no secret of a cookie',
  )
})

test('a session survives a restart, and ends everywhere at once', async () => {
  const first = await signIn('bo')
  const second = await signIn('bo')
  await gateway.close()
  const port = Number(new URL(gateway.url).port)
  await world.configure({ listen: [{ address: `127.0.0.1:${port}` }] })
  gateway = opened.use(await openGateway(world))
  const { csrf, email } = await me(first)
  assert.equal(email, 'bo@example.com')
  const leave = `${gateway.url}/auth/sign-out?everywhere=true`
  const forged = await first.visit(leave, { method: 'POST', site: 'same-origin' })
  assert.equal(forged.status, 403, 'without the token nobody is signed out')
  assert.equal(
    (await first.visit(leave, { method: 'POST', site: 'same-origin', headers: { 'x-sallyport-csrf': csrf } }))
      .status,
    204,
  )
  assert.equal(first.cookie(host, '__Host-sallyport'), undefined)
  assert.equal((await second.visit(`${gateway.url}/api/v1/me`, { site: 'same-origin' })).status, 401)
  const entries = (await gateway.entries()).filter(each => each.kind === 'identity.signed_out')
  assert.equal(entries.at(-1)?.['everywhere'], true)
})

test('signing out ends the streams of the session', async () => {
  const browser = await signIn('cam')
  const { csrf } = await me(browser)
  const cookie = `__Host-sallyport=${browser.cookie(host, '__Host-sallyport')!.value}`
  const stream = await fetch(`${gateway.url}/api/v1/approvals/stream`, {
    headers: { cookie, 'sec-fetch-site': 'same-origin' },
  })
  assert.equal(stream.status, 200)
  const reader = stream.body!.getReader()
  await reader.read()
  await browser.visit(`${gateway.url}/auth/sign-out`, {
    method: 'POST',
    site: 'same-origin',
    headers: { 'x-sallyport-csrf': csrf },
  })
  for (;;) if ((await reader.read()).done) break
})

test('a request that another site makes the browser send does nothing', async () => {
  const browser = await signIn('cam')
  const { csrf } = await me(browser)
  const post = (headers: Record<string, string>, site: 'same-origin' | 'cross-site' | 'same-site') =>
    browser.visit(`${gateway.url}/api/v1/saved-searches`, {
      method: 'POST',
      site,
      headers: {
        cookie: `__Host-sallyport=${browser.cookie(host, '__Host-sallyport')!.value}`,
        'content-type': 'application/json',
        ...headers,
      },
    })
  const own = gateway.url
  assert.equal((await post({ origin: own }, 'same-origin')).status, 403, 'no token')
  assert.equal((await post({ origin: own, 'x-sallyport-csrf': 'x'.repeat(43) }, 'same-origin')).status, 403)
  for (const site of ['cross-site', 'same-site'] as const)
    assert.equal((await post({ origin: own, 'x-sallyport-csrf': csrf }, site)).status, 403, site)
  const elsewhere = { origin: 'http://datadog.gw.example.com', 'x-sallyport-csrf': csrf }
  assert.equal((await post(elsewhere, 'same-origin')).status, 403, 'another origin')
  assert.equal(
    (await post({ origin: own, 'x-sallyport-csrf': csrf }, 'same-origin')).status,
    400,
    'its own page',
  )
  const read = await browser.visit(`${gateway.url}/api/v1/me`, { site: 'cross-site' })
  assert.equal(read.status, 403, 'nor does another site read')
})

test('OIDC: another state, another nonce, a second use, another provider, another browser: nobody', async () => {
  const start = `${gateway.url}/auth/oidc/practice`
  const attempt = async (change: (url: URL) => void, use = (browser: Browser) => browser): Promise<Page> => {
    const browser = new Browser()
    const back = new URL(await choose(browser, await browser.visit(start), 'cam'))
    change(back)
    return await use(browser).visit(back.href, { redirects: 0 })
  }
  const refused = async (page: Page): Promise<void> => {
    assert.equal(page.status, 403, page.text)
    assert.equal(
      page.headers.getSetCookie().some(line => line.startsWith('__Host-sallyport=')),
      false,
    )
  }
  await refused(await attempt(url => url.searchParams.set('state', 'x'.repeat(43))))
  await refused(await attempt(url => url.searchParams.delete('state')))
  await refused(await attempt(url => url.searchParams.set('iss', 'https://evil.example.com')))
  await refused(await attempt(url => url.searchParams.set('code', 'another')))
  await refused(await attempt(url => (url.pathname = '/auth/oidc/other/callback')))
  await refused(
    await attempt(
      () => undefined,
      () => new Browser(),
    ),
  )

  // The code of one sign-in put into another: its nonce and its verifier are not those of that one.
  const victim = new Browser()
  const attacker = new Browser()
  const theirs = new URL(await choose(attacker, await attacker.visit(start), 'bo'))
  const own = new URL(await choose(victim, await victim.visit(start), 'cam'))
  own.searchParams.set('code', theirs.searchParams.get('code')!)
  await refused(await victim.visit(own.href, { redirects: 0 }))

  const browser = new Browser()
  const back = await choose(browser, await browser.visit(start), 'cam')
  const pending = browser.cookie(host, '__Host-sallyport-sign-in')!.value
  assert.equal((await browser.visit(back, { redirects: 0 })).status, 303)
  const again = await browser.visit(back, {
    redirects: 0,
    headers: { cookie: `__Host-sallyport-sign-in=${pending}` },
  })
  await refused(again)
  const reasons = (await gateway.entries())
    .filter(each => each.kind === 'identity.refused')
    .map(each => each['reason'])
  assert.ok(reasons.includes('sign-in-unasked') && reasons.includes('sign-in-refused'), String(reasons))
})

test('a sign-in leads back to the console alone', async () => {
  for (const other of ['https://evil.example.com/', '//evil.example.com/console/', '/c/datadog/']) {
    const browser = new Browser()
    const page = await browser.visit(
      `${gateway.url}/auth/oidc/practice?return_to=${encodeURIComponent(other)}`,
    )
    const back = await browser.visit(await choose(browser, page, 'ana'), { redirects: 0 })
    assert.equal(back.headers.get('location'), '/console/')
  }
})

test('a fresh session takes the place of the one before', async () => {
  const browser = await signIn('cam')
  const before = browser.cookie(host, '__Host-sallyport')!.value
  await signIn('cam', '/console/', browser)
  assert.notEqual(browser.cookie(host, '__Host-sallyport')!.value, before)
  const old = await fetch(`${gateway.url}/api/v1/me`, { headers: { cookie: `__Host-sallyport=${before}` } })
  assert.equal(old.status, 401)
})

test('P4: an upstream neither sees the cookie nor becomes a page of this origin', async () => {
  const token = await world.token('triage-agent')
  for (const dest of ['document', 'iframe', 'script', 'serviceworker', 'style', 'image']) {
    const answer = await fetch(`${gateway.url}/c/datadog/api/v1/monitor`, {
      headers: { authorization: `Bearer ${token}`, 'sec-fetch-dest': dest },
    })
    assert.equal(answer.status, 403, dest)
  }
  const answer = await fetch(`${gateway.url}/c/datadog/api/v1/monitor`, {
    headers: {
      authorization: `Bearer ${token}`,
      'sec-fetch-dest': 'empty',
      cookie: '__Host-sallyport=secret',
    },
  })
  assert.equal(answer.status, 200)
})

test('a first administrator is made by a link that works once, and invites others', async () => {
  await using undo = new AsyncDisposableStack()
  const first = undo.use(await createWorld({ config: { sign_in: {}, roles: {} } }))
  let link = ''
  const running = await startGateway({
    config: first.configFile,
    logger: createLogger(() => undefined),
    onFirstLink: found => (link = found),
  })
  undo.defer(() => running.close(100))
  const url = running.urls[0]!
  const browser = new Browser()
  assert.match((await browser.visit(link)).text, /admin@localhost/)
  const short = await browser.visit(link, { form: { password: 'short' }, site: 'same-origin' })
  assert.equal(short.status, 400, 'a bad password does not use the link up')
  const cross = await browser.visit(link, { form: { password: 'correct horse battery' }, site: 'cross-site' })
  assert.equal(cross.status, 403)
  const done = await browser.visit(link, {
    form: { password: 'correct horse battery' },
    site: 'same-origin',
    redirects: 0,
  })
  assert.equal(done.headers.get('location'), '/console/')
  assert.equal((await browser.visit(link)).status, 403, 'once')
  const mine = JSON.parse((await browser.visit(`${url}/api/v1/me`, { site: 'same-origin' })).text) as {
    csrf: string
    roles: string[]
  }
  assert.deepEqual(mine.roles.sort(), ['admin', 'approver', 'auditor', 'user'])

  const invite = (headers: Record<string, string>) =>
    fetch(`${url}/api/v1/users`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        origin: url,
        'sec-fetch-site': 'same-origin',
        ...headers,
      },
      body: JSON.stringify({ email: 'Dee@example.com', roles: ['auditor', 'user'] }),
    })
  const cookie = `__Host-sallyport=${browser.cookie(new URL(url).host, '__Host-sallyport')!.value}`
  const invited = (await (await invite({ cookie, 'x-sallyport-csrf': mine.csrf })).json()) as { link: string }
  const dee = new Browser()
  await dee.visit(invited.link, { form: { password: 'a long password' }, site: 'same-origin', redirects: 0 })
  const log = await dee.visit(`${url}/api/v1/audit/entries?kind=identity.invited`, { site: 'same-origin' })
  assert.equal(log.status, 200)

  const wrong = await new Browser().visit(`${url}/auth/local`, {
    form: { email: 'dee@example.com', password: 'another password' },
    site: 'same-origin',
  })
  assert.equal(wrong.status, 401)
  const again = new Browser()
  await again.visit(`${url}/auth/local?return_to=/console/search`, {
    form: { email: 'DEE@example.com', password: 'a long password' },
    site: 'same-origin',
    redirects: 0,
  })
  assert.equal((await again.visit(`${url}/api/v1/me`, { site: 'same-origin' })).status, 200)

  const removed = await fetch(`${url}/api/v1/users/dee@example.com`, {
    method: 'DELETE',
    headers: { cookie, origin: url, 'sec-fetch-site': 'same-origin', 'x-sallyport-csrf': mine.csrf },
  })
  assert.equal(removed.status, 204)
  assert.equal((await again.visit(`${url}/api/v1/me`, { site: 'same-origin' })).status, 401, 'at once')
})

test('P5: the socket of this machine invites nobody', async () => {
  const { status } = await gateway.api.ask('/users', 'POST', { email: 'x@example.com', roles: ['approver'] })
  assert.equal(status, 403)
})

test('the console’s folder: pages, deep links and what is not built', async () => {
  const page = await fetch(`${gateway.url}/`, { redirect: 'manual' })
  assert.equal(page.headers.get('location'), '/console/')
  const deep = await fetch(`${gateway.url}/console/approvals/ap_1`)
  assert.ok([200, 503].includes(deep.status))
  const policy = deep.headers.get('content-security-policy')!
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /unsafe/)
  assert.match(policy, /frame-ancestors 'none'/)
  assert.equal(deep.headers.get('x-content-type-options'), 'nosniff')
  assert.equal((await fetch(`${gateway.url}/console/assets/none.js`)).status, deep.status === 200 ? 404 : 503)
})
