/** An upstream that takes tokens of an authorization server: the gateway's own, and each person's. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runCli } from '../support/cli.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { createWorld, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway
let upstream: TestUpstream
const bearers: string[] = []

before(async () => {
  world = opened.use(await createWorld())
  upstream = opened.use(
    await startUpstream((request, response) => {
      bearers.push(request.headers.authorization ?? '')
      response.setHeader('content-type', 'application/json')
      // What an upstream that echoes its caller's credential does.
      response.end(JSON.stringify({ you: request.headers.authorization?.slice('Bearer '.length) }))
    }),
  )
  const { issuer } = world.identityProvider
  const client = {
    issuer,
    client_id: 'report-service',
    client_secret: await world.secret('client', 'practice'),
  }
  const inject = [{ header: 'Authorization', value: 'Bearer ${token}' }]
  const common = { protocol: 'http', url: upstream.url, inject }
  await world.configure({
    connections: [
      {
        ...common,
        name: 'reports',
        credential: {
          token: {
            oauth: { grant: 'client_credentials', ...client, resource: 'https://reports.example.com/' },
          },
        },
      },
      {
        ...common,
        name: 'notes',
        credential: { token: { oauth: { grant: 'authorization_code', ...client, scopes: ['openid'] } } },
      },
    ],
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
  })
  gateway = opened.use(await openGateway(world))
})

after(() => opened.disposeAsync())

async function ask(connection: string, who: string): Promise<{ status: number; body: string }> {
  const headers = { authorization: `Bearer ${await world.token(who)}` }
  const answer = await fetch(`${gateway.url}/c/${connection}/x`, { headers })
  return { status: answer.status, body: await answer.text() }
}

function claims(bearer: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(bearer.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
}

/** The person's browser at the authorization server; gives the address that it is sent back to. */
async function consentAs(who: string, url: string): Promise<string> {
  const form = new URLSearchParams(new URL(url).search)
  form.set('person', who)
  const { issuer } = world.identityProvider
  const answer = await fetch(`${issuer}/authorize`, { method: 'POST', body: form, redirect: 'manual' })
  return answer.headers.get('location')!
}

test('P4: the gateway’s own token goes upstream, is none of the client’s, and comes back masked', async () => {
  const { status, body } = await ask('reports', 'triage-agent')
  assert.equal(status, 200)
  const sent = bearers.at(-1)!
  assert.equal(claims(sent)['aud'], 'https://reports.example.com/')
  assert.equal(claims(sent)['client_id'], 'report-service')
  assert.ok(!body.includes(sent.slice('Bearer '.length)))
  assert.match(body, /"you"/)
})

test('P4: no token is in an entry', async () => {
  const said = JSON.stringify(await gateway.entries())
  for (const bearer of bearers) assert.ok(!said.includes(bearer.slice('Bearer '.length)))
})

test('without consent the answer says where to go, and nothing goes upstream', async () => {
  const before = bearers.length
  const { status, body } = await ask('notes', 'triage-agent')
  assert.equal(status, 403)
  const problem = JSON.parse(body) as { type: string; detail: string }
  assert.match(problem.type, /consent-needed$/)
  assert.match(problem.detail, new RegExp(`${gateway.url}/connect/notes`))
  assert.equal(bearers.length, before)
  const page = await fetch(`${gateway.url}/connect/notes`)
  assert.equal(page.status, 401)
  assert.match(await page.text(), /sallyport connections authorize notes/)
})

test('a browser that the gateway knows is led through; the agent then acts with that person’s token', async () => {
  const headers = { authorization: `Bearer ${await world.token('ana')}` }
  const lead = await fetch(`${gateway.url}/connect/notes`, { headers, redirect: 'manual' })
  assert.equal(lead.status, 303)
  const back = await consentAs('ana', lead.headers.get('location')!)
  assert.ok(back.startsWith(`${gateway.url}/connect/callback?`))
  const done = await fetch(back, { headers })
  assert.equal(done.status, 200)
  assert.match(await done.text(), /in your name/)
  assert.equal((await fetch(back, { headers })).status, 400, 'an answer counts once')
  assert.equal((await ask('notes', 'triage-agent')).status, 200)
  assert.equal(claims(bearers.at(-1)!)['sub'], 'ana')
  assert.equal((await ask('notes', 'bo')).status, 403)
})

test('on the command line: begin, consent in any browser, confirm with the code; then take it back', async () => {
  const token = await world.token('bo')
  const at = ['--url', gateway.url, '--token', token]
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const begun = await fetch(`${gateway.url}/api/v1/connections/notes/consent`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  const { url } = (await begun.json()) as { url: string }
  const page = await (await fetch(await consentAs('bo', url))).text()
  const code = /<code>([^<]+)<\/code>/.exec(page)![1]!
  const wrong = await runCli([...at, 'connections', 'authorize', 'notes', '--code', 'AAAA-AAAA'], {
    cwd: world.directory,
  })
  assert.notEqual(wrong.code, 0)
  const confirmed = await runCli([...at, 'connections', 'authorize', 'notes', '--code', code], {
    cwd: world.directory,
  })
  assert.equal(confirmed.code, 0, confirmed.stderr)
  assert.match(confirmed.stdout, /in your name/)
  assert.equal((await ask('notes', 'bo')).status, 200)
  const back = await runCli([...at, 'connections', 'authorize', 'notes', '--withdraw'], {
    cwd: world.directory,
  })
  assert.equal(back.code, 0, back.stderr)
  assert.equal((await ask('notes', 'bo')).status, 403)
  const kinds = (await gateway.entries())
    .map(each => each.kind)
    .filter(kind => kind.startsWith('credential.'))
  assert.deepEqual(kinds, ['credential.granted', 'credential.granted', 'credential.withdrawn'])
})

test('an agent can not consent for its person', async () => {
  const headers = {
    authorization: `Bearer ${await world.token('triage-agent')}`,
    'content-type': 'application/json',
  }
  const refused = await fetch(`${gateway.url}/api/v1/connections/notes/consent`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  assert.equal(refused.status, 403)
})
