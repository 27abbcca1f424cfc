/**
 * The gateway killed at random moments under load. Six kills in the usual run; SALLYPORT_LONG=1 makes it 200 and prints
 * what it counted.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { type Entry, terminalKinds } from '../../src/audit/events.ts'
import { type ChildGateway, killWhileStarting, spawnGateway } from '../support/child-gateway.ts'
import { runCli } from '../support/cli.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'
import { until } from '../support/until.ts'
import { createWorld, type World } from '../support/world.ts'

const long = process.env['SALLYPORT_LONG'] === '1'
const kills = long ? 200 : 6
const clients = 16

/** Journals each request before it answers; every fourth answer is streamed slowly. */
function journalingUpstream(): Promise<TestUpstream> {
  return startUpstream((asked, response) => {
    asked.resume()
    const wait = Math.random() * 12
    response.setHeader('content-type', 'application/json')
    if (Math.random() < 0.75) {
      setTimeout(() => response.end('{"ok":true}'), wait)
      return
    }
    response.write('{"ok":')
    setTimeout(() => response.end('true}'), wait)
  })
}

/** Sends as fast as it is answered until told to stop. What a client got whole, it was acknowledged. */
class Load {
  readonly acknowledged = new Set<string>()
  readonly #token: string
  #sent = 0

  constructor(token: string) {
    this.#token = token
  }

  async run(base: string, stop: AbortSignal): Promise<void> {
    const dispatcher = new Agent({ connections: clients })
    try {
      await Promise.all(Array.from({ length: clients }, () => this.#client(base, dispatcher, stop)))
    } finally {
      await dispatcher.destroy()
    }
  }

  async #client(base: string, dispatcher: Agent, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const path = `/things/${++this.#sent}`
      const method = this.#sent % 3 === 0 ? 'POST' : 'GET'
      try {
        const answer = await request(base + path, {
          method,
          dispatcher,
          headers: { authorization: `Bearer ${this.#token}` },
          ...(method === 'POST' ? { body: '{"a":1}' } : {}),
        })
        const text = await answer.body.text()
        if (answer.statusCode === 200 && text === '{"ok":true}') this.acknowledged.add(path)
        else assert.fail(`answered ${answer.statusCode} ${text}`)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        return // the gateway is gone
      }
    }
  }
}

async function killedUnderLoad(world: World, load: Load): Promise<void> {
  const gateway: ChildGateway = await spawnGateway(world)
  const stop = new AbortController()
  const running = load.run(`${gateway.url}/c/things`, stop.signal)
  // However slow the machine is: a kill that meets no traffic shows nothing.
  const before = load.acknowledged.size
  await until('the load is answered', () => load.acknowledged.size > before + 8)
  await sleep(Math.random() * 350)
  await gateway.kill()
  stop.abort()
  await running
}

test('P1, P2: killed under load: nothing unrecorded, nothing acknowledged lost, every intent ended', async t => {
  await using upstream = await journalingUpstream()
  await using world = await createWorld()
  await world.configure({
    connections: [{ name: 'things', protocol: 'http', url: upstream.url }],
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
    sinks: [],
  })
  const load = new Load(await world.identityProvider.mint({ sub: 'loader' }, { lifetime: 36_000 }))
  let starts = 0
  for (let i = 0; i < kills; i++) {
    await killedUnderLoad(world, load)
    // Some kills fall into the start after a kill, while what was left open is being ended.
    if (i % 3 === 2) {
      starts++
      await killWhileStarting(world, 250 + Math.random() * 350)
    }
  }
  const last = await spawnGateway(world)
  const entries = await last.entries()
  assert.equal(await last.stop(), 0)
  const verified = await runCli(['verify', '--complete', '--json', '--config', world.configFile], {
    cwd: world.directory,
  })
  assert.equal(verified.code, 0, verified.stdout + verified.stderr)

  const counted = check(entries, upstream, load)
  assert.ok(counted.unknown > 0, 'no kill met a request under way: the load was too light')
  t.diagnostic(
    `${kills} kills under load and ${starts} while starting: ${JSON.stringify({ ...counted, entries: entries.length })}`,
  )
})

interface Counted {
  readonly seen: number
  readonly acknowledged: number
  readonly intents: number
  readonly unknown: number
  readonly sessions: number
}

function check(entries: readonly Entry[], upstream: TestUpstream, load: Load): Counted {
  assert.deepEqual(
    entries.map(each => Number(each.seq)),
    entries.map((_, i) => i),
  )
  const intents = new Map<string, string>()
  const ends = new Map<string, Entry>()
  const sessions = new Set<string>()
  let ended = 0
  for (const entry of entries) {
    if (entry.kind === 'action.intended') intents.set(entry.seq, entry.resource!)
    else if ((terminalKinds as readonly string[]).includes(entry.kind)) {
      assert.ok(intents.has(entry.intent!), `${entry.seq} ends what was not begun`)
      assert.ok(!ends.has(entry.intent!), `${entry.intent} is ended twice`)
      ends.set(entry.intent!, entry)
    } else if (entry.kind === 'session.started') sessions.add(entry.session!)
    else if (entry.kind === 'session.ended') {
      assert.ok(sessions.has(entry.session!))
      ended++
    } else if (entry.kind === 'log.opened') {
      assert.equal(ends.size, intents.size, `a start at ${entry.seq} left an intent open`)
      assert.equal(ended, sessions.size, `a start at ${entry.seq} left a session open`)
    }
  }
  assert.equal(ends.size, intents.size, 'each intent has its end')
  const intended = new Set(intents.values())
  const seen = upstream.seen.map(line => line.slice(line.indexOf(' ') + 1))
  assert.deepEqual(
    seen.filter(path => !intended.has(path)),
    [],
    'the upstream saw what the log does not know',
  )
  const completed = new Set(
    [...ends.values()].filter(each => each.kind === 'action.completed').map(each => each.resource),
  )
  assert.deepEqual(
    [...load.acknowledged].filter(path => !completed.has(path)),
    [],
    'acknowledged, and not in the log as completed',
  )
  assert.ok(load.acknowledged.size > kills * 5, `only ${load.acknowledged.size} acknowledged`)
  return {
    seen: seen.length,
    acknowledged: load.acknowledged.size,
    intents: intents.size,
    unknown: [...ends.values()].filter(each => each.kind === 'action.outcome_unknown').length,
    sessions: sessions.size,
  }
}
