/** The whole story: an agent's tool call, and the calls to Datadog that a server behind the gateway made because of it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Entry } from '../../src/audit/events.ts'
import { root } from '../sources.ts'
import { datadogServersStage } from '../support/mcp-datadog-stage.ts'
import { modernClient } from '../support/mcp-stage.ts'

type Stage = Awaited<ReturnType<typeof datadogServersStage>>
type Client = Awaited<ReturnType<typeof modernClient>>

const unruly = {
  name: 'unruly',
  command: process.execPath,
  args: [join(root, 'test/support/unruly-mcp.ts')],
  env: { GATEWAY_TOKEN: '${gateway.token}' },
  connections: ['datadog'],
}

/** The calls of one trace as an analyst finds them, in the order of the log. */
async function storyOf({ gateway }: Stage, trace: string): Promise<Entry[]> {
  await gateway.running.services.storage.index.whenIndexed(gateway.running.services.storage.log.size)
  const { json } = await gateway.api.ask(`/audit/entries?trace=${trace}`)
  return (json as { entries: Entry[] }).entries
}

async function lastCall({ gateway }: Stage, name: string): Promise<Entry> {
  const all = (await gateway.entries()).filter(({ operation }) => operation === `tools/call:${name}`)
  return all.at(-1)!
}

function textOf(result: object): string {
  return (result as { content: { text: string }[] }).content[0]!.text
}

test('servers that call Datadog through the gateway', { timeout: 280_000 }, async t => {
  await using stage = await datadogServersStage()
  await stage.serve([stage.server('winor'), stage.server('tantiope'), unruly])
  const client = await modernClient(stage)
  await client.listTools()

  for (const [name, args] of [
    ['winor_get_monitors', {}],
    ['tantiope_monitors', { action: 'list' }],
  ] as const) {
    await t.test(`${name}: the tool call and what it asked of Datadog are one story`, async () => {
      const result = await client.callTool({ name, arguments: args })
      assert.notEqual(result.isError, true, JSON.stringify(result))
      assert.match(JSON.stringify(result.content), /CPU is high/)
      const call = await lastCall(stage, name)
      const story = await storyOf(stage, call.trace!.trace_id)
      const told = story.map(({ kind, operation }) => `${kind} ${operation}`)
      assert.deepEqual(told, [
        `action.intended tools/call:${name}`,
        'action.intended v1.listMonitors',
        'action.completed v1.listMonitors',
        `action.completed tools/call:${name}`,
      ])
      const [asked, inner] = story
      assert.deepEqual(inner!.cause, {
        connection: 'tools',
        server: name.split('_')[0],
        running: 1,
        action: asked!.action,
        operation: `tools/call:${name}`,
      })
      assert.equal(inner!.trace!.parent_id, asked!.trace!.span_id)
      assert.deepEqual(inner!.subject, asked!.subject, 'who asked the tool is who asked Datadog')
      const [upstream] = stage.world.datadog.requests.slice(-1)
      assert.equal(upstream!.headers['dd-api-key'], stage.world.datadog.keys.apiKey)
      assert.ok(!JSON.stringify(upstream!.headers).includes('spd_'))
    })
  }
  await t.test('P9: calls at once are told apart by their traces, or said to be several', () =>
    severalAtOnce(stage, client),
  )
  await t.test('P4: what the server is given is shown to nobody and good for one connection', () =>
    attacks(stage, client),
  )
  await client.close()
})

async function severalAtOnce(stage: Stage, client: Client): Promise<void> {
  const url = `${stage.gateway.url}/c/datadog/api/v1/monitor`
  for (const onward of [false, true]) {
    const before = (await stage.gateway.entries()).length
    const ask = () => client.callTool({ name: 'unruly_ask', arguments: { url, together: 2, onward } })
    const answers = await Promise.all([ask(), ask()])
    assert.deepEqual(answers.map(textOf), ['200', '200'])
    const entries = (await stage.gateway.entries()).slice(before)
    const intended = entries.filter(({ kind }) => kind === 'action.intended')
    const calls = intended.filter(({ operation }) => operation === 'tools/call:unruly_ask')
    const inner = intended.filter(({ operation }) => operation === 'v1.listMonitors')
    assert.equal(inner.length, 2)
    for (const { cause } of inner) assert.equal(cause?.running, 2)
    const named = inner.map(({ cause }) => cause?.action)
    if (onward) assert.deepEqual(new Set(named), new Set(calls.map(({ action }) => action)))
    else assert.deepEqual(named, [undefined, undefined])
    for (const { trace } of inner) assert.equal(trace !== undefined, onward)
  }
}

async function attacks(stage: Stage, client: Client): Promise<void> {
  const seen = textOf(await client.callTool({ name: 'unruly_read_environment', arguments: {} }))
  assert.match(seen, /GATEWAY_TOKEN/)
  assert.ok(!seen.includes('spd_'))
  for (const place of ['/api/v1/me', '/c/tools/mcp']) {
    const url = stage.gateway.url + place
    assert.equal(textOf(await client.callTool({ name: 'unruly_ask', arguments: { url } })), '401', place)
  }
  const entries = await stage.gateway.entries()
  const reasons = entries.filter(({ kind }) => kind === 'identity.refused').map(({ reason }) => reason)
  assert.deepEqual(new Set(reasons), new Set(['delegate-elsewhere']))
  assert.ok(!JSON.stringify(entries).includes('spd_'))
  assert.ok(!stage.gateway.said.join('').includes('spd_'))
}
