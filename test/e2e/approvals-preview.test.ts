/** What an approver sees that a call will change, read by the gateway itself, and what comes of it at the use. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { v1 } from '@datadog/datadog-api-client'
import type { Entry } from '../../src/audit/events.ts'
import type { ApprovalView } from '../../src/cli/approval-text.ts'
import { type Approver, approver } from '../support/approver.ts'
import { runCli } from '../support/cli.ts'
import { byBearer, failure } from '../support/datadog-story.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type World } from '../support/world.ts'

let world: World
let gateway: TestGateway
let token: string
let cam: Approver
let from = 0

before(async () => {
  const approval = { approvers: ['group:security'] }
  const risks = ['write' as const, 'delete' as const, 'admin' as const]
  world = await createWorld({
    config: {
      policy: {
        rules: [
          {
            name: 'writes',
            effect: 'require_approval',
            risks,
            connections: { names: ['datadog'] },
            mask: ['personal'],
            approval,
          },
          {
            name: 'strict-writes',
            effect: 'require_approval',
            risks,
            connections: { names: ['strict'] },
            approval: { ...approval, on_change: 'refuse' },
          },
        ],
      },
    },
  })
  const [datadog] = world.config.connections!
  const quick = { ...datadog!, hold: { profiles: [{ agent: '*', hold: 0.1 }] } }
  await world.configure({ connections: [quick, { ...quick, name: 'strict' }] })
  gateway = await openGateway(world)
  token = await world.token('triage-agent')
  cam = approver(gateway.url, await world.token('cam'))
})

after(async () => {
  await gateway.close()
  await world.close()
})

beforeEach(async () => {
  for (const each of await cam.open()) await cam.vote(each.id, 'deny')
  from = (await gateway.entries()).length
})

const monitors = (connection = 'datadog'): v1.MonitorsApi =>
  new v1.MonitorsApi(byBearer(`${gateway.url}/c/${connection}`, token))

/** A monitor of the practice Datadog, changed by nobody's leave. */
function planted(name: string): number {
  const [id, monitor] = [...world.datadog.state.monitors][0]!
  Object.assign(monitor, { name, message: 'Call ana@example.com', tags: ['team:a', 'env:prod'] })
  return id
}

async function asked(call: () => Promise<unknown>): Promise<ApprovalView> {
  assert.equal((await failure(call)).code, 403)
  return (await cam.pending())[0]!
}

const entriesSince = async (): Promise<Entry[]> => (await gateway.entries()).slice(from)

test('an update shows the fields that it changes, and the read is an entry of the gateway’s own', async () => {
  const monitorId = planted('Before')
  const body = { name: 'After', message: 'Call bo@example.com', tags: ['team:a', 'env:dev', 'new'] }
  const approval = await asked(() => monitors().updateMonitor({ monitorId, body }))
  const { kind, changes, cut } = approval.preview!
  assert.deepEqual([kind, cut], ['update', false])
  assert.deepEqual(
    changes.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    [
      // Masked on both sides, so it is listed although both look alike.
      { path: 'message', before: 'Call [masked:email]', after: 'Call [masked:email]' },
      { path: 'name', before: 'Before', after: 'After' },
      { path: 'tags[1]', before: 'env:prod', after: 'env:dev' },
      { path: 'tags[2]', after: 'new' },
    ],
  )
  const entries = await entriesSince()
  const own = entries.filter(each => each.subject?.id === 'gateway' && each.kind.startsWith('action.'))
  assert.deepEqual(
    own.map(each => [each.kind, each.operation, each.subject?.issuer, each.subject?.kind]),
    [
      ['action.intended', 'v1.getMonitor', 'sallyport', 'service'],
      ['action.completed', 'v1.getMonitor', 'sallyport', 'service'],
    ],
  )
  const facts = own[0]!['http'] as Record<string, unknown>
  const update = entries.find(each => each.operation === 'v1.updateMonitor')!
  assert.deepEqual([facts['purpose'], facts['preview_of']], ['preview', update.action])
  assert.equal((approval.preview as { readEntry?: string }).readEntry, own[1]!.seq)
  assert.ok(!JSON.stringify([approval, entries]).includes('bo@example.com'))

  await cam.vote(approval.id, 'approve')
  await monitors().updateMonitor({ monitorId, body })
  assert.equal(world.datadog.state.monitors.get(monitorId)?.['name'], 'After')
})

