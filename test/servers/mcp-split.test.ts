/** Secrets in pieces: an answer cut where a network may cut it, and a secret said bit by bit. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { open, send } from '../support/mcp-raw.ts'
import { allowAll, mcpStage } from '../support/mcp-stage.ts'

const mail = 'dora.smith@example.com'
const key = 'upstream-key-4f81c2d09ab3'

/** A server of 2025 by hand whose tool `say` answers with this stream, written part by part. */
async function rawServer(parts: (id: unknown) => readonly Buffer[]) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.method !== 'POST') return response.writeHead(405).end()
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: number; method: string }
      if (id === undefined) return response.writeHead(202).end()
      if (method === 'tools/call') return void write(response, parts(id))
      const result = results[method]
      response.writeHead(200, { 'content-type': 'application/json' })
      const failed = { error: { code: -32601, message: 'no such method' } }
      return response.end(
        JSON.stringify({ jsonrpc: '2.0', id, ...(result === undefined ? failed : { result }) }),
      )
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}

const results: Record<string, object> = {
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {}, logging: {} },
    serverInfo: { name: 'raw', version: '1' },
  },
  'tools/list': { tools: [{ name: 'say', inputSchema: { type: 'object' } }] },
}

/** Each part is a packet of its own. */
async function write(response: ServerResponse, parts: readonly Buffer[]): Promise<void> {
  response.socket?.setNoDelay(true)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const part of parts) {
    await new Promise(done => response.write(part, done))
    await new Promise(setImmediate)
  }
  response.end()
}

const message = (body: object): string => JSON.stringify({ jsonrpc: '2.0', ...body })
const log = (data: unknown): string =>
  message({ method: 'notifications/message', params: { level: 'info', data } })
const answer = (id: unknown, text: string): string =>
  message({ id, result: { content: [{ type: 'text', text }] } })

async function call(parts: (id: unknown) => readonly Buffer[]) {
  await using server = await rawServer(parts)
  await using stage = await mcpStage(
    {
      servers: [{ name: 'main', url: server.url, headers: [{ header: 'X-Api-Key', value: '${key}' }] }],
      credential: { key: '${env:SPLIT_TEST_KEY}' },
    },
    { rules: allowAll.map(rule => ({ ...rule, mask: ['personal'] })) },
  )
  const session = await open({ stage })
  const answered = await send(
    { stage, session },
    { id: 1, method: 'tools/call', params: { name: 'say', arguments: {} } },
  )
  const text = await answered.text()
  const entries = JSON.stringify(await stage.gateway.entries())
  for (const secret of [mail, key]) assert.ok(!text.includes(secret) && !entries.includes(secret), text)
  const messages = [...text.matchAll(/^data: (\{.*)$/gm)].map(
    ([, data]) => JSON.parse(data!) as { params?: { data?: unknown; message?: string }; result?: unknown },
  )
  return { text, messages }
}

process.env['SPLIT_TEST_KEY'] = key

for (const [what, end] of [
  ['LF', '\n'],
  ['CR LF', '\r\n'],
  ['CR', '\r'],
] as const) {
  test(`P8: an answer that comes byte by byte, lines ended by ${what}, is masked as a whole one is`, async () => {
    const said = `Grüße 😀 an ${mail}, ${key}`
    const { messages } = await call(id => {
      const events = [log(said), answer(id, said)].map(
        each => `event: message${end}data: ${each}${end}${end}`,
      )
      return [...Buffer.from(events.join(''))].map(byte => Buffer.from([byte]))
    })
    assert.equal(messages.length, 2)
    assert.match(String(messages[0]!.params!.data), /^Grüße 😀 an \[/)
    assert.match(JSON.stringify(messages[1]!.result), /Grüße 😀 an \[/)
  })
}

test('P8: a secret that is said bit by bit is masked from where it is known as one', async () => {
  const halves = [mail.slice(0, 15), mail.slice(15)]
  const thirds = [key.slice(0, 8), key.slice(8, 16), key.slice(16)]
  const said = ['write to ', halves[0]!, `${halves[1]!} or not. `, ...thirds, ' was the key']
  const { messages } = await call(id => [
    ...said.map(each => Buffer.from(`data: ${log(each)}\n\n`)),
    Buffer.from(`data: ${answer(id, 'done')}\n\n`),
  ])
  const heard = messages.slice(0, -1).map(each => String(each.params?.data))
  const joined = heard.join('')
  assert.equal(heard.length, said.length)
  assert.ok(!joined.includes(mail) && !joined.includes(key), joined)
  assert.match(joined, /^write to .*\] or not\. .* was the key$/)
})

test('P8: progress and log messages are each looked at as one, and what is innocent stays as it is', async () => {
  const progress = (text: string): Buffer =>
    Buffer.from(
      `data: ${message({ method: 'notifications/progress', params: { progressToken: 1, progress: 1, message: text } })}\n\n`,
    )
  const { messages } = await call(id => [
    progress('asking dora.smith@exa'),
    Buffer.from(`data: ${log('nothing here')}\n\n`),
    progress('mple.com for more'),
    Buffer.from(`data: ${log({ deep: 'object' })}\n\n`),
    progress('step 3 of 4'),
    Buffer.from(`data: ${answer(id, 'done')}\n\n`),
  ])
  const words = messages.slice(0, -1).map(each => each.params?.message ?? each.params?.data)
  assert.deepEqual(words[1], 'nothing here')
  assert.deepEqual(words[3], { deep: 'object' })
  assert.equal(words[4], 'step 3 of 4')
  assert.doesNotMatch(`${words[0]}${words[2]}`, /dora\.smith@example/)
  assert.match(String(words[2]), /\] for more$/)
})
