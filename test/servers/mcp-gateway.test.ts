/** Real SDK clients and servers of both eras, through a real gateway. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { allowAll, legacyClient, mcpStage, modernClient } from '../support/mcp-stage.ts'

const hello = [{ type: 'text', text: 'Hello, Ana!' }]

for (const era of ['modern', 'legacy'] as const) {
  test(`clients of both eras call a tool of a ${era} server, and each call is an action with its entries`, async () => {
    await using practice = await startPracticeMcp({ eras: [era] })
    await using stage = await mcpStage({ servers: [{ name: 'main', url: practice.url }] })
    const modern = await modernClient(stage)
    const call = { name: 'greet', arguments: { name: 'Ana' } }
    assert.deepEqual((await modern.callTool(call)).content, hello)
    await modern.close()
    const legacy = await legacyClient(stage)
    assert.deepEqual((await legacy.callTool(call)).content, hello)
    await legacy.close()
    const ended = (await stage.gateway.entries()).filter(
      each => each.kind === 'action.completed' && each.operation === 'tools/call:greet',
    )
    assert.equal(ended.length, 2)
    assert.deepEqual(ended[0]?.['gen_ai'], { operation: { name: 'execute_tool' }, tool: { name: 'greet' } })
    assert.deepEqual(ended[0]?.['claimed'], { client: { name: 'test-client', version: '1.2.3' } })
  })
}

test('a 2025-era server asks its client, and only where policy lets it', async () => {
  await using practice = await startPracticeMcp({ eras: ['legacy'] })
  for (const allowed of [true, false]) {
    const rules = allowed
      ? allowAll
      : [...allowAll, { name: 'no-questions', effect: 'deny' as const, operations: ['elicitation/create'] }]
    await using stage = await mcpStage({ servers: [{ name: 'main', url: practice.url }] }, { rules })
    const client = await legacyClient(stage, { capabilities: { elicitation: {} } })
    let asked = 0
    client.setRequestHandler(ElicitRequestSchema, () => {
      asked++
      return { action: 'accept', content: { username: 'ana', email: 'ana@example.com' } }
    })
    await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } })
    assert.equal(asked, allowed ? 1 : 0)
    await client.close()
  }
})

test('P11: a denied tool is hidden, its call says so in a result, and the session stays usable', async () => {
  await using practice = await startPracticeMcp()
  const rules = [
    ...allowAll,
    { name: 'no-greetings', effect: 'deny' as const, operations: ['tools/call:greet*'] },
  ]
  await using stage = await mcpStage({ servers: [{ name: 'main', url: practice.url }] }, { rules })
  for (const make of [modernClient, legacyClient]) {
    const client = await make(stage)
    const { tools } = await client.listTools()
    assert.ok(!tools.some(({ name }) => name === 'greet'))
    const denied = await client.callTool({ name: 'greet', arguments: { name: 'Ana' } })
    const unknown = await client.callTool({ name: 'greet_nobody', arguments: {} })
    assert.equal(denied.isError, true)
    assert.match(JSON.stringify(denied.content), /no-greetings/)
    const plain = (result: object): string => JSON.stringify(result).replaceAll(/\/\d+/g, '/N')
    assert.equal(plain(denied), plain(unknown), 'denied and unknown look the same')
    const fine = await client.callTool({ name: 'test_simple_text', arguments: {} })
    assert.notEqual(fine.isError, true)
    await client.close()
  }
})
