/** What a picky client and a careless one send, byte by byte, to a real gateway, and what the specification answers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { follow, listen, open } from '../support/mcp-raw.ts'
import { until } from '../support/until.ts'
import { allowAll, legacyClient, type McpStage, mcpStage } from '../support/mcp-stage.ts'

const opened = new AsyncDisposableStack()
let practice: PracticeMcp
let stage: McpStage
let session: string
const begun = new EventTarget()
const running: AbortSignal[] = []

before(async () => {
  practice = await startPracticeMcp({
    extend: server =>
      void server.registerTool('lasts', { inputSchema: z.looseObject({}) }, async (_args, context) => {
        running.push(context.mcpReq.signal)
        begun.dispatchEvent(new Event('begun'))
        await once(context.mcpReq.signal, 'abort')
        return { content: [] }
      }),
  })
  opened.defer(() => practice.close())
  stage = opened.use(await mcpStage({ servers: [{ name: 'main', url: practice.url }] }, { rules: allowAll }))
  session = await open({ stage })
})
after(() => opened.disposeAsync())

type Headers = Readonly<Record<string, string | readonly string[]>>

interface Answered {
  readonly status: number
  readonly body: { id?: unknown; error?: { code: number; message: string }; result?: Record<string, unknown> }
}

/** By Node's own client, which sends a header twice where it is told to. */
async function post(headers: Headers, body: string | Buffer): Promise<Answered> {
  const sent = request(stage.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${stage.token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(headers as Record<string, string>),
    },
  })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part
  const data = /^data: (\{.*)$/m.exec(text)?.[1] ?? text
  return { status: response.statusCode!, body: data === '' ? {} : (JSON.parse(data) as Answered['body']) }
}

