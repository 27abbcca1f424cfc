/** `sallyport login` where people sign in at the gateway: a person lets the terminal in with their browser. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deviceGrant } from '../../src/serve/browser/device-pages.ts'
import { Browser } from '../support/browser.ts'
import { followCli, runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

const password = 'correct horse battery'
const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway

before(async () => {
  world = opened.use(await createWorld({ config: { sign_in: { local: true } } }))
  gateway = opened.use(await openGateway(world))
})

after(() => opened.disposeAsync())

/** A person with a password, signed in. */
async function person(email: string, roles: readonly ('admin' | 'auditor' | 'user')[]): Promise<Browser> {
  const { signIn } = gateway.running.services
  const { secret } = await signIn.users.invite({ email, roles }, 60_000)
  const browser = new Browser()
  await browser.visit(signIn.linkOf(secret), { form: { password }, site: 'same-origin', redirects: 0 })
  return browser
}

interface Begun {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete: string
}

const post = (step: string, form: Readonly<Record<string, string>>): Promise<Response> =>
  fetch(`${gateway.url}/auth/device/${step}`, { method: 'POST', body: new URLSearchParams(form) })

const begin = async (): Promise<Begun> =>
  (await (await post('authorize', { client_id: 'sallyport-cli' })).json()) as Begun

const redeem = async (code: string): Promise<{ status: number; error?: string; access_token?: string }> => {
  const answer = await post('token', { grant_type: deviceGrant, device_code: code })
  return { status: answer.status, ...((await answer.json()) as object) }
}

async function fields(browser: Browser, address: string): Promise<Record<string, string>> {
  const { text } = await browser.visit(address)
  return Object.fromEntries(
    [...text.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [
      name!,
      value!,
    ]),
  )
}

async function decide(browser: Browser, address: string, decision: 'allow' | 'refuse') {
  const form = { ...(await fields(browser, address)), decision }
  return await browser.visit(`${gateway.url}/auth/device`, { form, site: 'same-origin' })
}

const me = (token: string): Promise<Response> =>
  fetch(`${gateway.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })

test('P10: a person with a password signs in on a terminal, and out again', async () => {
  const browser = await person('dee@example.com', ['auditor', 'user'])
  const place = { cwd: world.directory }
  const login = followCli(['--url', gateway.url, 'login'], place)
  const address = await until('the address', () => login.hints().find(each => each.includes('user_code=')))
  const page = await browser.visit(/https?:\S+/.exec(address)![0])
  assert.match(page.text, /dee@example\.com/)
  assert.match(page.text, /from 127\.0\.0\.1/)
  assert.match(page.headers.get('content-security-policy')!, /default-src 'none'.*frame-ancestors 'none'/)
  assert.match((await decide(browser, page.url, 'allow')).text, /Your terminal is signed in/)
  assert.equal(await login.ended, 0, login.hints().join('\n'))
  assert.match(login.lines().join('\n'), /dee@example\.com.*\n.*user, auditor/)

  const url = ['--url', gateway.url]
  assert.equal((await runCli([...url, 'audit', 'search'], place)).code, 0)
  const [entry] = (await gateway.entries()).filter(each => each.kind === 'identity.signed_in').slice(-1)
  assert.deepEqual(entry?.['provider'], { id: 'local', kind: 'device' })
  assert.equal(entry?.subject?.method, 'password')
  assert.ok(entry?.['confirmed_from'])

  assert.equal((await runCli([...url, 'logout'], place)).code, 0)
  assert.equal((await runCli([...url, 'whoami'], place)).code, 4)
  const left = await gateway.running.services.storage.state.list<{ use?: string }>('browser-session')
  assert.equal(left.filter(({ value }) => value.use === 'terminal').length, 0, 'ended at the gateway too')
})

test('the code works once, and is worth nothing before somebody said yes', async () => {
  const browser = await person('eve@example.com', ['user'])
  const begun = await begin()
  assert.equal((await redeem(begun.device_code)).error, 'authorization_pending')
  assert.equal((await redeem(begun.device_code)).error, 'slow_down')
  assert.equal((await redeem(begun.user_code)).error, 'expired_token')
  await decide(browser, begun.verification_uri_complete, 'allow')
  const { access_token: token = '' } = await redeem(begun.device_code)
  assert.equal((await me(token)).status, 200)
  assert.equal((await redeem(begun.device_code)).error, 'expired_token')
  assert.equal((await decide(browser, begun.verification_uri_complete, 'allow')).status, 403)

  const store = JSON.stringify(await gateway.running.services.storage.state.list('browser-session'))
  assert.ok(!store.includes(token.split('.')[1]!), 'the store has no secret')
  const cookie = `__Host-sallyport=${token.slice('sps_'.length)}`
  const asCookie = await fetch(`${gateway.url}/api/v1/me`, { headers: { cookie } })
  assert.equal(asCookie.status, 401, 'a token is no cookie')
  const own = browser.cookie(new URL(gateway.url).host, '__Host-sallyport')!.value
  assert.equal((await me(`sps_${own}`)).status, 401, 'a cookie is no token')
})

test('signing out everywhere, or removing the person, ends their terminals', async () => {
  const browser = await person('fay@example.com', ['user'])
  const tokens: string[] = []
  for (let i = 0; i < 2; i++) {
    const begun = await begin()
    await decide(browser, begun.verification_uri_complete, 'allow')
    tokens.push((await redeem(begun.device_code)).access_token!)
  }
  const [first, second] = tokens as [string, string]
  const leave = (path: string, token: string): Promise<Response> =>
    fetch(`${gateway.url}/auth/sign-out${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
  assert.equal((await leave('', first)).status, 204)
  assert.equal((await me(first)).status, 401)
  assert.equal((await me(second)).status, 200)
  assert.equal((await leave('?everywhere=true', second)).status, 204)
  assert.equal((await me(second)).status, 401)
  const mine = await browser.visit(`${gateway.url}/api/v1/me`, { site: 'same-origin' })
  assert.equal(mine.status, 401, 'of browsers too')

  const again = await person('fay@example.com', ['user'])
  const begun = await begin()
  await decide(again, begun.verification_uri_complete, 'allow')
  const { access_token: third = '' } = await redeem(begun.device_code)
  await gateway.running.services.signIn.users.remove('fay@example.com')
  assert.equal((await me(third)).status, 401)
})

