/** Bodies that take their time, are large, or end before their end; and WebSockets. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { WebSocket, WebSocketServer } from 'ws'
import type { Entry } from '../../src/audit/events.ts'
import { type ChildGateway, spawnGateway } from '../support/child-gateway.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { createWorld, type World } from '../support/world.ts'

const mebibyte = 1024 * 1024
const large = 100 * mebibyte

let upstream: TestUpstream
const opened = new AsyncDisposableStack()
let world: World
let gateway: ChildGateway
let headers: Record<string, string>
const running = new Map<string, ServerResponse>()
/** What the upstream was able to write of the answer that nobody reads. */
let written = 0
let cancelled = 0

before(async () => {
  upstream = opened.use(await startUpstream((asked, response) => void answer(asked, response)))
  const sockets = new WebSocketServer({ server: upstream.server })
  sockets.on('connection', socket => {
    socket.on('message', data => socket.send(`{"you":${JSON.stringify(String(data))},"by":"bo@example.com"}`))
  })
  world = opened.use(await createWorld())
  await world.configure({
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: {
      rules: [
        { name: 'all', effect: 'allow' },
        {
          name: 'private',
          effect: 'allow',
          operations: ['GET /events', 'GET /socket', 'GET /binary'],
          mask: ['personal'],
        },
      ],
    },
    recording: { max_bytes: '64MiB' },
    sinks: [],
  })
  gateway = opened.use(await spawnGateway(world))
  headers = { authorization: `Bearer ${await world.token('triage-agent')}` }
})

after(() => opened.disposeAsync())

async function answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = asked.url!
  running.set(path, response)
  response.setMaxListeners(0)
  response.on('close', () => void (response.writableFinished || cancelled++))
  switch (path) {
    case '/events':
      response.setHeader('content-type', 'text/event-stream')
      return void response.write('id: 1\ndata: {"mail":"ana@example.com","n":1}\n\n')
    case '/large':
      response.setHeader('content-length', large)
      for (let i = 0; i < large / mebibyte; i++) await write(response, Buffer.alloc(mebibyte, i))
      return void response.end()
    case '/unread':
      response.on('error', () => undefined)
      while (!response.destroyed && written < large) {
        await write(response, Buffer.alloc(65_536))
        written += 65_536
      }
      return
    case '/upload': {
      const hash = createHash('sha256')
      let size = 0
      for await (const chunk of asked as AsyncIterable<Buffer>) {
        hash.update(chunk)
        size += chunk.length
      }
      return void response.end(`${size} ${hash.digest('hex')}`)
    }
    case '/dies':
      response.setHeader('content-length', 1000)
      return void response.write('the first part', () => setTimeout(() => response.destroy(), 50))
    case '/dies-chunked':
      return void response.write('the first part', () => setTimeout(() => response.destroy(), 50))
    case '/binary':
      response.setHeader('content-type', 'image/png')
      return void response.end(Buffer.from([137, 80, 78, 71, 0, 1, 2, 3]))
    default:
      asked.resume()
      return void response.write('begun')
  }
}

async function write(response: ServerResponse, piece: Buffer): Promise<void> {
  if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
}

/** The entry that ended the last action on this path. */
function endOf(path: string): Promise<Entry> {
  return until(`${path} has its end`, async () =>
    (await gateway.entries()).findLast(each => each.resource === path && each.intent !== undefined),
  )
}

async function framesOf(entry: Entry): Promise<string> {
  const { json } = await gateway.api.ask(`/sessions/${entry.session}/replay?limit=100`)
  const { actions } = json as { actions: { entry: Entry; frames?: { text?: string }[] }[] }
  const found = actions.find(each => each.entry.seq === entry.seq)
  return (found?.frames ?? []).map(frame => frame.text ?? '').join('')
}

