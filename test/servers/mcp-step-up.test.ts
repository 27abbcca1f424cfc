/** A server that wants more than a person consented to, and a person who goes and consents to it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { practiceIssuerSection } from '../../practice/identity-provider/issuer-section.ts'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { openGateway } from '../support/gateway.ts'
import { legacyClient, type McpStage, modernClient } from '../support/mcp-stage.ts'
import { createWorld } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let practice: PracticeMcp
let stage: McpStage
/** What the server asks for, of whatever token; empty: it is content. */
let wants = ''
const seen: string[] = []

before(async () => {
  practice = await startPracticeMcp({
    admit(request, response) {
      const claims = JSON.parse(
        Buffer.from(request.headers.authorization!.split('.')[1]!, 'base64url').toString(),
      ) as { scope?: string }
      seen.push(claims.scope ?? '')
      const has = (claims.scope ?? '').split(' ')
      if (wants.split(' ').every(each => each === '' || has.includes(each))) return true
      response
        .writeHead(403, {
          'www-authenticate': `Bearer error="insufficient_scope", scope="${wants}", resource_metadata="https://x.example/"`,
        })
        .end()
      return false
    },
  })
  opened.defer(() => practice.close())
  const world = opened.use(await createWorld())
  const { issuer } = world.identityProvider
  const oauth = {
    grant: 'authorization_code' as const,
    issuer,
    client_id: 'report-service',
    client_secret: await world.secret('client', 'practice'),
    scopes: ['openid', 'notes.read'],
    more_scopes: ['notes.*'],
  }
  const connection = {
    name: 'tools',
    protocol: 'mcp',
    servers: [
      { name: 'main', url: practice.url, headers: [{ header: 'Authorization', value: 'Bearer ${token}' }] },
    ],
    credential: { token: { oauth } },
  }
  await world.configure({
    identity: { issuers: [practiceIssuerSection(issuer)] },
    connections: [connection] as never,
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
  })
  const gateway = opened.use(await openGateway(world))
  stage = {
    world,
    gateway,
    url: `${gateway.url}/c/tools`,
    token: await world.token('triage-agent'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
})

after(() => opened.disposeAsync())

/** Ana consents; gives the scopes that she was asked for. */
async function consents(): Promise<string> {
  const headers = {
    authorization: `Bearer ${await stage.world.token('ana')}`,
    'content-type': 'application/json',
  }
  const begun = await fetch(`${stage.gateway.url}/api/v1/connections/tools/consent`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  const { url } = (await begun.json()) as { url: string }
  const form = new URLSearchParams(new URL(url).search)
  form.set('person', 'ana')
  const back = await fetch(`${stage.world.identityProvider.issuer}/authorize`, {
    method: 'POST',
    body: form,
    redirect: 'manual',
  })
  const done = await fetch(back.headers.get('location')!, { headers })
  assert.equal(done.status, 200, await done.text())
  return form.get('scope') ?? ''
}

/** What comes of a call of ana's agent, an error's message or a text. */
async function call(): Promise<string> {
  try {
    const client = await legacyClient(stage)
    const result = await client.callTool({ name: 'test_simple_text', arguments: {} })
    await client.close()
    return JSON.stringify(result)
  } catch (error) {
    return (error as Error).message
  }
}

const advised =
  /notes\.\w+.*: open http:\/\/\S+\/connect\/tools, or run: sallyport connections authorize tools/

test('P11: a person is told where to consent to what the server wants, is asked for all of it, and the call then works', async () => {
  assert.equal(await consents(), 'openid notes.read')
  assert.match(await call(), /simple text/)
  const client = await legacyClient(stage)
  wants = 'notes.write'
  const refused = await client.callTool({ name: 'test_simple_text', arguments: {} }).then(
    () => assert.fail('it has no such scope'),
    (error: { message: string; data: { code: string } }) => error,
  )
  assert.match(refused.message, advised)
  assert.equal(refused.data.code, 'consent-needed')
  wants = ''
  assert.match(
    JSON.stringify(await client.callTool({ name: 'test_simple_text', arguments: {} })),
    /simple text/,
  )
  wants = 'notes.write'
  assert.equal(await consents(), 'openid notes.read notes.write')
  assert.match(
    JSON.stringify(await client.callTool({ name: 'test_simple_text', arguments: {} })),
    /simple text/,
  )
  assert.equal(seen.at(-1), 'openid notes.read notes.write')
  await client.close()
})

test('a client of 2026 is told the same; what the configuration does not want asked for is not', async () => {
  const client = await modernClient(stage)
  wants = 'notes.share'
  await assert.rejects(client.callTool({ name: 'test_simple_text', arguments: {} }), advised)
  await client.close()
  wants = 'mail.send'
  assert.match(await call(), /wants scopes that the gateway's credential lacks: mail\.send/)
  wants = ''
})

test('attack: a server that wants another scope each time sends nobody to consent for ever', async () => {
  const asked: string[] = []
  for (let round = 0; round < 6; round++) {
    wants = `notes.round${round}`
    const said = await call()
    if (!advised.test(said)) {
      assert.match(said, /lacks: notes\.round/)
      break
    }
    asked.push(await consents())
  }
  assert.ok(asked.length <= 2, asked.join('; '))
  wants = ''
  assert.match(await call(), /simple text/, 'what was consented to is still good')
})
