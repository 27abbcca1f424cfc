/** The stream of what servers say unasked (2025, GET), lost and come back to, through a real gateway. */
import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import type { McpServer } from '@modelcontextprotocol/server'
import { type PracticeMcp, startPracticeMcp } from '../../practice/mcp/practice-mcp.ts'
import { type Call, follow, idsIn, listen, mail, open } from '../support/mcp-raw.ts'
import { allowAll, type McpStage, mcpStage } from '../support/mcp-stage.ts'
import { until } from '../support/until.ts'

/** A server of 2025 that says things when it is told to, on no call's stream. */
async function sayingServer() {
  const servers: McpServer[] = []
  const practice = await startPracticeMcp({ eras: ['legacy'], extend: server => void servers.push(server) })
  return {
    practice,
    /** To everybody who listens. */
    async say(text: string): Promise<void> {
      for (const { server } of servers)
        await server.notification({ method: 'notifications/message', params: { level: 'info', data: text } })
    },
    [Symbol.asyncDispose]: () => practice.close(),
  }
}

function stageFor(practice: PracticeMcp, more: Readonly<Record<string, unknown>> = {}): Promise<McpStage> {
  return mcpStage(
    { servers: [{ name: 'main', url: practice.url }], ...more },
    {
      rules: [
        ...allowAll.map(rule => ({ ...rule, mask: ['personal'] })),
        {
          name: 'listening-is-masked',
          effect: 'allow',
          operations: ['subscriptions/listen'],
          mask: ['personal'],
        },
      ],
    },
  )
}

interface Listening extends ReturnType<typeof follow> {
  /** The connection breaks. */
  cut(): void
  readonly lastId: string
}

const hasEnded = ({ kind, operation }: { readonly kind: string; readonly operation?: unknown }): boolean =>
  operation === 'subscriptions/listen' && kind.startsWith('action.') && kind !== 'action.intended'

const listeners = ({ heads }: PracticeMcp): number =>
  heads.filter(each => each['accept'] === 'text/event-stream').length

/** Listens until the gateway does so at the server. */
async function listening(of: Call, practice: PracticeMcp, lastId?: string): Promise<Listening> {
  const before = listeners(practice)
  const connection = new AbortController()
  const answer = await listen({ ...of, signal: connection.signal }, lastId)
  assert.equal(answer.status, 200)
  const stream = follow(answer)
  if (lastId === undefined) await until('the gateway listens', () => listeners(practice) > before)
  return {
    get text() {
      return stream.text
    },
    until: part => stream.until(part),
    cut: () => connection.abort(),
    get lastId() {
      return idsIn(stream.text).at(-1)!
    },
  }
}

test('P11: a client that lost the stream that it listens on gets what was said meanwhile, masked, and goes on', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const first = await listening({ stage, session }, server.practice)
  await server.say(`one from ${mail}`)
  const heard = await first.until('one from')
  assert.match(heard, /^id: .+\nretry: [0-9]+\ndata:\n\n/)
  assert.ok(!heard.includes(mail))
  first.cut()
  await server.say(`two from ${mail}`)
  const second = await listening({ stage, session }, server.practice, first.lastId)
  await second.until('two from')
  await server.say('three')
  const rest = await second.until('three')
  assert.ok(!rest.includes(mail) && !rest.includes('one from'), rest)
  assert.equal(listeners(server.practice), 1, 'it is one listening at the server')
  second.cut()
})

test('a client that had heard nothing yet comes back too; one of an earlier revision begins anew', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const first = await listening({ stage, session }, server.practice)
  await first.until('retry')
  first.cut()
  await server.say('meanwhile')
  const again = await listening({ stage, session }, server.practice, first.lastId)
  await again.until('meanwhile')
  again.cut()
  const old = await open({ stage }, '2025-06-18')
  const connection = new AbortController()
  const before = listeners(server.practice)
  const stream = follow(
    await listen({ stage, session: old, signal: connection.signal }, undefined, '2025-06-18'),
  )
  await until('the gateway listens', () => listeners(server.practice) > before)
  await server.say('plain')
  assert.doesNotMatch(await stream.until('plain'), /^data:\s*$/m)
  connection.abort()
})

test('attack: the ids of one stream are of no use in another session, to another identity, or for another stream', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const mine = await listening({ stage, session }, server.practice)
  await server.say('mine alone')
  await mine.until('mine alone')
  const id = mine.lastId.replace(/[^.]*$/, '0')
  const token = await stage.world.token('batch-agent')
  assert.equal((await listen({ stage, session, token }, id)).status, 404, 'another identity')
  const other = await open({ stage })
  assert.equal((await listen({ stage, session: other }, id)).status, 400, 'another session')
  for (const guess of [id.replace('.1l.', '.2.'), id.replace('.1l.', '.7l.'), `${id}x`, 'x'])
    assert.equal((await listen({ stage, session }, guess)).status, 400, guess)
  mine.cut()
})

test('what is not kept any more is no reason to be deaf: the client listens anew', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice, { timeouts: { resume: '50ms' } })
  const session = await open({ stage })
  const first = await listening({ stage, session }, server.practice)
  await server.say('one')
  await first.until('one')
  const { lastId } = first
  first.cut()
  await stage.gateway.waitForEntries(1, hasEnded)
  await server.say('two, to nobody')
  const connection = new AbortController()
  const answer = await listen({ stage, session, signal: connection.signal }, lastId)
  assert.equal(answer.status, 200)
  const again = follow(answer)
  await until('the gateway listens again', () => listeners(server.practice) === 2)
  await server.say('three')
  const heard = await again.until('three')
  assert.ok(!heard.includes('two, to nobody'), heard)
  connection.abort()
})

test('who listens anew does not leave another listener behind', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice)
  const session = await open({ stage })
  const first = await listening({ stage, session }, server.practice)
  await first.until('retry')
  first.cut()
  // It would wait for 30 seconds.
  await until('the first has ended', async () => {
    const connection = new AbortController()
    await follow(await listen({ stage, session, signal: connection.signal })).until('retry')
    connection.abort()
    return (await stage.gateway.entries()).some(hasEnded)
  })
})

/** A network between a client and the gateway, whose connections can be broken. */
async function brittle(to: string) {
  const sockets = new Set<Socket>()
  const target = new URL(to)
  const network = createServer(near => {
    const far = connect(Number(target.port), target.hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>(done => network.listen(0, '127.0.0.1', done))
  const { port } = network.address() as AddressInfo
  const cut = (): void => {
    for (const each of sockets) each.destroy()
  }
  return {
    url: `http://127.0.0.1:${port}${target.pathname}`,
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise(done => network.close(done))
    },
  }
}

test('P11: the SDK’s own client, whose network breaks, hears all that was said, and each of it once', async () => {
  await using server = await sayingServer()
  await using stage = await stageFor(server.practice)
  await using network = await brittle(stage.url)
  const client = new Client({ name: 'listener', version: '1' })
  const heard: unknown[] = []
  client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void heard.push(params.data),
  )
  await client.connect(
    new StreamableHTTPClientTransport(new URL(network.url), {
      requestInit: { headers: { authorization: `Bearer ${stage.token}` } },
    }) as never,
  )
  await until('the gateway listens', () => listeners(server.practice) === 1)
  await server.say('one')
  await until('it is heard', () => heard.includes('one'))
  for (const word of ['two', 'three']) {
    network.cut()
    await server.say(word)
    await until(`${word} is heard`, () => heard.includes(word))
  }
  assert.deepEqual(heard, ['one', 'two', 'three'])
  assert.equal(listeners(server.practice), 1)
  await client.close()
})
