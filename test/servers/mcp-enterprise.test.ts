/**
 * Enterprise-managed authorization: the SDK's own client gets an identity assertion from an identity provider, exchanges
 * it with the gateway, and calls a tool with what it got.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  Client,
  CrossAppAccessProvider,
  discoverAndRequestJwtAuthGrant,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'
import { practiceIssuerSection } from '../../practice/identity-provider/issuer-section.ts'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { type McpStage, mcpStage } from '../support/mcp-stage.ts'

const opened = new AsyncDisposableStack()
const secret = 'a-secret-of-a-good-length-0001'
let stage: McpStage

before(async () => {
  const practice = opened.use(await startPracticeMcp())
  const rules = [{ name: 'sre', effect: 'allow' as const, subjects: { groups: ['sre'] } }]
  stage = opened.use(await mcpStage({ servers: [{ name: 'main', url: practice.url }] }, { rules }))
  const { world, gateway } = stage
  const issuer = {
    ...practiceIssuerSection(world.identityProvider.issuer),
    actor: { clients: ['triage-agent'] },
  }
  const client = { id: 'triage-agent', secret: await world.secret('triage', secret), issuers: ['practice'] }
  await world.configure({
    identity: { issuers: [issuer], assertions: { clients: [client], prefer: true } },
  })
  assert.equal(await gateway.running.reload(), true)
})

after(() => opened.disposeAsync())

/** What a client has of Ana after she signed in at it. */
function idToken(): Promise<string> {
  const { identityProvider } = stage.world
  return identityProvider.mint({ sub: 'ana', aud: 'triage-agent' }, { header: { typ: 'JWT' } })
}

async function assertionFor(audience: string, resource: string): Promise<string> {
  const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({
    idpUrl: stage.world.identityProvider.issuer,
    audience,
    resource,
    idToken: await idToken(),
    clientId: 'triage-agent',
    clientSecret: 'practice',
  })
  return jwtAuthGrant
}

function exchange(assertion: string, more: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${stage.gateway.url}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`triage-agent:${secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion,
      ...more,
    }),
  })
}

test('P9: the SDK’s client exchanges an assertion and is the agent of the person, with the person’s groups', async () => {
  const authProvider = new CrossAppAccessProvider({
    assertion: ({ authorizationServerUrl, resourceUrl }) => assertionFor(authorizationServerUrl, resourceUrl),
    clientId: 'triage-agent',
    clientSecret: secret,
    expectedIssuer: stage.gateway.url,
  })
  const client = new Client(
    { name: 'test', version: '1' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  )
  await client.connect(new StreamableHTTPClientTransport(new URL(stage.url), { authProvider }))
  const { content } = await client.callTool({ name: 'greet', arguments: { name: 'Ana' } })
  assert.deepEqual(content, [{ type: 'text', text: 'Hello, Ana!' }])
  await client.close()
  const entries = await stage.gateway.entries()
  const call = entries.find(each => each.kind === 'action.completed' && each.operation === 'tools/call:greet')
  const subject = call?.subject as { id: string; kind: string; on_behalf_of: { id: string } }
  assert.deepEqual([subject.kind, subject.id, subject.on_behalf_of.id], ['agent', 'triage-agent', 'ana'])
  const given = entries.find(each => each.kind === 'identity.signed_in')
  assert.deepEqual(
    [given?.['application'], given?.['resources'], given?.['provider']],
    ['triage-agent', [stage.url], { id: 'practice', kind: 'assertion' }],
  )
})

test('the metadata say where and how (RFC 8414, RFC 9728)', async () => {
  const { gateway } = stage
  const metadata = await (await fetch(`${gateway.url}/.well-known/oauth-authorization-server`)).json()
  assert.deepEqual(metadata, {
    issuer: gateway.url,
    authorization_endpoint: `${gateway.url}/oauth/authorize`,
    token_endpoint: `${gateway.url}/oauth/token`,
    response_types_supported: [],
    grant_types_supported: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
    authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  })
  const resource = (await (
    await fetch(`${gateway.url}/.well-known/oauth-protected-resource/c/tools`)
  ).json()) as { authorization_servers: string[] }
  assert.deepEqual(resource.authorization_servers, [gateway.url, stage.world.identityProvider.issuer])
})

test('attack: an assertion is no token, an ID token is no assertion, and a token is for its address alone', async () => {
  const { gateway } = stage
  const assertion = await assertionFor(gateway.url, stage.url)
  const call = (url: string, token: string) =>
    fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{}' })
  assert.equal((await call(stage.url, assertion)).status, 401)
  const asId = await exchange(await idToken())
  assert.deepEqual([asId.status, ((await asId.json()) as { error: string }).error], [400, 'invalid_grant'])
  const { access_token: token } = (await (await exchange(assertion)).json()) as { access_token: string }
  assert.notEqual((await call(stage.url, token)).status, 401)
  assert.equal((await call(`${gateway.url}/mcp`, token)).status, 401)
  const me = await fetch(`${gateway.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(me.status, 401)
  const again = await exchange(assertion)
  assert.equal(again.status, 400)
  assert.ok(!(await again.text()).includes('used'), 'why is told to the log alone')
  const reasons = (await gateway.entries())
    .filter(each => each.kind === 'identity.refused')
    .map(each => each['reason'])
  for (const reason of ['type-refused', 'audience-mismatch', 'assertion-used'])
    assert.ok(reasons.includes(reason), `${reason} is in ${reasons.join(', ')}`)
})

test('attack: what is no proper form gets no token', async () => {
  const url = `${stage.gateway.url}/oauth/token`
  const assertion = await assertionFor(stage.gateway.url, stage.url)
  const twice = new URLSearchParams([
    ['grant_type', 'x'],
    ['grant_type', 'y'],
  ])
  for (const [what, init, error] of [
    ['a GET', {}, 'invalid_request'],
    [
      'JSON',
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' },
      'invalid_request',
    ],
    ['a parameter twice', { method: 'POST', body: twice }, 'invalid_request'],
    ['too much', { method: 'POST', body: new URLSearchParams({ a: 'x'.repeat(70_000) }) }, 'invalid_request'],
    ['no client', { method: 'POST', body: new URLSearchParams({ assertion }) }, 'invalid_client'],
  ] as const) {
    const answer = await fetch(url, init as RequestInit)
    assert.equal(((await answer.json()) as { error: string }).error, error, what)
    assert.equal(answer.status, error === 'invalid_client' ? 401 : 400, what)
  }
  const other = await exchange(assertion, { grant_type: 'client_credentials' })
  assert.equal(((await other.json()) as { error: string }).error, 'unsupported_grant_type')
})

test('a client that is taken out of the configuration loses its tokens with the reload, and all are gone with the last', async () => {
  const { world, gateway } = stage
  const answer = await exchange(await assertionFor(gateway.url, stage.url))
  const { access_token: token } = (await answer.json()) as { access_token: string }
  const issuers = [practiceIssuerSection(world.identityProvider.issuer)]
  await world.configure({ identity: { issuers } })
  assert.equal(await gateway.running.reload(), true)
  const call = await fetch(stage.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: '{}',
  })
  assert.equal(call.status, 401)
  for (const path of ['/oauth/token', '/.well-known/oauth-authorization-server'])
    assert.equal((await fetch(gateway.url + path)).status, 404, path)
})
