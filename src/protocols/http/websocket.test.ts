import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { fakeGateway, type FakeGateway, goodToken, literalMasker } from './fake-gateway.ts'
import { listen, raw, requestText, stage } from './test-stage.ts'

async function echoStage(
  t: TestContext,
  gateway: FakeGateway = fakeGateway(),
  settings: Readonly<Record<string, unknown>> = {},
): Promise<{
  open: (headers?: Record<string, string>) => WebSocket
  gateway: FakeGateway
  port: number
  seen: IncomingMessage[]
  sockets: WebSocket[]
}> {
  const upstream = createServer()
  const server = new WebSocketServer({
    server: upstream,
    handleProtocols: offered => [...offered][0] ?? false,
  })
  const seen: IncomingMessage[] = []
  const sockets: WebSocket[] = []
  server.on('connection', (socket, request) => {
    gateway.diary.push('upstream.opened')
    seen.push(request)
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('message', (data: Buffer, binary) => socket.send(data, { binary }))
  })
  const upstreamPort = await listen(upstream)
  const { port } = await stage(t, undefined, {
    gateway,
    url: `http://127.0.0.1:${upstreamPort}/up`,
    settings,
  })
  t.after(() => {
    for (const socket of sockets) socket.terminate()
    upstream.close()
  })
  const open = (headers: Record<string, string> = { Authorization: `Bearer ${goodToken}` }): WebSocket => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live?x=1`, ['one', 'two'], { headers })
    socket.on('error', () => {}) // a refused handshake that the test ends by itself
    t.after(() => socket.terminate())
    return socket
  }
  return { open, gateway, port, seen, sockets }
}

async function next(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

test('P1: a WebSocket is one action, its messages recorded, and its end one entry with the totals', async t => {
  const { open, gateway, seen } = await echoStage(t)
  const socket = open()
  await once(socket, 'open')
  assert.equal(socket.protocol, 'one')
  socket.send('hello')
  assert.equal(await next(socket), 'hello')
  socket.send(Buffer.from([1, 2, 3]))
  await next(socket)
  socket.close(4001, 'done')
  const [code] = (await once(socket, 'close')) as [number]
  assert.equal(code, 4001)
  const completed = await gateway.until('action.completed')
  assert.deepEqual(gateway.diary, ['action.intended', 'upstream.opened', 'action.completed'])
  assert.deepEqual(completed.result?.facts, {
    http: { status_code: 101 },
    websocket: { messages_in: 2, messages_out: 2, close_code: 4001 },
  })
  assert.equal(completed.action?.risk, 'write')
  assert.equal(seen[0]?.url, '/up/live?x=1')
  assert.equal(seen[0]?.headers.authorization, 'Bearer upstream-secret-value')
  assert.ok(!JSON.stringify(seen[0]?.rawHeaders).includes(goodToken))
  const messages = gateway.frames.filter(frame => frame.part === 'message')
  assert.deepEqual(
    messages.map(frame => frame.from),
    ['client', 'upstream', 'client', 'upstream'],
  )
})

test('P8: text messages are masked one by one, binary ones end the socket where a mask is required', async t => {
  const gateway = fakeGateway()
  gateway.maskers = profiles => literalMasker(profiles.length > 0 ? ['secret'] : [])
  gateway.decide = () => ({ obligations: { mask: ['p'], maskRequest: [], record: 'full', rateLimits: [] } })
  const { open } = await echoStage(t, gateway)
  const socket = open()
  await once(socket, 'open')
  socket.send('{"a":"secret"}')
  assert.equal(await next(socket), '{"a":"[masked]"}')
  assert.ok(!Buffer.concat(gateway.frames.map(frame => frame.bytes)).includes('secret'))
  socket.send(Buffer.from('secret'))
  const [code] = (await once(socket, 'close')) as [number]
  assert.equal(code, 1003)
  assert.equal((await gateway.until('action.failed')).error?.code, 'mask-unable')
})

test('a denied WebSocket is a 403 with a problem document, and the upstream is not dialled', async t => {
  const { open, gateway, seen } = await echoStage(t)
  gateway.decide = () => ({ effect: 'deny', reason: 'rule-denied' })
  const socket = open()
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  assert.equal(response.statusCode, 403)
  assert.equal(response.headers['content-type'], 'application/problem+json')
  assert.equal(seen.length, 0)
  await gateway.until('action.denied')
})

test('a WebSocket without a token is a 401', async t => {
  const { open } = await echoStage(t)
  const socket = open({})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  assert.equal(response.statusCode, 401)
})

test('an upstream that takes no WebSockets is a 502', async t => {
  const { port, gateway } = await stage(t, undefined)
  const answer = await raw(
    port,
    requestText('GET /', [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]),
  )
  assert.match(answer, /^HTTP\/1\.1 502 [^]*status 200/)
  assert.equal(gateway.entries.at(-1)?.kind, 'action.failed')
})

test('either side that breaks off ends the other, and the entry says which', async t => {
  const first = await echoStage(t)
  const socket = first.open()
  await once(socket, 'open')
  first.sockets[0]?.terminate()
  const [code] = (await once(socket, 'close')) as [number]
  assert.equal(code, 1006)
  assert.equal((await first.gateway.until('action.failed')).error?.code, 'upstream-invalid')
  const second = await echoStage(t)
  const left = second.open()
  await once(left, 'open')
  left.terminate()
  assert.equal((await second.gateway.until('action.failed')).error?.code, 'client-gone')
  if (second.sockets[0]?.readyState !== WebSocket.CLOSED) await once(second.sockets[0]!, 'close')
})

test('a message over the limit closes with 1009', async t => {
  const { open } = await echoStage(t, fakeGateway(), { limits: { message: 10 } })
  const socket = open()
  socket.on('error', () => {})
  await once(socket, 'open')
  socket.send('x'.repeat(11))
  const [code] = (await once(socket, 'close')) as [number]
  assert.equal(code, 1009)
})
