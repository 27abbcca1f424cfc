/**
 * The four cells of the era matrix: clients of SDK 1.x (2025) and SDK 2.x (2026-07-28), servers that speak one era alone,
 * and a gateway between. What a cell can't have is said in the test of that cell.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { McpServer } from '@modelcontextprotocol/server'
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { legacyClient, type McpStage, mcpStage, modernClient } from '../support/mcp-stage.ts'

const eras = ['legacy', 'modern'] as const
type Era = (typeof eras)[number]
type Client = Awaited<ReturnType<typeof legacyClient>> | Awaited<ReturnType<typeof modernClient>>

const answer = { action: 'accept' as const, content: { name: 'Ana' } }

/** A client that answers questions, and what it heard of logs. */
async function connect(era: Era, stage: McpStage): Promise<{ client: Client; logs: string[] }> {
  const logs: string[] = []
  const options = { capabilities: { elicitation: {} } }
  if (era === 'legacy') {
    const client = await legacyClient(stage, options)
    client.setRequestHandler(ElicitRequestSchema, () => answer)
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      logs.push(String(params.data))
    })
    return { client, logs }
  }
  const client = await modernClient(stage, options)
  client.setRequestHandler('elicitation/create', () => answer)
  client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(String(params.data)))
  return { client, logs }
}

/** Two pages of resources, and a tool that ends when its call is called off. */
function extend(server: McpServer, cancelled: () => void): void {
  const page = (names: readonly string[]) => names.map(name => ({ name, uri: `test://${name}` }))
  server.server.setRequestHandler('resources/list', ({ params }) =>
    params?.cursor === undefined
      ? { resources: page(['static-text', 'a']), nextCursor: 'second' }
      : { resources: page(['b']) },
  )
  server.registerTool('test_wait', { inputSchema: z.object({}) }, async (_args, context) => {
    await new Promise<void>(resolve =>
      context.mcpReq.signal.addEventListener('abort', () => resolve(), { once: true }),
    )
    cancelled()
    return { content: [] }
  })
}

for (const upstream of eras) {
  test(`a server of the ${upstream} era`, async t => {
    const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let waits = 0
    await using practice = await startPracticeMcp({
      eras: [upstream],
      extend: server => extend(server, () => ended[waits]!.resolve()),
    })
    await using stage = await mcpStage({ servers: [{ name: 'main', url: practice.url }] })
    for (const [i, era] of eras.entries()) {
      await t.test(`and a client of the ${era} era`, async () => {
        const { client, logs } = await connect(era, stage)
        await everything(client)
        await logging(client, { era, upstream, logs })
        waits = i
        const stop = new AbortController()
        const wait = { name: 'test_wait', arguments: {} }
        const { signal } = stop
        const call =
          'listen' in client
            ? client.callTool(wait, { signal })
            : client.callTool(wait, undefined, { signal })
        const rejected = assert.rejects(call)
        await stage.gateway.waitForEntries(
          i + 1,
          ({ kind, operation }) => kind === 'action.intended' && operation === 'tools/call:test_wait',
        )
        setTimeout(() => stop.abort(), 200)
        await rejected
        await ended[i]!.promise
        await client.close()
      })
    }
  })
}

/** What every cell has. */
async function everything(client: Client): Promise<void> {
  const capabilities = client.getServerCapabilities()!
  for (const name of ['tools', 'prompts', 'resources', 'completions'] as const)
    assert.ok(capabilities[name] !== undefined, name)

  const { tools } = await client.listTools()
  assert.ok(tools.some(({ name }) => name === 'test_simple_text'))
  const called = await client.callTool({ name: 'greet', arguments: { name: 'Ana' } })
  assert.deepEqual(called.content, [{ type: 'text', text: 'Hello, Ana!' }])

  const { resources, nextCursor } = await client.listResources()
  assert.deepEqual(
    resources.map(({ name }) => name),
    ['static-text', 'a', 'b'],
    'all pages as one',
  )
  assert.equal(nextCursor, undefined)
  const { contents } = await client.readResource({ uri: 'test://static-text' })
  assert.equal(contents.length, 1)
  assert.ok((await client.listResourceTemplates()).resourceTemplates.length > 0)

  assert.ok((await client.listPrompts()).prompts.some(({ name }) => name === 'test_simple_prompt'))
  assert.ok((await client.getPrompt({ name: 'test_simple_prompt' })).messages.length > 0)
  const ref = { type: 'ref/prompt' as const, name: 'test_prompt_with_arguments' }
  const { completion } = await client.complete({ ref, argument: { name: 'arg1', value: 'a' } })
  assert.deepEqual(completion.values, [])

  const failed = await client.callTool({ name: 'test_error_handling', arguments: {} })
  assert.equal(failed.isError, true)
  await assert.rejects(client.getPrompt({ name: 'test_no_such_prompt' }), /prompt/)
  await assert.rejects(client.readResource({ uri: 'test://gone' }), /not found/i)

  const steps: number[] = []
  const slow = { name: 'test_tool_with_progress', arguments: {} }
  const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress)
  if ('listen' in client) await client.callTool(slow, { onprogress })
  else await client.callTool(slow, undefined, { onprogress })
  assert.deepEqual(steps, [0, 50, 100])

  const asked = await client.callTool({ name: 'test_input_required_result_elicitation', arguments: {} })
  assert.deepEqual(asked.content, [{ type: 'text', text: 'Hello, Ana!' }], 'the user was asked')
}

/** A level is set by a request in 2025, and rides in each request in 2026. */
async function logging(
  client: Client,
  { era, upstream, logs }: { era: Era; upstream: Era; logs: string[] },
): Promise<void> {
  const name = 'test_tool_with_logging'
  if (era === 'legacy') {
    await (client as Awaited<ReturnType<typeof legacyClient>>).setLoggingLevel('info')
    await client.callTool({ name, arguments: {} })
  } else {
    await client.callTool({ name, arguments: {}, _meta: { 'io.modelcontextprotocol/logLevel': 'info' } })
  }
  assert.equal(logs.length, 3, `a ${upstream} server logs to a ${era} client`)
}
