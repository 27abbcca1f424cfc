/** A gateway killed while a hundred calls wait for a person: what was asked is asked still, and is used as decided. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, request } from 'undici'
import type { Entry } from '../../src/audit/events.ts'
import { approver } from '../support/approver.ts'
import { type ChildGateway, spawnGateway } from '../support/child-gateway.ts'
import { runCli } from '../support/cli.ts'
import { createWorld } from '../support/world.ts'

const calls = 100

test('P2: killed while 100 calls wait: pending after the restart, decided and used as they should be', async () => {
  await using world = await createWorld({
    config: {
      policy: {
        rules: [
          {
            name: 'writes',
            effect: 'require_approval',
            risks: ['write'],
            approval: { approvers: ['group:security'] },
          },
        ],
      },
    },
  })
  const agent = new Agent({ connections: calls })
  const token = await world.token('triage-agent')
  const create = async (gateway: ChildGateway, i: number, wait: number): Promise<number> => {
    const body = JSON.stringify({
      name: `Call ${i}`,
      type: 'query alert',
      query: 'avg(last_5m):avg:x{*} > 1',
    })
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      prefer: `wait=${wait}`,
    }
    const address = `${gateway.url}/c/datadog/api/v1/monitor`
    const answer = await request(address, { method: 'POST', dispatcher: agent, headers, body })
    await answer.body.dump()
    return answer.statusCode
  }
  const all = (each: (i: number) => Promise<number>): Promise<number[]> =>
    Promise.all(Array.from({ length: calls }, (_, i) => each(i)))
  const made = (i: number): number =>
    [...world.datadog.state.monitors.values()].filter(each => each['name'] === `Call ${i}`).length
  const nameIn = (approval: { request: { body?: unknown } }): number =>
    Number((approval.request.body as { name: string }).name.slice(5))

  const first = await spawnGateway(world)
  const waiting = all(i => create(first, i, 600).catch(() => -1))
  const before = await approver(first.url, await world.token('cam')).pending(calls)
  await first.kill()
  assert.deepEqual(new Set(await waiting), new Set([-1]))
  assert.equal(world.datadog.requests.length, 0)

  await using gateway = await spawnGateway(world)
  const cam = approver(gateway.url, await world.token('cam'))
  const after = await cam.pending(calls)
  assert.deepEqual(new Set(after.map(each => each.id)), new Set(before.map(each => each.id)))
  // Half of them return before the decision and wait on, the others come after it.
  const returned = Array.from({ length: calls / 2 }, (_, i) => create(gateway, i * 2, 60))
  for (const each of after) {
    const { status } = await cam.vote(each.id, nameIn(each) % 5 === 0 ? 'deny' : 'approve')
    assert.equal(status, 200)
  }
  await Promise.all(returned)
  const statuses = await all(i => (i % 2 === 0 ? returned[i / 2]! : create(gateway, i, 0)))
  for (const [i, status] of statuses.entries()) {
    assert.equal(status, i % 5 === 0 ? 403 : 200, `call ${i}`)
    assert.equal(made(i), i % 5 === 0 ? 0 : 1, `call ${i}`)
  }
  assert.deepEqual(new Set(await all(i => create(gateway, i, 0))), new Set([403]))
  assert.equal(world.datadog.requests.length, (calls * 4) / 5)
  assertOneUseEach(
    await gateway.entries(),
    before.map(each => each.id),
  )
  await agent.destroy()
  assert.equal(await gateway.stop(), 0)
  const verified = await runCli(['verify', '--complete', '--config', world.configFile], {
    cwd: world.directory,
  })
  assert.equal(verified.code, 0, verified.stdout + verified.stderr)
})

/** Each approval was asked for once and either denied or used by exactly one call that was completed. */
function assertOneUseEach(entries: readonly Entry[], ids: readonly string[]): void {
  const kinds = new Map<string, string[]>(ids.map(id => [id, []]))
  for (const { kind, approval } of entries) {
    const told = kinds.get((approval as { id?: string } | undefined)?.id ?? '')
    if (/^approval\.(?:requested|denied|consumed)$|^action\.completed$/.test(kind)) told?.push(kind)
  }
  for (const [id, told] of kinds) {
    const text = told.join(' ')
    assert.match(text, /^approval\.requested (?:approval\.denied|approval\.consumed action\.completed)$/, id)
  }
  const unknown = entries.filter(each => each.kind === 'action.outcome_unknown')
  assert.equal(unknown.length, calls)
}
