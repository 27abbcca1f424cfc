/** A recorded session done again in a sandbox, judged under another policy, and undone through the gateway. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { v1 } from '@datadog/datadog-api-client'
import { startPracticeDatadog } from '../../practice/datadog/practice-datadog.ts'
import type { Entry } from '../../src/audit/events.ts'
import { type CommandResult, runCli } from '../support/cli.ts'
import { byBearer } from '../support/datadog-story.ts'
import { openGateway, type TestGateway } from '../support/gateway.ts'
import { createWorld, type ConfigInput, type World } from '../support/world.ts'

let world: World
let gateway: TestGateway
let cam: string

const rules: NonNullable<NonNullable<ConfigInput['policy']>['rules']> = [
  { name: 'reads', effect: 'allow', risks: ['read'] },
  {
    name: 'agents-write',
    effect: 'allow',
    subjects: { kinds: ['agent'] },
    risks: ['write', 'delete'],
    record_before: true,
    mask: ['personal'],
  },
  {
    name: 'security-repairs',
    effect: 'allow',
    subjects: { groups: ['security'] },
    risks: ['write', 'delete'],
  },
]

before(async () => {
  world = await createWorld({ config: { policy: { rules } } })
  await world.configure({ roles: { auditor: ['group:security', 'group:platform'] } })
  gateway = await openGateway(world)
  cam = await world.token('cam')
})

after(async () => {
  await gateway.close()
  await world.close()
})

interface Did {
  readonly monitors: v1.MonitorsApi
  readonly dashboards: v1.DashboardsApi
}

/** What the agent does, in a session of its own; gives the session's id. */
async function session(act: (apis: Did) => Promise<unknown>): Promise<string> {
  const token = await world.token('triage-agent')
  const config = byBearer(`${gateway.url}/c/datadog`, token)
  const from = (await gateway.entries()).length
  await act({ monitors: new v1.MonitorsApi(config), dashboards: new v1.DashboardsApi(config) })
  const ended = await gateway.waitForEntries(
    1,
    each => Number(each.seq) >= from && each.subject?.id === 'triage-agent' && each.intent !== undefined,
  )
  const id = ended.at(-1)!.session!
  await gateway.api.ask(`/sessions/${id}`, 'DELETE')
  return id
}

const cli = (...args: string[]): Promise<CommandResult> =>
  runCli([...args, '--url', gateway.url, '--token', cam], { cwd: world.directory })

/** A monitor of the practice Datadog. */
function monitor(): { id: number; state: Record<string, unknown> } {
  const [id, state] = [...world.datadog.state.monitors][0]!
  return { id, state }
}

const current = (id: number): Record<string, unknown> | undefined => world.datadog.state.monitors.get(id)

const linksOf = async (id: string): Promise<Entry[]> =>
  (await gateway.entries()).filter(
    each => each.kind === 'undo.applied' && (each['of'] as { session: string }).session === id,
  )

test('in a sandbox: each step with what it changes, and where another policy decides otherwise', async t => {
  const { id, state } = monitor()
  const query = String(state['query'])
  const [dashboardId, dashboard] = [...world.datadog.state.dashboards][0]!
  const recorded = await session(async ({ monitors, dashboards }) => {
    await monitors.updateMonitor({
      monitorId: id,
      body: { query: query.replace(/\d+$/, '97'), message: 'x' },
    })
    await dashboards.deleteDashboard({ dashboardId })
    const made = await monitors.createMonitor({
      body: { name: 'Made', type: 'query alert', query: 'avg(last_5m):avg:x{*} > 1' },
    })
    await monitors.updateMonitor({ monitorId: made.id!, body: { name: 'Made and renamed' } })
  })
  const sandbox = await startPracticeDatadog({ sandbox: true })
  t.after(() => sandbox.close())
  const touched = world.datadog.requests.length
  const same = await cli('sessions', 'replay', recorded, '--sandbox', sandbox.url)
  assert.equal(same.code, 0, same.stderr)
  assert.match(same.stdout, /seeded with 2 objects/)
  assert.match(same.stdout, new RegExp(`PUT /api/v1/monitor/${id} -> 200`))
  assert.ok(same.stdout.includes(`- query: ${JSON.stringify(query)}`), same.stdout)
  assert.ok(same.stdout.includes(`+ query: ${JSON.stringify(query.replace(/\d+$/, '97'))}`))
  assert.ok(same.stdout.includes(`- title: ${JSON.stringify(dashboard['title'])}`))
  assert.match(same.stdout, /\+ name: "Made"/)
  assert.match(same.stdout, /- name: "Made"\n\s+\+ name: "Made and renamed"/)
  assert.match(same.stdout, /none would be decided otherwise/)
  assert.equal(world.datadog.requests.length, touched, 'production is left alone')

  const policy = join(world.directory, 'proposed.yaml')
  await writeFile(
    policy,
    `rules:
  - name: no-deletes
    effect: deny
    risks: [delete]
  - name: no-paging-words
    effect: deny
    operations: ['v1.updateMonitor']
    when: has(request.body.message) && request.body.message == 'x'
  - name: agents-write
    effect: allow
    subjects: { kinds: [agent] }
    risks: [write]
`,
  )
  const other = await cli(
    'sessions',
    'replay',
    recorded,
    '--sandbox',
    sandbox.url,
    '--policy',
    policy,
    '--json',
  )
  assert.equal(other.code, 0, other.stderr)
  const steps = other.stdout
    .trim()
    .split('\n')
    .slice(1)
    .map(
      line =>
        JSON.parse(line) as { entry: Entry; judged: { after: string[]; rule?: string }; sent?: unknown },
    )
  assert.deepEqual(
    steps.map(({ entry, judged, sent }) => [entry.operation, judged.after, judged.rule, sent !== undefined]),
    [
      ['v1.updateMonitor', ['deny'], 'no-paging-words', false],
      ['v1.deleteDashboard', ['deny'], 'no-deletes', false],
      ['v1.createMonitor', ['permit'], 'agents-write', true],
      ['v1.updateMonitor', ['permit'], 'agents-write', true],
    ],
  )
  const read = (await gateway.entries()).filter(each => each.kind === 'recording.read')
  assert.ok(read.some(each => (each['of'] as { as?: string }).as === 'sandbox' && each.subject?.id === 'cam'))
  Object.assign(world.datadog.state.monitors.get(id)!, { query })
})

