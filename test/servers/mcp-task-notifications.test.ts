/** What a server says of its own tasks: masked, to who follows them, and to nobody else. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { allowAll, mcpStage, type McpStage } from '../support/mcp-stage.ts'
import { follow, listen, open } from '../support/mcp-raw.ts'
import { taskClient } from '../support/task-client.ts'

const mail = 'dora.smith@example.com'
const foreign = 'task-of-somebody-else'
const opened = new AsyncDisposableStack()
let stage: McpStage
/** Streams that the server holds open, and how to say something on all of them. */
const streams = new Set<ServerResponse>()

interface Asked {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly notifications?: { readonly taskIds?: readonly string[] } }
}

const task = (taskId: string, more: object = {}) => ({
  taskId,
  status: 'working',
  createdAt: '2026-01-01T00:00:00Z',
  lastUpdatedAt: '2026-01-01T00:00:00Z',
  ttlMs: 60_000,
  pollIntervalMs: 1000,
  ...more,
})
const done = (taskId: string) =>
  task(taskId, {
    status: 'completed',
    result: { content: [{ type: 'text', text: `found ${mail} for ${taskId}` }] },
  })
const say = (response: ServerResponse, message: object): void =>
  void response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`)
const changed = (params: object) => ({ method: 'notifications/tasks', params })

/** A server of both eras, by hand: `works` becomes a task; each stream is told of it and of another's. */
async function taskServer(): Promise<string> {
  let made = 0
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (request.method === 'GET') return begin(response)
      const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as Asked
      const { id, method } = body
      if (id === undefined) return response.writeHead(202).end()
      if (method === 'subscriptions/listen') {
        begin(response)
        say(response, { method: 'notifications/subscriptions/acknowledged', params: { notifications: {} } })
        for (const taskId of [...(body.params?.notifications?.taskIds ?? []), foreign])
          say(response, changed(done(taskId)))
        return
      }
      if (method === 'tools/call') {
        begin(response)
        say(response, changed(done(foreign)))
        say(response, { id, result: { resultType: 'task', ...task(`raw-${++made}`) } })
        return response.end()
      }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answers(method) }))
    })
  })
  await new Promise<void>(started => server.listen(0, '127.0.0.1', started))
  opened.defer(async () => {
    server.closeAllConnections()
    await new Promise(closed => server.close(closed))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}

function begin(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  streams.add(response)
  response.on('close', () => streams.delete(response))
}

function answers(method: string): object {
  const capabilities = { tools: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }
  const serverInfo = { name: 'tasks', version: '1' }
  switch (method) {
    case 'server/discover':
      return {
        result: {
          resultType: 'complete',
          supportedVersions: ['2026-07-28'],
          capabilities,
          _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
        },
      }
    case 'initialize':
      return { result: { protocolVersion: '2025-11-25', capabilities, serverInfo } }
    case 'tools/list':
      return {
        result: { resultType: 'complete', tools: [{ name: 'works', inputSchema: { type: 'object' } }] },
      }
    default:
      return { error: { code: -32601, message: 'no such method' } }
  }
}

before(async () => {
  const url = await taskServer()
  stage = opened.use(
    await mcpStage(
      { servers: [{ name: 'main', url }] },
      { rules: allowAll.map(rule => ({ ...rule, mask: ['personal'] })) },
    ),
  )
})
after(() => opened.disposeAsync())

test('P8: a follower hears of its own task, under its own id, masked; of another’s nobody hears', async () => {
  const client = taskClient(stage)
  const called = await client.call('works')
  const { taskId } = called.result!
  assert.match(String(taskId), /^task_/)
  assert.ok(!JSON.stringify(called).includes('raw-') && !JSON.stringify(called).includes(foreign))
  const listening = new AbortController()
  const heard: unknown[] = []
  for await (const message of client.listen([taskId], listening.signal)) {
    heard.push(message)
    if (message.params?.['status'] === 'completed') break
  }
  listening.abort()
  const text = JSON.stringify(heard)
  assert.match(text, /found \[/)
  assert.ok(!text.includes(mail) && !text.includes(foreign), text)
  assert.equal((heard.at(-1) as { params: { taskId: unknown } }).params.taskId, taskId)
})

test('attack: who follows another’s task, or none, hears nothing of it', async () => {
  const { result } = await taskClient(stage).call('works')
  const other = taskClient({ ...stage, token: await stage.world.token('batch-agent') })
  const listening = new AbortController()
  for await (const { method, params } of other.listen([result!['taskId']], listening.signal)) {
    assert.equal(method, 'notifications/subscriptions/acknowledged')
    assert.deepEqual(params?.['notifications'], {})
    break
  }
  listening.abort()
})

test('a client of 2025 is told of no task, on the stream that it listens on or on a call’s', async () => {
  const session = await open({ stage })
  const connection = new AbortController()
  const heard = follow(await listen({ stage, session, signal: connection.signal }))
  await heard.until('retry')
  const told = (): void => {
    for (const each of streams) {
      say(each, changed(done(foreign)))
      say(each, { method: 'notifications/tasks/status', params: task(foreign) })
      say(each, { method: 'notifications/message', params: { level: 'info', data: 'the end' } })
    }
  }
  while (streams.size === 0) await new Promise(setImmediate)
  told()
  assert.ok(!(await heard.until('the end')).includes(foreign))
  connection.abort()
})
