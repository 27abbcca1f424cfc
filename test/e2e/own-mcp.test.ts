/** The gateway's own MCP server, with real clients of each era; and the gateway as an OAuth resource server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, defaultRules, type World } from '../support/world.ts'

const opened = new AsyncDisposableStack()
let world: World
let gateway: TestGateway

before(async () => {
  const held = {
    name: 'dashboards-wait',
    effect: 'require_approval' as const,
    operations: ['v1.createDashboard'],
    approval: { approvers: ['group:security'], expires: '10m' },
  }
  world = opened.use(await createWorld({ config: { policy: { rules: [...defaultRules, held] } } }))
  gateway = opened.use(await openGateway(world))
})

after(() => opened.disposeAsync())

interface Said {
  readonly isError: boolean
  readonly text: string
  readonly value: Record<string, unknown>
}

interface Caller extends AsyncDisposable {
  readonly tools: readonly string[]
  call(name: string, args?: Record<string, unknown>): Promise<Said>
}

const info = { name: 'test', version: '1.0.0' }

/** A client of the 2026 era (SDK 2), or of the 2025 era (SDK 1). */
async function connectAs(who: string, era: 'modern' | 'legacy' = 'modern'): Promise<Caller> {
  const url = new URL(`${gateway.url}/mcp`)
  const requestInit = { headers: { authorization: `Bearer ${await world.token(who)}` } }
  const client =
    era === 'modern'
      ? new Client(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
      : new LegacyClient(info)
  if (client instanceof Client) await client.connect(new StreamableHTTPClientTransport(url, { requestInit }))
  else await client.connect(new LegacyTransport(url, { requestInit }) as never)
  const { tools } = await client.listTools()
  return {
    tools: tools.map(each => each.name),
    async call(name, args = {}) {
      const answer = await client.callTool({ name, arguments: args })
      const [first] = answer.content as { text: string }[]
      const value = (answer.structuredContent ?? {}) as Record<string, unknown>
      return { isError: answer.isError === true, text: first!.text, value }
    },
    [Symbol.asyncDispose]: () => client.close(),
  }
}

for (const era of ['modern', 'legacy'] as const) {
  test(`an agent with a ${era} client asks what it may do`, async () => {
    await using agent = await connectAs('triage-agent', era)
    assert.deepEqual(agent.tools, ['what_may_i_do', 'my_denials', 'approval_status', 'approval_wait'])
    const asked = (operation: string, risk: string) =>
      agent.call('what_may_i_do', { connection: 'datadog', operation, risk })
    const read = await asked('v1.listMonitors', 'read')
    assert.equal(read.value['effect'], 'permit')
    assert.deepEqual(read.value['mask'], ['personal'])
    const denied = await asked('v1.deleteMonitor', 'delete')
    assert.deepEqual([denied.value['effect'], denied.value['rule']], ['deny', 'no-monitor-deletes'])
    assert.equal((await asked('v1.createDashboard', 'write')).value['effect'], 'ask')
    const unknown = await agent.call('what_may_i_do', { connection: 'none', operation: 'x' })
    assert.ok(unknown.isError)
    assert.match(unknown.text, /not-found/)
  })
}

test('an agent reads its own denials with their reasons, and nobody else’s', async () => {
  const headers = async (who: string) => ({ 'dd-api-key': await world.token(who) })
  const at = `${gateway.url}/c/datadog/api/v1/monitor/7`
  for (const who of ['triage-agent', 'batch-agent'])
    assert.equal((await fetch(at, { method: 'DELETE', headers: await headers(who) })).status, 403)
  await gateway.running.services.storage.index.whenIndexed(gateway.running.services.storage.log.size)
  await using agent = await connectAs('triage-agent')
  const { value } = await agent.call('my_denials')
  const denials = value['denials'] as { operation: string; rule: string; connection: string }[]
  assert.equal(denials.length, 1)
  assert.deepEqual(
    [denials[0]!.operation, denials[0]!.rule, denials[0]!.connection],
    ['v1.deleteMonitor', 'no-monitor-deletes', 'datadog'],
  )
})

test('an agent waits for its approval; another agent does not see it', async () => {
  const held = await fetch(`${gateway.url}/c/datadog/api/v1/dashboard`, {
    method: 'POST',
    headers: {
      'dd-api-key': await world.token('triage-agent'),
      'content-type': 'application/json',
      prefer: 'respond-async, wait=0',
    },
    body: JSON.stringify({ title: 'x', layout_type: 'ordered', widgets: [] }),
  })
  assert.equal(held.status, 202, await held.clone().text())
  const [asked] = await gateway.running.services.approvals.list({ open: true, limit: 1 })
  const { id } = asked!
  await using agent = await connectAs('triage-agent')
  await using other = await connectAs('batch-agent')
  assert.equal((await agent.call('approval_status', { id })).value['state'], 'pending')
  assert.match((await other.call('approval_status', { id })).text, /not-found/)
  const waiting = agent.call('approval_wait', { id, seconds: 30 })
  const vote = await fetch(`${gateway.url}/api/v1/approvals/${id}/approve`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await world.token('cam')}`, 'content-type': 'application/json' },
    body: '{}',
  })
  assert.equal(vote.status, 200, await vote.text())
  assert.equal((await waiting).value['state'], 'approved')
})

test('P10: an auditor searches the log and replays a session, and the reading is an entry', async () => {
  await using cam = await connectAs('cam')
  assert.deepEqual(cam.tools.slice(-2), ['audit_search', 'session_show'])
  const { value } = await cam.call('audit_search', { operation: 'v1.deleteMonitor', kind: 'action.denied' })
  const [entry] = value['entries'] as { session: string }[]
  assert.ok(entry)
  const shown = await cam.call('session_show', { id: entry.session })
  assert.ok(!shown.isError, shown.text)
  const kinds = (await gateway.entries()).map(each => each.kind)
  assert.ok(kinds.includes('audit.read'))
  assert.ok(kinds.includes('recording.read'))
})

test('attack: a tool that is not shown is not there', async () => {
  await using agent = await connectAs('triage-agent')
  const tried = await agent.call('audit_search', {}).then(
    said => said.text,
    (error: Error) => error.message,
  )
  assert.match(tried, /not found|unknown tool/i)
  const entries = await gateway.entries()
  assert.ok(!entries.some(each => each.kind === 'audit.read' && each.subject?.id === 'triage-agent'))
})

test('without a token: 401, and where tokens come from (RFC 9728)', async () => {
  for (const path of ['/mcp', '/c/datadog']) {
    const refused = await fetch(`${gateway.url}${path}${path === '/mcp' ? '' : '/x'}`, {
      method: 'POST',
      body: '{}',
    })
    assert.equal(refused.status, 401)
    const challenge = refused.headers.get('www-authenticate')!
    const metadata = /resource_metadata="([^"]+)"/.exec(challenge)?.[1]
    assert.equal(metadata, `${gateway.url}/.well-known/oauth-protected-resource${path}`)
    const document = (await (await fetch(metadata!)).json()) as Record<string, unknown>
    assert.equal(document['resource'], `${gateway.url}${path}`)
    assert.deepEqual(document['authorization_servers'], [world.identityProvider.issuer])
  }
  assert.equal((await fetch(`${gateway.url}/.well-known/oauth-protected-resource/c/none`)).status, 404)
})

test('attack: a page of another site is refused', async () => {
  const answer = await fetch(`${gateway.url}/mcp`, {
    method: 'POST',
    headers: { origin: 'https://evil.example.com', authorization: `Bearer ${await world.token('ana')}` },
    body: '{}',
  })
  assert.equal(answer.status, 403)
})

test('attack: a token for one address of the gateway counts there, and nowhere else (RFC 8707)', async () => {
  const claims = { sub: 'batch-agent', groups: ['agents'], client_id: 'batch-agent' }
  const bound = (aud: string) => world.identityProvider.mint({ ...claims, aud })
  const status = async (token: string, path: string) =>
    (await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status
  const here = await bound(`${gateway.url}/c/datadog`)
  assert.equal(await status(here, '/c/datadog/api/v1/monitor'), 200)
  assert.equal(await status(here, '/api/v1/me'), 401)
  assert.equal(await status(here, '/mcp'), 401)
  assert.equal(await status(here, '/c/datadog/api/v1/monitor'), 200)
  for (const aud of [
    `${gateway.url}/c/other`,
    `${gateway.url}/c/datadog/x`,
    gateway.url,
    'https://elsewhere.example.com',
  ])
    assert.equal(await status(await bound(aud), '/c/datadog/api/v1/monitor'), 401, aud)
  const own = await bound(`${gateway.url}/mcp`)
  assert.equal(await status(own, '/c/datadog/api/v1/monitor'), 401)
})