/** Peak resident memory in bytes. */
async function peak(): Promise<number> {
  const status = await readFile(`/proc/${gateway.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

const onLinux = process.platform === 'linux' ? {} : { skip: 'SKIPPED: needs /proc' }

test('P8, P12: server-sent events pass one by one, masked in the answer and in the recording', async () => {
  const response = await fetch(`${gateway.url}/c/things/events`, { headers })
  const reader = response.body!.getReader()
  let text = ''
  const readTo = async (mark: string): Promise<void> => {
    while (!text.includes(mark)) {
      const { value, done } = await reader.read()
      assert.ok(!done, text)
      text += Buffer.from(value).toString()
    }
  }
  await readTo('"n":1}\n\n')
  // The second event is sent only now: the first did not wait for it.
  const stream = running.get('/events')!
  stream.write('id: 2\ndata: {"mail":"cam@exam')
  await sleep(30)
  stream.end('ple.com","n":2}\n\n')
  await readTo('"n":2}\n\n')
  assert.equal((await reader.read()).done, true)
  assert.doesNotMatch(text, /example\.com/)
  assert.equal(text.match(/\[masked:email\]/g)?.length, 2)
  assert.deepEqual(text.match(/^id: \d$/gm), ['id: 1', 'id: 2'])
  const end = await endOf('/events')
  assert.deepEqual([end.kind, end.masked?.count, end.masked?.kinds], ['action.completed', 2, ['email']])
  const recorded = await framesOf(end)
  assert.match(recorded, /\[masked:email\]/)
  assert.doesNotMatch(recorded, /example\.com"/)
})

test('P12: 100 MiB down and up pass whole in bounded memory', onLinux, async () => {
  const before = await peak()
  // A session of its own, since its recordings are large.
  const own = { authorization: `Bearer ${await world.token('batch-agent')}` }
  const down = await request(`${gateway.url}/c/things/large`, { headers: own })
  let size = 0
  let right = true
  for await (const chunk of down.body as AsyncIterable<Buffer>) {
    right &&= chunk[0] === Math.floor(size / mebibyte) % 256
    size += chunk.length
  }
  assert.deepEqual([size, right], [large, true])
  const hash = createHash('sha256')
  async function* pieces(): AsyncGenerator<Buffer, void, undefined> {
    for (let i = 0; i < large / mebibyte; i++) {
      const piece = Buffer.alloc(mebibyte, i + 7)
      hash.update(piece)
      yield piece
    }
  }
  const up = await request(`${gateway.url}/c/things/upload`, {
    method: 'POST',
    headers: own,
    body: Readable.from(pieces()),
  })
  assert.equal(await up.body.text(), `${large} ${hash.digest('hex')}`)
  const grown = (await peak()) - before
  assert.ok(grown < 150 * mebibyte, `grew by ${Math.round(grown / mebibyte)} MiB for 200 MiB`)
  const end = await endOf('/large')
  assert.deepEqual([end.kind, end.bytes_out, end.recording?.complete], ['action.completed', large, false])
  assert.equal((await endOf('/upload')).bytes_in, large)
})

test('P12: an answer that nobody reads stops at the upstream', async () => {
  const response = await request(`${gateway.url}/c/things/unread`, { headers })
  let before = -1
  await until('the upstream is held back', async () => {
    if (written > 0 && written === before) return true
    before = written
    await sleep(300)
    return false
  })
  assert.ok(written < 40 * mebibyte, `${Math.round(written / mebibyte)} MiB are under way`)
  response.body.destroy()
  response.body.on('error', () => undefined)
  const end = await endOf('/unread')
  assert.deepEqual([end.kind, end.error?.code], ['action.failed', 'client-gone'])
})

test('P2: a client that goes away cancels the call, and the entry says so', async () => {
  const [leaving, were] = [new AbortController(), cancelled]
  const response = await fetch(`${gateway.url}/c/things/slow`, { headers, signal: leaving.signal })
  assert.equal(response.status, 200)
  leaving.abort()
  await assert.rejects(response.text())
  await until('the upstream call is cancelled', () => cancelled > were)
  const end = await endOf('/slow')
  assert.deepEqual([end.kind, end.error?.code, end.outcome], ['action.failed', 'client-gone', 'failure'])
  assert.match(await framesOf(end), /begun/)
})

test('P2: an upstream that dies midway cuts the answer, so that nobody takes it for whole', async () => {
  for (const path of ['/dies', '/dies-chunked']) {
    const response = await fetch(`${gateway.url}/c/things${path}`, { headers })
    await assert.rejects(response.text(), path)
    const end = await endOf(path)
    assert.deepEqual([end.kind, end.error?.code], ['action.failed', 'upstream-invalid'], path)
    assert.match(await framesOf(end), /the first part/)
  }
})

test('P8: what can not be masked is withheld', async () => {
  const response = await fetch(`${gateway.url}/c/things/binary`, { headers })
  const text = await response.text()
  assert.equal(response.status, 502)
  assert.equal((JSON.parse(text) as { code: string }).code, 'mask-unable')
  const end = await endOf('/binary')
  assert.deepEqual([end.kind, end.error?.code], ['action.failed', 'mask-unable'])
})

test('P8: WebSocket messages pass both ways, masked and recorded', async () => {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/c/things/socket`, { headers })
  await once(socket, 'open')
  const answers: string[] = []
  socket.on('message', data => answers.push(String(data)))
  socket.send('hello from ana@example.com')
  socket.send('and once more')
  await until('both answers', () => answers.length === 2)
  assert.match(answers[0]!, /"by":"\[masked:email\]"/)
  assert.match(answers[1]!, /and once more/)
  assert.doesNotMatch(answers.join(), /example\.com/)
  socket.close(1000)
  await once(socket, 'close')
  const end = await endOf('/socket')
  assert.equal(end.kind, 'action.completed')
  const totals = end['websocket'] as { messages_in: number; messages_out: number; close_code: number }
  assert.deepEqual([totals.messages_in, totals.messages_out, totals.close_code], [2, 2, 1000])
  const recorded = await framesOf(end)
  assert.match(recorded, /and once more/)
  assert.doesNotMatch(recorded, /(ana|bo)@example\.com/)
})

test('P1: a WebSocket without a token is refused before the upgrade', async () => {
  const seen = upstream.seen.length
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/c/things/socket`)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  assert.equal(response.statusCode, 401)
  response.destroy()
  socket.on('error', () => undefined)
  socket.terminate()
  assert.equal(upstream.seen.length, seen)
})
