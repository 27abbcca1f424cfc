/** The practice intake at its worst, behind a whole gateway that is in use meanwhile. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { IntakeFault } from '../../practice/datadog/intake.ts'
import { spawnGateway } from '../support/child-gateway.ts'
import { openGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { createWorld, type World } from '../support/world.ts'

let upstream: TestUpstream
let world: World
let headers: Record<string, string>

before(async () => {
  upstream = await startUpstream((request, response) => {
    request.resume()
    response.end('done')
  })
})

after(() => upstream.close())

beforeEach(async () => {
  world = await createWorld()
  await world.configure({
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
  })
  headers = { authorization: `Bearer ${await world.token('batch-agent')}` }
})

afterEach(() => world.close())

/** Sends so many requests, eight at a time. Gives how many were answered. */
async function ask(url: string, paths: readonly string[]): Promise<number> {
  const waiting = [...paths]
  let answered = 0
  const client = async (): Promise<void> => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const answer = await fetch(`${url}/c/things${path}`, { headers })
      if ((await answer.text()) === 'done') answered++
    }
  }
  await Promise.all(Array.from({ length: 8 }, client))
  return answered
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `/${name}/${i}`)
}

/** The ids at the far end, each where it first arrived. */
function arrived(): string[] {
  const ids = world.intake.logs.map(
    ({ record }) => (record['sallyport'] as { event: { id: string } }).event.id,
  )
  return [...new Set(ids)]
}

/** Waits until the far end has as many as the log; then both must be the same, in the same order. */
async function assertDelivered(
  entries: () => Promise<readonly { log: string; seq: string }[]>,
): Promise<void> {
  const expected = await until(
    'the far end has the whole log',
    async () => {
      const all = await entries()
      return arrived().length >= all.length && all
    },
    60_000,
  )
  assert.deepEqual(
    arrived().slice(0, expected.length),
    expected.map(({ log, seq }) => `${log}/${seq}`),
  )
}

const faults: readonly (readonly [name: string, fault: IntakeFault, times: number])[] = [
  ['down', { kind: 'down' }, 2],
  ['slow', { kind: 'slow', ms: 300 }, 2],
  ['busy', { kind: 'status', status: 429 }, 1],
  ['broken', { kind: 'status', status: 503 }, 1],
  ['too-large', { kind: 'status', status: 413 }, 2],
  ['lost-answer', { kind: 'reset-after-accept' }, 2],
]

test('P7: through each fault in turn the far end gets the whole log, in order', async () => {
  await using gateway = await openGateway(world)
  for (const [name, fault, times] of faults) {
    world.intake.fail(fault, times)
    assert.equal(await ask(gateway.url, numbered(name, 40)), 40)
    await assertDelivered(() => gateway.entries())
  }
  const [status] = gateway.running.services.export.status()
  assert.equal(status?.state, 'running')
  assert.equal(status?.counts.dead_lettered, 0)
})

test('P7: one record in a thousand is poison: a stub goes in its place, and the log says so', async () => {
  await using gateway = await openGateway(world)
  const isPoison = (record: Record<string, unknown>): boolean =>
    JSON.stringify(record).includes('/many/321') && JSON.stringify(record).includes('action.completed')
  world.intake.fail({ kind: 'poison', is: isPoison })
  assert.equal(await ask(gateway.url, numbered('many', 500)), 500)
  const [noted] = await gateway.waitForEntries(1, each => each.kind === 'export.dead_lettered')
  await assertDelivered(() => gateway.entries())
  const entries = await gateway.entries()
  const poison = entries.find(each => each.kind === 'action.completed' && each.resource === '/many/321')
  assert.ok(poison !== undefined && noted !== undefined)
  assert.ok(JSON.stringify(noted).includes(poison.seq), 'the note names the entry')
  const stub = world.intake.logs.find(({ record }) => JSON.stringify(record).includes(`/${poison.seq}"`))
  assert.ok(stub !== undefined && !isPoison(stub.record))
  const [status] = gateway.running.services.export.status()
  assert.deepEqual([status?.state, status?.counts.dead_lettered], ['running', 1])
})

test('P7: while the intake is down every request is answered; later everything arrives', async () => {
  await using gateway = await openGateway(world)
  world.intake.fail({ kind: 'down' })
  const seen = upstream.seen.length
  assert.equal(await ask(gateway.url, numbered('meanwhile', 300)), 300)
  assert.equal(upstream.seen.length - seen, 300)
  assert.deepEqual(arrived(), [])
  const [status] = gateway.running.services.export.status()
  assert.ok(status!.lag.entries >= 600, `behind by ${status!.lag.entries}`)
  assert.notEqual(status!.state, 'running')
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  assert.match(metrics, /sallyport_export_lag_entries\{sink="intake"\} [1-9]\d\d/)
  world.intake.fail(undefined)
  await assertDelivered(() => gateway.entries())
})

test('P7: killed while the intake was down: the next run ships what this one could not', async () => {
  world.intake.fail({ kind: 'down' })
  await using killed = await spawnGateway(world)
  assert.equal(await ask(killed.url, numbered('before', 50)), 50)
  await killed.kill()
  world.intake.fail(undefined)
  await using gateway = await openGateway(world)
  await assertDelivered(() => gateway.entries())
  assert.ok(arrived().length > 100)
})
