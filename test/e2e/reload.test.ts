/** The configuration changes under a gateway that is in use. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { Client } from 'undici'
import { spawnGateway } from '../support/child-gateway.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { type ConfigInput, createWorld, type World } from '../support/world.ts'

const allow = { rules: [{ name: 'all', effect: 'allow' as const }] }
const denyWrites = {
  rules: [...allow.rules, { name: 'no-writes', effect: 'deny' as const, risks: ['write' as const] }],
}

let upstream: TestUpstream
let world: World
let gateway: TestGateway
let headers: Record<string, string>
/** Answers under way: the first half has left. */
let streaming: ServerResponse[] = []

before(async () => {
  upstream = await startUpstream((request, response) => {
    request.resume()
    if (request.url !== '/stream') return void response.end('done')
    response.write('first half, ')
    streaming.push(response)
  })
})

after(() => upstream.close())

beforeEach(async () => {
  streaming = []
  world = await createWorld()
  await world.configure({ connections: [things('things')], policy: allow, sinks: [] })
  gateway = await openGateway(world)
  headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
})

afterEach(async () => {
  await gateway.close()
  await world.close()
})

function things(name: string): NonNullable<ConfigInput['connections']>[number] {
  return { name, protocol: 'http', url: upstream.url }
}

/** Writes a change and waits until the gateway, which watches the file, has taken it up. */
async function change(to: Partial<ConfigInput>): Promise<void> {
  const isTaken = (entry: { kind: string }): boolean => entry.kind === 'configuration.changed'
  const count = (await gateway.entries()).filter(isTaken).length
  await world.configure(to)
  await gateway.waitForEntries(count + 1, isTaken)
}

/** One socket to the gateway, and how often it had to be opened. */
function oneSocket(): {
  send(method: 'GET' | 'POST', path: string): Promise<number>
  opened(): number
  close(): Promise<void>
} {
  const client = new Client(gateway.url)
  let opened = 0
  client.on('connect', () => opened++)
  return {
    async send(method, path) {
      const { statusCode, body } = await client.request({ method, path, headers })
      await body.text()
      return statusCode
    },
    opened: () => opened,
    close: () => client.close(),
  }
}

test('P10: another policy takes effect on connections and streams that go on', async () => {
  const socket = oneSocket()
  assert.equal(await socket.send('POST', '/c/things/a'), 200)
  const stream = await fetch(`${gateway.url}/c/things/stream`, { headers })
  const reader = stream.body!.getReader()
  assert.equal(Buffer.from((await reader.read()).value!).toString(), 'first half, ')

  await change({ policy: denyWrites })
  assert.equal(await socket.send('POST', '/c/things/a'), 403)
  assert.equal(await socket.send('GET', '/c/things/a'), 200)
  assert.equal(socket.opened(), 1)
  await socket.close()

  streaming[0]!.end('second half')
  assert.equal(Buffer.from((await reader.read()).value!).toString(), 'second half')
  assert.equal((await reader.read()).done, true)

  const entries = await gateway.entries()
  const [changed] = entries.filter(each => each.kind === 'policy.changed')
  assert.notEqual(changed?.['before'], changed?.['after'])
  const writes = entries.filter(each => each.operation === 'POST /a' && each.decision !== undefined)
  assert.deepEqual(
    writes.map(each => [each.decision?.effect, each.decision?.policy]),
    [
      ['permit', changed?.['before']],
      ['deny', changed?.['after']],
    ],
  )
})

test('P6, P10: a file that is not valid changes nothing, and both logs say where it is wrong', async () => {
  const wrong = [
    ['connections:\n  - name: things\n    protocol: htp\n', 3],
    ['policy: { rules: [ { name: a, effect: allow', 1],
    ['policy:\n  rules:\n    - name: a\n      effect: allow\n      when: "subject.id =="\n', 5],
  ] as const
  for (const [i, [text, line]] of wrong.entries()) {
    await writeFile(world.configFile, text)
    const rejected = await gateway.waitForEntries(i + 1, each => each.kind === 'configuration.rejected')
    const problems = rejected[i]!['problems'] as { line: number; message: string }[]
    assert.ok(
      problems.some(each => each.line === line),
      JSON.stringify(problems),
    )
    assert.ok(gateway.said.some(each => each.includes('configuration not taken')))
    assert.equal((await fetch(`${gateway.url}/c/things/a`, { headers })).status, 200)
  }
  await change({ policy: denyWrites })
  const answer = await fetch(`${gateway.url}/c/things/a`, { method: 'POST', headers })
  assert.equal(answer.status, 403)
})

test('P10: connections come and go while others run', async () => {
  assert.equal((await fetch(`${gateway.url}/c/more/a`, { headers })).status, 404)
  await change({ connections: [things('things'), things('more')] })
  assert.equal((await fetch(`${gateway.url}/c/more/a`, { headers })).status, 200)
  const stream = await fetch(`${gateway.url}/c/more/stream`, { headers })
  const socket = oneSocket()
  assert.equal(await socket.send('GET', '/c/things/a'), 200)

  await change({ connections: [things('things')] })
  assert.equal((await fetch(`${gateway.url}/c/more/a`, { headers })).status, 404)
  assert.equal(await socket.send('GET', '/c/things/a'), 200)
  assert.equal(socket.opened(), 1)
  await socket.close()
  streaming[0]!.end('second half')
  assert.equal(await stream.text(), 'first half, second half')

  const changes = (await gateway.entries()).filter(each => each.kind === 'connection.changed')
  assert.deepEqual(
    changes.map(each => [each['target'], each['change']]),
    [
      ['things', 'added'],
      ['more', 'added'],
      ['more', 'removed'],
    ],
  )
})

test('P10: a changed connection is replaced, and its credential is read where it is needed', async () => {
  const credential = { token: await world.secret('first', 'first-secret-0001') }
  const inject = [{ header: 'X-Token', value: '${token}' }]
  const seen: string[] = []
  const look = (request: IncomingMessage): void => void seen.push(String(request.headers['x-token']))
  upstream.server.on('request', look)
  await change({ connections: [{ ...things('things'), credential, inject }] })
  await fetch(`${gateway.url}/c/things/a`, { headers })
  await change({
    connections: [
      { ...things('things'), credential: { token: await world.secret('second', 'second-0002') }, inject },
    ],
  })
  await fetch(`${gateway.url}/c/things/a`, { headers })
  upstream.server.off('request', look)
  assert.deepEqual(seen, ['first-secret-0001', 'second-0002'])
})

test('P10: SIGHUP takes the file up again', async () => {
  await gateway.close()
  await using child = await spawnGateway(world)
  const post = (): Promise<Response> => fetch(`${child.url}/c/things/a`, { method: 'POST', headers })
  assert.equal((await post()).status, 200)
  const taken = (): number => child.output().split('configuration taken up').length - 1
  child.signal('SIGHUP')
  await until('the file is taken up', () => taken() === 1)
  await world.configure({ policy: denyWrites })
  child.signal('SIGHUP')
  await until('the new policy decides', async () => (await post()).status === 403)
  const kinds = (await child.entries()).map(each => each.kind)
  assert.ok(kinds.includes('policy.changed') && kinds.includes('configuration.changed'))
  assert.equal(await child.stop(), 0)
})