test('only what says that it is a sandbox is sent anything', async () => {
  const recorded = await session(({ monitors }) => monitors.listMonitors({}))
  const touched = world.datadog.requests.length
  const { code, stderr } = await cli('sessions', 'replay', recorded, '--sandbox', world.datadog.url)
  assert.equal(code, 2)
  assert.match(stderr, /nothing at this address says that it is a sandbox/)
  assert.deepEqual(
    world.datadog.requests.slice(touched).map(each => each.target),
    ['/_sandbox'],
  )
})

test('undone, the last first, through the gateway, and each undoing is linked to what it undid', async () => {
  const { id, state } = monitor()
  const was = structuredClone(state)
  const [dashboardId, dashboard] = [...world.datadog.state.dashboards][0]!
  let made = 0
  const recorded = await session(async ({ monitors, dashboards }) => {
    await monitors.updateMonitor({ monitorId: id, body: { name: 'Rewritten', tags: ['gone'] } })
    await monitors.updateMonitor({ monitorId: id, body: { name: 'Rewritten again' } })
    await dashboards.deleteDashboard({ dashboardId })
    const body = { name: 'Extra', type: 'query alert' as const, query: 'avg(last_5m):avg:x{*} > 1' }
    made = (await monitors.createMonitor({ body })).id!
  })
  const dry = await cli('sessions', 'undo', recorded, '--dry-run')
  assert.equal(dry.code, 0, dry.stderr)
  assert.equal(dry.stdout.match(/can be undone/g)?.length, 4, dry.stdout)
  assert.match(dry.stdout, /- name: "Rewritten again"\n\s+\+ name: "Rewritten"\n/)
  assert.equal(current(id)?.['name'], 'Rewritten again', 'a dry run does nothing')

  const done = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(done.code, 0, done.stderr + done.stdout)
  assert.deepEqual(
    [current(id)?.['name'], current(id)?.['tags'], current(made)],
    [was['name'], was['tags'], undefined],
  )
  assert.equal(world.datadog.state.dashboards.get(dashboardId)?.['title'], dashboard['title'])
  const entries = await gateway.entries()
  const links = await linksOf(recorded)
  assert.deepEqual(
    links.map(each => {
      const { of, by } = each as unknown as Record<'of' | 'by', { entry: string }>
      const [undone, doing] = [entries[Number(of.entry)]!, entries[Number(by.entry)]!]
      return [undone.subject?.id, undone.operation, doing.subject?.id, doing.operation, doing.decision?.rule]
    }),
    [
      ['triage-agent', 'v1.createMonitor', 'cam', 'v1.deleteMonitor', 'security-repairs'],
      ['triage-agent', 'v1.deleteDashboard', 'cam', 'v1.restoreDashboards', 'security-repairs'],
      ['triage-agent', 'v1.updateMonitor', 'cam', 'v1.updateMonitor', 'security-repairs'],
      ['triage-agent', 'v1.updateMonitor', 'cam', 'v1.updateMonitor', 'security-repairs'],
    ],
  )
  const again = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(again.code, 1)
  assert.match(again.stderr, /there is nothing that can be undone/)
})