test('what a terminal follows ends with its session', async () => {
  const browser = await person('kim@example.com', ['auditor', 'user'])
  const begun = await begin()
  await decide(browser, begun.verification_uri_complete, 'allow')
  const { access_token: token = '' } = await redeem(begun.device_code)
  const headers = { authorization: `Bearer ${token}` }
  const stream = await fetch(`${gateway.url}/api/v1/audit/stream?from=0`, { headers })
  assert.equal(stream.status, 200)
  const ended = stream.text()
  assert.equal((await fetch(`${gateway.url}/auth/sign-out`, { method: 'POST', headers })).status, 204)
  assert.match(await ended, /identity\.signed_in/)
})

test('who refuses lets nobody in, and the log says so', async () => {
  const browser = await person('gus@example.com', ['user'])
  const begun = await begin()
  assert.match((await decide(browser, begun.verification_uri_complete, 'refuse')).text, /not let in/)
  assert.equal((await redeem(begun.device_code)).error, 'access_denied')
  const [entry] = (await gateway.entries()).filter(each => each.kind === 'identity.refused').slice(-1)
  assert.equal(entry?.['reason'], 'device-refused')
})

test('another site, another session’s page and no session at all let nobody in', async () => {
  const browser = await person('hal@example.com', ['user'])
  const other = await person('ida@example.com', ['user'])
  const begun = await begin()
  const mine = await fields(browser, begun.verification_uri_complete)
  const theirs = await fields(other, begun.verification_uri_complete)
  const address = `${gateway.url}/auth/device`
  const allow = (form: Readonly<Record<string, string>>, site: 'same-origin' | 'same-site' | 'cross-site') =>
    browser.visit(address, { form: { ...form, decision: 'allow' }, site, redirects: 0 })
  for (const site of ['cross-site', 'same-site'] as const) assert.equal((await allow(mine, site)).status, 403)
  assert.equal((await allow(theirs, 'same-origin')).status, 403, 'the token of another session')
  assert.equal((await allow({ user_code: begun.user_code }, 'same-origin')).status, 403)
  const nobody = await new Browser().visit(begun.verification_uri_complete, { redirects: 0 })
  const back = new URL(nobody.headers.get('location')!, gateway.url).searchParams.get('return_to')
  assert.equal(back, `/auth/device?user_code=${begun.user_code}`)
  assert.equal((await redeem(begun.device_code)).error, 'authorization_pending')
})

test('codes are not guessed: after thirty looks a person has to wait', async () => {
  const browser = await person('joe@example.com', ['user'])
  const look = (): Promise<{ readonly status: number }> =>
    browser.visit(`${gateway.url}/auth/device?user_code=BBBB-BBBB`)
  for (let i = 0; i < 30; i++) assert.equal((await look()).status, 404)
  assert.equal((await look()).status, 429)
})

test('requests that are none of the grant are told so', async () => {
  assert.equal((await redeem('')).error, 'expired_token')
  const other = await post('token', { grant_type: 'authorization_code', code: 'x' })
  assert.deepEqual(await other.json(), { error: 'unsupported_grant_type' })
  assert.equal((await fetch(`${gateway.url}/auth/device/token`)).status, 404)
  const large = await post('token', { device_code: 'x'.repeat(10_000) })
  assert.equal(large.status, 413)
})