const legacyHeaders = (): Headers => ({ 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' })
const legacy = (body: string | Buffer, more: Headers = {}) => post({ ...legacyHeaders(), ...more }, body)
const ping = (id: string): string => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`

const _meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'picky', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}
const simple = { name: 'test_simple_text', arguments: {} }
function modern(method: string, params: object, headers: Headers = {}): Promise<Answered> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } })
  return post({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...headers }, body)
}

const told = ({ status, body }: Answered): unknown[] => [status, body.error?.code]

test('ids: any text or number comes back as it was; what is none, or can not be held exactly, is refused', async () => {
  for (const id of ['0', '-1', '""', '"a b"', '9007199254740991', `"${'x'.repeat(1024)}"`]) {
    const { status, body } = await legacy(ping(id))
    assert.deepEqual([status, body.id, body.result], [200, JSON.parse(id), {}], id)
  }
  for (const id of ['null', 'true', '{}', '[1]', '9007199254740993', `"${'x'.repeat(1025)}"`])
    assert.deepEqual(told(await legacy(ping(id))), [400, -32600], id)
  assert.deepEqual(told(await legacy(ping('1e400'))), [400, -32700])
})

test('what is no single message of JSON-RPC 2.0 in UTF-8 is refused, and the session goes on', async () => {
  const deep = (depth: number): string =>
    `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`
  const cases: readonly (readonly [string | Buffer, number])[] = [
    [`[${ping('1')},${ping('2')}]`, -32600],
    ['[]', -32600],
    ['{"id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":5}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', -32700],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1e999}}}', -32700],
    ['', -32700],
    [`\uFEFF${ping('1')}`, -32700],
    [
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":"'),
        Buffer.from([0xc3, 0x28]),
        Buffer.from('","method":"ping"}'),
      ]),
      -32700,
    ],
    [deep(300), -32700],
    [deep(200_000), -32700],
  ]
  for (const [body, code] of cases)
    assert.deepEqual(told(await legacy(body)), [400, code], body.toString().slice(0, 60))
  assert.equal((await legacy(ping('1'))).status, 200)
})

test('attack: a method that every object has is unknown, as any other is', async () => {
  for (const method of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf']) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method })
    assert.deepEqual(told(await legacy(body)), [200, -32601], method)
    assert.deepEqual(told(await modern(method, {})), [404, -32601], method)
  }
  const failed = (await stage.gateway.entries()).filter(({ kind }) => kind === 'action.failed')
  assert.deepEqual(failed, [])
})

test('a body that is not said to be JSON in UTF-8 is not read', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    'application/jsonx',
  ])
    assert.deepEqual(told(await legacy(ping('1'), { 'content-type': type })), [415, -32600], type)
  for (const type of [
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/json;charset="UTF-8"',
  ])
    assert.equal((await legacy(ping('1'), { 'content-type': type })).status, 200, type)
})

test('2026: headers say what the body says, once', async () => {
  const name = 'test_simple_text'
  const encoded = `=?base64?${Buffer.from(name).toString('base64')}?=`
  for (const good of [name, encoded])
    assert.equal((await modern('tools/call', simple, { 'mcp-name': good })).status, 200, good)
  const wrong: readonly Headers[] = [
    {},
    { 'mcp-name': 'other' },
    { 'mcp-name': name.toUpperCase() },
    { 'mcp-name': [name, 'other'] },
    { 'mcp-name': [name, name] },
    { 'mcp-name': '=?base64?!?=' },
    { 'mcp-name': name, 'mcp-method': 'tools/list' },
    { 'mcp-name': name, 'mcp-method': ['tools/call', 'tools/list'] },
    { 'mcp-name': name, 'mcp-protocol-version': '2025-11-25' },
    { 'mcp-name': name, 'mcp-protocol-version': ['2026-07-28', '2026-07-28'] },
  ]
  for (const headers of wrong)
    assert.deepEqual(
      told(await modern('tools/call', simple, headers)),
      [400, -32020],
      JSON.stringify(headers),
    )
})

test('2026: what a client carries for the gateway is its own text, or nothing', async () => {
  for (const requestState of [5, null, {}, 'junk']) {
    const { body } = await modern('tools/call', { ...simple, requestState }, { 'mcp-name': simple.name })
    assert.equal(body.error?.code, -32602, JSON.stringify(requestState))
  }
})

test('versions: one that is not spoken is refused with those that are; an earlier one is answered in its era', async () => {
  for (const version of ['1999-01-01', '2099-01-01', 'x'.repeat(500), '']) {
    const { status, body } = await legacy(ping('1'), { 'mcp-protocol-version': version })
    assert.deepEqual([status, body.error?.code], [400, -32022], version)
  }
  assert.equal((await legacy(ping('1'), { 'mcp-protocol-version': '2025-03-26' })).status, 200)
})

test('sessions: another identity can neither use, hear nor end one', async () => {
  const authorization = `Bearer ${await stage.world.token('batch-agent')}`
  assert.deepEqual(told(await legacy(ping('1'), { authorization })), [404, -32600])
  for (const method of ['GET', 'DELETE']) {
    const answer = await fetch(stage.url, {
      method,
      headers: { authorization, accept: 'text/event-stream', 'mcp-session-id': session },
    })
    assert.equal(answer.status, 404, method)
    await answer.text()
  }
  assert.equal((await legacy(ping('1'))).status, 200)
  assert.deepEqual(told(await legacy(ping('1'), { 'mcp-session-id': [session, session] })), [404, -32600])
})

test('attack: a page of another origin, or of a name that was made to point here, gets nothing', async () => {
  for (const origin of [
    'https://evil.example',
    'null',
    'http://localhost.evil.example',
    'http://localhost@evil.example',
  ])
    assert.equal((await legacy(ping('1'), { origin })).status, 403, origin)
  assert.equal((await legacy(ping('1'), { host: 'evil.example' })).status, 403)
  assert.equal((await legacy(ping('1'), { origin: 'http://localhost:6274' })).status, 200)
})

test('a level that there is not is refused, and later calls are none the worse', async () => {
  const level = (name: unknown) =>
    legacy(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: name } }))
  for (const name of ['loud', 'INFO', '', 5, null]) assert.equal((await level(name)).body.error?.code, -32602)
  assert.deepEqual((await level('info')).body.result, {})
})

test('a cancelled id ends every call that has it, and never the stream that the client listens on', async () => {
  const connection = new AbortController()
  const heard = follow(await listen({ stage, session, signal: connection.signal }))
  await heard.until('retry')
  running.length = 0
  const calls = ['"stream"', '"stream"', '8'].map(id =>
    legacy(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"lasts","arguments":{}}}`),
  )
  while (running.length < 3) await once(begun, 'begun')
  const cancel = (requestId: unknown) =>
    legacy(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }))
  for (const nobody of [99, null, undefined, {}, '8']) assert.equal((await cancel(nobody)).status, 202)
  const ended = (): number => running.filter(({ aborted }) => aborted).length
  assert.equal(ended(), 0)
  await cancel('stream')
  await Promise.all(calls.slice(0, 2))
  await until('the server hears that nobody wants the two', () => ended() === 2)
  await cancel(8)
  await calls[2]
  const listening = (await stage.gateway.entries()).filter(
    each => each.operation === 'subscriptions/listen' && each.kind !== 'action.intended',
  )
  assert.deepEqual(listening, [])
  connection.abort()
})

test('cursors: there is one page, and no other is to be had', async () => {
  for (const cursor of ['x', '', 5, null]) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { cursor } })
    assert.equal((await legacy(body)).body.error?.code, -32602, JSON.stringify(cursor))
  }
})

test('after all that, a plain client works', async () => {
  const client = await legacyClient(stage)
  assert.match(JSON.stringify(await client.callTool(simple)), /simple text/)
  await client.close()
})
