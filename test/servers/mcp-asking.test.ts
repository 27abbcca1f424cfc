/** What servers ask of clients, and say before they answer: let through, masked or refused, in either era. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { inputRequired, type McpServer } from '@modelcontextprotocol/server'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  type ProgressNotification,
} from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { legacyClient, type McpStage, mcpStage } from '../support/mcp-stage.ts'
import { taskClient } from '../support/task-client.ts'

const mail = 'dora.smith@example.com'
const allow = { name: 'all', effect: 'allow' as const, mask: ['personal'], mask_request: ['personal'] }
const refuse = {
  name: 'no-questions',
  effect: 'deny' as const,
  operations: ['sampling/createMessage', 'elicitation/create'],
}
const declared = { sampling: {}, elicitation: {} }

const opened = new AsyncDisposableStack()
let practice: PracticeMcp
const stages = new Map<string, McpStage>()

function addAsking(server: McpServer): void {
  server.registerTool('asks_anyway', {}, () =>
    inputRequired({
      inputRequests: {
        q: {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: `Are you ${mail}?`,
            requestedSchema: { type: 'object', properties: { yes: { type: 'boolean' } } },
          },
        },
      },
    }),
  )
  server.registerTool('steps', { inputSchema: z.object({}) }, async (_args, context) => {
    const progressToken = context.mcpReq._meta?.progressToken ?? 0
    const params = { progressToken, progress: 1, message: `at ${mail}` }
    await context.mcpReq.notify({ method: 'notifications/progress', params })
    return { content: [{ type: 'text', text: 'done' }] }
  })
}

before(async () => {
  practice = opened.use(await startPracticeMcp({ extend: addAsking }))
  for (const era of ['legacy', 'modern'])
    for (const asked of ['allowed', 'refused']) {
      const rules = asked === 'allowed' ? [allow] : [allow, refuse]
      const servers = [{ name: 'main', url: practice.url, era }]
      stages.set(`${era} ${asked}`, opened.use(await mcpStage({ servers }, { rules })))
    }
})

after(() => opened.disposeAsync())

for (const asked of ['allowed', 'refused'] as const) {
  test(`P8: a 2025-era server that samples and elicits: ${asked}, its words and the answers masked`, async () => {
    const client = await legacyClient(stages.get(`legacy ${asked}`)!, { capabilities: declared })
    const heard: unknown[] = []
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
      heard.push(params)
      return { role: 'assistant', model: 'none', content: { type: 'text', text: `for ${mail}` } }
    })
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      heard.push(params)
      return { action: 'accept', content: { response: mail } }
    })
    const said = [
      await client.callTool({ name: 'test_sampling', arguments: { prompt: `about ${mail}` } }),
      await client.callTool({ name: 'test_elicitation', arguments: { message: `are you ${mail}?` } }),
    ]
    await client.close()
    assert.equal(heard.length, asked === 'allowed' ? 2 : 0)
    assert.doesNotMatch(JSON.stringify([heard, said]), /dora/)
    for (const { isError } of said) assert.equal(isError === true, asked === 'refused')
  })

  for (const era of ['legacy', 'modern'] as const) {
    test(`P8: a ${era} server that asks a client of 2026: ${asked}, whatever the server was told`, async () => {
      const client = taskClient(stages.get(`${era} ${asked}`)!, declared)
      const { result, error } =
        era === 'modern'
          ? await client.call('asks_anyway')
          : await client.call('test_elicitation', { message: `are you ${mail}?` })
      const words = JSON.stringify({ result, error })
      assert.doesNotMatch(words, /dora/)
      assert.equal(result?.['resultType'] === 'input_required', asked === 'allowed', words)
      assert.equal(/inputRequests/.test(words), asked === 'allowed')
      if (era === 'modern' && asked === 'refused') assert.equal(error?.code, -32021)
    })
  }
}

test('P8: what a server says of its progress is masked', async () => {
  const client = await legacyClient(stages.get('legacy allowed')!)
  const heard: Partial<ProgressNotification['params']>[] = []
  await client.callTool({ name: 'steps', arguments: {} }, undefined, {
    onprogress: each => void heard.push(each),
  })
  await client.close()
  assert.equal(heard[0]?.progress, 1)
  assert.match(heard[0]?.message ?? '', /^at /)
  assert.doesNotMatch(JSON.stringify(heard), /dora/)
})

test('a list is of its reader alone: private, and not to be kept', async () => {
  const client = taskClient(stages.get('modern allowed')!, declared)
  for (const method of [
    'tools/list',
    'prompts/list',
    'resources/list',
    'resources/templates/list',
    'server/discover',
  ]) {
    const { result } = await client.ask(method)
    assert.equal(result?.['cacheScope'], 'private', method)
    assert.equal(result?.['ttlMs'], 0, method)
  }
})