test('the difference as `sallyport approvals show` prints it', async () => {
  const monitorId = planted('Printed before')
  const body = { name: 'Printed after', tags: ['team:a'] }
  const { id } = await asked(() => monitors().updateMonitor({ monitorId, body }))
  const { code, stdout, stderr } = await runCli(['approvals', 'show', id, '--config', world.configFile], {
    cwd: world.directory,
  })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /name[^]*Printed before[^]*Printed after/)
  assert.match(stdout, /tags\[1\][^]*env:prod/)
  assert.match(stdout, /v1\.updateMonitor/)
})

test('a deletion shows what goes, a creation what comes', async () => {
  const monitorId = planted('Doomed')
  const removal = await asked(() => monitors().deleteMonitor({ monitorId }))
  assert.equal(removal.preview?.kind, 'delete')
  assert.ok(removal.preview!.changes.some(each => each.path === 'name' && each.before === 'Doomed'))
  assert.ok(removal.preview!.changes.every(each => !('after' in each)))
  await cam.vote(removal.id, 'deny')
  const body = { name: 'New', type: 'query alert' as const, query: 'avg(last_5m):avg:x{*} > 1' }
  const creation = await asked(() => monitors().createMonitor({ body }))
  assert.equal(creation.preview?.kind, 'create')
  assert.ok(creation.preview!.changes.some(each => each.path === 'name' && each.after === 'New'))
})

test('a resource that has changed since is asked about anew, or refused where the rule says so', async () => {
  const body = { name: 'Wanted' }
  for (const [connection, reason] of [
    ['datadog', 'approval-pending'],
    ['strict', 'approval-outdated'],
  ] as const) {
    const monitorId = planted('As it was')
    const update = (): Promise<unknown> => monitors(connection).updateMonitor({ monitorId, body })
    const approval = await asked(update)
    await cam.vote(approval.id, 'approve')
    planted('Changed by somebody')
    const { body: problem } = await failure(update)
    assert.match(JSON.stringify(problem), new RegExp(`"reason":"${reason}"`))
    assert.equal(world.datadog.state.monitors.get(monitorId)?.['name'], 'Changed by somebody')
    if (connection === 'strict') continue
    const [anew] = await cam.pending()
    assert.notEqual(anew!.id, approval.id)
    assert.deepEqual(anew!.preview!.changes, [
      { path: 'name', before: 'Changed by somebody', after: 'Wanted' },
    ])
    await cam.vote(anew!.id, 'approve')
    // What Datadog touches by itself is no change.
    Object.assign(world.datadog.state.monitors.get(monitorId)!, { overall_state: 'Alert' })
    await update()
    assert.equal(world.datadog.state.monitors.get(monitorId)?.['name'], 'Wanted')
  }
})

test('an upstream that does not answer the read leaves the request as it is', async () => {
  const monitorId = planted('Unread')
  for (const fault of [{ kind: 'status', status: 500 }, { kind: 'down' }, { kind: 'reset' }] as const) {
    world.datadog.fail(fault, 1)
    const approval = await asked(() =>
      monitors().updateMonitor({ monitorId, body: { name: `Blind ${JSON.stringify(fault)}` } }),
    )
    assert.equal(approval.preview, undefined)
    assert.match(JSON.stringify(approval.request), /Blind/)
    await cam.vote(approval.id, 'deny')
  }
  const ends = (await entriesSince()).filter(
    each => each.subject?.id === 'gateway' && each.outcome !== undefined,
  )
  assert.deepEqual(
    ends.map(each => each.kind),
    ['action.completed', 'action.failed', 'action.failed'],
  )
})

test('P5: who is named by the rule sees the change; the requester, who may not read, sees no state; others nothing', async () => {
  const id = planted('Seen by few')
  await failure(() => monitors().updateMonitor({ monitorId: id, body: { name: 'Renamed' } }))
  const [asked] = await cam.pending()
  const see = async (who: string): Promise<{ status: number; view: ApprovalView }> => {
    const response = await fetch(`${gateway.url}/api/v1/approvals/${asked!.id}`, {
      headers: { authorization: `Bearer ${await world.token(who)}` },
    })
    return { status: response.status, view: (await response.json()) as ApprovalView }
  }
  // Ana is named by nothing here and has no role; the agent asks for her, which is not asking herself.
  assert.equal((await see('ana')).status, 404)
  const own = await see('triage-agent')
  assert.deepEqual([own.status, own.view.preview], [200, undefined])
  assert.ok(((await see('cam')).view.preview?.changes.length ?? 0) > 0)
})