test('a deleted monitor comes back under another id, and what names the old one is listed', async () => {
  const { monitors: practice, slos } = world.datadog.state
  const [id, state] = [...practice].at(-1)!
  Object.assign(state, { message: 'nobody', creator: null })
  const composite = { id: 9, name: 'Both', type: 'composite', query: `${id} && 8`, tags: [] }
  practice.set(9, composite)
  slos.set('s1', { id: 's1', name: 'Uptime', type: 'monitor', monitor_ids: [id] })
  const recorded = await session(async ({ monitors }) => {
    await monitors.updateMonitor({ monitorId: id, body: { priority: 2 } })
    await monitors.deleteMonitor({ monitorId: id, force: 'true' })
  })
  const { code, stdout, stderr } = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(code, 0, stderr + stdout)
  assert.match(stdout, /mind: the monitor comes back under another id/)
  assert.match(stdout, /names the old id: \/api\/v1\/monitor: Both/)
  assert.match(stdout, /names the old id: \/api\/v1\/slo: Uptime/)
  const back = [...practice.values()].find(each => each['name'] === state['name'])!
  assert.notEqual(back.id, id)
  assert.deepEqual([back['query'], back['priority']], [state['query'], state['priority'] ?? null])
})

test('P8: a mask is never written back, and what was changed since is not overwritten', async () => {
  const { id } = monitor()
  Object.assign(current(id)!, { name: 'Ours', message: 'Call ana@example.com', priority: 1 })
  const recorded = await session(async ({ monitors }) => {
    await monitors.updateMonitor({ monitorId: id, body: { message: 'nobody' } })
    await monitors.updateMonitor({ monitorId: id, body: { name: 'Theirs' } })
  })
  Object.assign(current(id)!, { priority: 3 })
  const conflict = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(conflict.code, 1)
  assert.match(conflict.stdout, /conflict: it was changed since by somebody else/)
  assert.match(conflict.stdout, /- priority: 1\n\s+\+ priority: 3/)
  assert.match(conflict.stdout, /can not be undone: what would be written back was recorded masked/)
  assert.equal(current(id)?.['name'], 'Theirs')
  const forced = await cli('sessions', 'undo', recorded, '--yes', '--force')
  assert.equal(forced.code, 1, 'one step was not undone')
  assert.match(forced.stderr, /not undone: #\d+/)
  assert.deepEqual(
    [current(id)?.['name'], current(id)?.['message'], current(id)?.['priority']],
    ['Ours', 'nobody', 3],
  )
})

test('without a recorded state nothing is guessed, and it is said why', async () => {
  const { id } = monitor()
  await world.configure({
    policy: { rules: rules.map(rule => ({ ...rule, record_before: false })) },
  })
  assert.ok(await gateway.running.reload())
  const recorded = await session(({ monitors }) =>
    monitors.updateMonitor({ monitorId: id, body: { name: 'Unseen' } }),
  )
  const { code, stdout } = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(code, 1)
  assert.match(stdout, /can not be undone: the state before it was not recorded/)
  await world.configure({ policy: { rules } })
  assert.ok(await gateway.running.reload())
})

test('undoing is an action like any other: policy may refuse it, and what was done until then is told', async () => {
  const { id } = monitor()
  Object.assign(current(id)!, { name: 'Ours', message: 'nobody', priority: 1 })
  const recorded = await session(async ({ monitors }) => {
    await monitors.updateMonitor({ monitorId: id, body: { name: 'First' } })
    await monitors.updateMonitor({ monitorId: id, body: { priority: 4 } })
  })
  await world.configure({
    policy: {
      rules: [
        ...rules,
        {
          name: 'names-stay',
          effect: 'deny',
          subjects: { groups: ['security'] },
          operations: ['v1.updateMonitor'],
          when: '"name" in request.body',
        },
      ],
    },
  })
  assert.ok(await gateway.running.reload())
  const { code, stdout, stderr } = await cli('sessions', 'undo', recorded, '--yes')
  assert.equal(code, 1)
  assert.match(stdout, /undone {2}#\d+ by #\d+/)
  assert.match(stderr, /-> 403 .*names-stay.*; 1 of 2 undone/)
  assert.deepEqual([current(id)?.['name'], current(id)?.['priority']], ['First', 1])
})

test('P9: a link is only made to an action of the caller that is in the log', async () => {
  const last = (await gateway.entries()).findLast(each => each.kind === 'undo.started')!
  const { session: id, entries } = last['of'] as { session: string; entries: string[] }
  const claim = (body: Record<string, unknown>, token: string): Promise<Response> =>
    fetch(`${gateway.url}/api/v1/sessions/${id}/undone`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ started: last.seq, undoes: entries[0], ...body }),
    })
  const claimed = { operation: 'v1.deleteDashboard', resource: '/api/v1/dashboard/x' }
  assert.equal((await claim(claimed, cam)).status, 404)
  assert.equal((await claim({ ...claimed, undoes: '0' }, cam)).status, 404)
  assert.equal(
    (
      await claim(
        { operation: 'v1.updateMonitor', resource: `/api/v1/monitor/${monitor().id}` },
        await world.token('bo'),
      )
    ).status,
    404,
  )
})
