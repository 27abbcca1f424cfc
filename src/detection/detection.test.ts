import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MemoryState } from '../storage/memory/memory-state.ts'
import { OwedFile } from './owed-file.ts'
import { Restrictions } from './restrictions.ts'
import { watchedWorld, agent, person, monday, sessionOf } from './testing/watched-world.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

async function running(t: TestContext, config?: unknown) {
  const world = watchedWorld(config)
  const opened = await world.open()
  t.after(() => opened.stop())
  return { ...world, ...opened }
}

/** `each` actions in one minute of every working day at ten, for so many days. */
function workDays({ clock, act }: Awaited<ReturnType<typeof running>>, days: number, each: number): void {
  for (let i = 0; i < days; i++) {
    clock.time = monday + i * day - 2 * hour
    const weekday = new Date(clock.time).getUTCDay()
    if (weekday === 0 || weekday === 6) continue
    for (let k = 0; k < each; k++) {
      act()
      clock.time += minute / each
    }
  }
}

const words = (noted: readonly unknown[]): string[] =>
  noted.map(each => (each as { detection: { words: string } }).detection.words)

test('a ceiling holds at once, and its finding says what was seen and what the limit is', async t => {
  const { act, found } = await running(t, { surge: { ceiling: 20 } })
  for (let i = 0; i < 40; i++) act()
  const surges = await found('surge')
  assert.equal(surges.length, 1, 'told once, not twenty times')
  const { detection, subject, connection } = surges[0]!
  assert.deepEqual(detection, {
    detector: 'surge',
    unit: 'actions',
    observed: 21,
    limit: 20,
    window: 60,
    words: '21 actions within a minute; the ceiling is 20',
  })
  assert.equal((subject as { id: string }).id, 'agent-7')
  assert.equal((connection as { name: string }).name, 'datadog')
})

test('what is usual is learned, and only then held against it', async t => {
  const world = await running(t)
  workDays(world, 3, 5)
  for (let i = 0; i < 60; i++) world.act()
  assert.deepEqual(await world.found('surge'), [])
  const later = await running(t)
  workDays(later, 20, 5)
  for (let i = 0; i < 60; i++) later.act()
  assert.match(
    words(await later.found('surge'))[0]!,
    /^\d+ actions within a minute; its busiest minute of late had 5, and more than \d+ are unusual$/,
  )
})

test('a surge does not become usual overnight', async t => {
  const world = await running(t)
  workDays(world, 20, 5)
  const surge = (): void => {
    for (let i = 0; i < 400; i++) world.act()
  }
  surge()
  world.clock.time += day
  surge()
  assert.equal((await world.found('surge')).length, 2)
})

test('more bytes or rows than ever, or than the ceiling', async t => {
  const world = await running(t, { volume: { rows: 50_000 } })
  for (let i = 0; i < 20; i++) {
    world.clock.time = monday + i * day
    world.act({ bytes: 5_000_000 })
  }
  world.act({ bytes: 30_000_000 })
  world.act({ subject: person('bo'), rows: 60_000 })
  const found = words(await world.found('volume'))
  assert.match(found[0]!, /^35\.0 MB in this hour so far; its largest hour of late had 5\.0 MB/)
  assert.equal(found[1], '60000 rows in this hour so far; the ceiling is 50000 rows')
})

test('first uses: of a connection, and of an operation on one that is in use for long enough', async t => {
  const { clock, act, found } = await running(t, { first_use: { settled: '0s' } })
  act({ operation: 'v1.deleteMonitor', risk: 'delete' })
  act({ connection: 'crm' })
  assert.deepEqual(await found('first_use'), [], 'who is new is only learned')
  clock.time += 2 * day
  act({ operation: 'v1.deleteMonitor', risk: 'delete' })
  act({ operation: 'v1.listHosts' })
  act({ operation: 'v1.updateMonitor', risk: 'write', denied: true })
  act({ operation: 'v1.updateMonitor', risk: 'write' })
  act({ operation: 'v1.updateMonitor', risk: 'write' })
  act({ connection: 'billing', operation: 'v1.x' })
  act({ connection: 'billing', operation: 'v1.y', risk: 'write' })
  assert.deepEqual(words(await found('first_use')), [
    'First use of v1.updateMonitor (write) on datadog; it did nothing new of that risk for 48 h',
    'First use of the connection billing, with v1.x',
  ])
})

test('who does new things all the time is told of when one comes after a quiet month; an answer hears of each', async t => {
  const busy = await running(t)
  const other = await running(t, { answers: [{ on: ['first_use'], answer: 'slow', limit: 1000 }] })
  for (const { clock, act } of [busy, other]) {
    for (let i = 0; i < 30; i++) {
      clock.time = monday + i * day
      act({ operation: `v1.write${i}`, risk: 'write' })
    }
    clock.time += 29 * day
    act({ operation: 'v1.writeAll', risk: 'write' })
    act({ operation: 'v1.writeMore', risk: 'write' })
  }
  assert.deepEqual(words(await busy.found('first_use')), [
    'First use of v1.writeAll (write) on datadog; it did nothing new of that risk for 29 days',
  ])
  assert.equal((await other.found('first_use')).length, 31)
})

test('a sweep over what it never used is told, refused or not; a new connection is not held to be one', async t => {
  const world = await running(t)
  workDays(world, 20, 5)
  for (let i = 0; i < 30; i++) world.act({ connection: 'crm', operation: `v1.get${i}` })
  assert.deepEqual(await world.found('sweep'), [])
  for (let i = 0; i < 30; i++) world.act({ operation: `v1.get${i}`, denied: i % 2 === 0 })
  assert.deepEqual(words(await world.found('sweep')), [
    '16 operations today that it had never used; its most of late in a day were 1, and more than 15 are unusual',
  ])
  const stranger = await running(t, { sweep: { ceiling: 50 } })
  for (let i = 0; i < 60; i++) stranger.act({ operation: `v1.get${i}`, denied: true })
  assert.match(words(await stranger.found('sweep'))[0]!, /^51 operations today .*; the ceiling is 50$/)
})

test('P12: whoever asks for ever new things fills neither memory nor log', async t => {
  const { act, found } = await running(t, {
    first_use: { after: '0s', settled: '0s' },
    answers: [{ on: ['first_use'], answer: 'ask', approval: { approvers: ['group:sre'] } }],
  })
  act({ connection: 'datadog' })
  for (let i = 0; i < 5000; i++) act({ connection: `c-${i}`, operation: `DELETE /x/${i}`, risk: 'delete' })
  assert.equal((await found('first_use')).length, 50)
})

test('a clock that was ahead for a while and is set right again keeps what was learned, and goes on noticing', async t => {
  const world = await running(t)
  workDays(world, 20, 5)
  const { clock, act, found } = world
  const right = clock.time
  clock.time += 400 * day
  for (let i = 0; i < 60; i++) act()
  const before = (await found('surge')).length
  clock.time = right + 2 * hour
  for (let i = 0; i < 5; i++) act()
  assert.equal((await found('surge')).length, before, 'nothing of the time to come is counted')
  for (let i = 0; i < 80; i++) act()
  assert.equal((await found('surge')).length, before + 1, 'it is not held to have been told already')
})

test('a first use that a person is asked about is asked about until it has succeeded', async t => {
  const approval = { approvers: ['group:sre'] }
  const { act, found, guard, detection } = await running(t, {
    first_use: { after: '0s' },
    answers: [{ on: ['first_use'], answer: 'ask', approval }],
  })
  for (let i = 0; i < 3; i++) {
    const decision = act()
    assert.deepEqual([decision.effect, decision.reason], ['ask', 'first-use'])
    assert.equal(decision.approval?.rule, 'detection.first-use')
    assert.match(decision.approval?.message ?? '', /^First use of the connection datadog/)
  }
  assert.equal((await found('first_use')).length, 1)
  const session = sessionOf(agent, 'datadog')
  const action = { operation: 'v1.listMonitors' } as never
  detection.ended({ session, action, outcome: 'success', bytesIn: 0, bytesOut: 0, rows: 0 })
  assert.equal(act().effect, 'permit')
  assert.equal(guard.name, 'restrictions')
})

test('refusals in a row and then a success; refusals that lead nowhere are seen where they are', async t => {
  const { clock, act, found } = await running(t)
  for (let i = 0; i < 4; i++) act({ denied: true })
  act()
  for (let i = 0; i < 5; i++) act({ denied: true })
  assert.deepEqual(await found('denial_streak'), [])
  act({ operation: 'v1.getKey' })
  assert.deepEqual(words(await found('denial_streak')), [
    '9 refusals within 10 min, then a success; none are usual',
  ])
  clock.time += 2 * hour
  act()
  assert.equal((await found('denial_streak')).length, 1)
})

test('off-hours: as configured, or as learned', async t => {
  const configured = await running(t, {
    off_hours: { hours: ['mon-fri 07:00-19:00'] },
    timezone: 'Europe/Berlin',
  })
  configured.act()
  configured.clock.time = monday + 6.5 * hour
  configured.act()
  assert.deepEqual(words(await configured.found('off_hours')), [
    'Active on Mondays from 19:00, outside the configured hours',
  ])
  const learned = await running(t)
  workDays(learned, 35, 5)
  assert.deepEqual(await learned.found('off_hours'), [])
  learned.clock.time = monday + 37 * day + 14 * hour
  learned.act()
  assert.match(words(await learned.found('off_hours'))[0]!, /^Active on Thursdays from 02:00; it was never/)
})

test('an agent that always worked and stops is told of once; a weekend is no silence', async t => {
  const { clock, act, found, detection } = await running(t)
  for (let at = 0; at < 10 * day; at += 10 * minute) {
    clock.time = monday + at
    act()
    detection.tick()
  }
  for (let i = 0; i < 100; i++) {
    clock.time += minute
    detection.tick()
  }
  const [silence, ...more] = await found('silence')
  assert.equal(more.length, 0)
  assert.match(words([silence])[0]!, /^Silent for 31 min; its longest silence of late was 10 min$/)
  const office = await running(t)
  for (let i = 0; i < 28; i++) {
    workDays({ ...office, clock: office.clock }, i, 2)
    office.detection.tick()
  }
  office.clock.time = monday + 27 * day + 60 * hour
  office.detection.tick()
  assert.deepEqual(await office.found('silence'), [])
})

test('slowed down: few pass, the rest hears when to come back, and after its time all is as before', async t => {
  const { clock, act, notes } = await running(t, {
    surge: { ceiling: 20 },
    answers: [{ on: ['surge'], answer: 'slow', limit: 3, for: '30m' }],
  })
  const effects = Array.from({ length: 40 }, () => act())
  const refused = effects.filter(each => each.effect === 'deny')
  assert.equal(refused.length, 17)
  assert.deepEqual([refused[0]!.reason, refused[0]!.rule], ['slowed-down', undefined])
  assert.ok(refused[0]!.retryAfterMs! > 0)
  const restricted = () => notes.filter(({ kind }) => kind === 'identity.restricted')
  while (restricted().length === 0) await new Promise(resolve => setImmediate(resolve))
  assert.equal(restricted().length, 1)
  clock.time += 31 * minute
  for (let i = 0; i < 10; i++) assert.equal(act().effect, 'permit')
})

test('P6: suspended at the very action that brought it about, over a restart, until another person clears it', async t => {
  const config = { surge: { ceiling: 5 }, answers: [{ on: ['surge'], answer: 'suspend' }] }
  const world = watchedWorld(config)
  const first = await world.open()
  for (let i = 0; i < 5; i++) assert.equal(first.act().effect, 'permit')
  first.act({ subject: person('bo'), connection: 'other' })
  first.act({ connection: 'other', denied: true })
  assert.deepEqual([first.act().effect, first.act().reason], ['deny', 'identity-suspended'])
  assert.ok(world.killed.includes('s_agent-7_datadog') && world.killed.includes('s_agent-7_other'))
  assert.ok(!world.killed.includes('s_bo_other'), 'nobody else is touched')
  await first.found()
  await first.stop()

  const second = await world.open()
  t.after(() => second.stop())
  assert.equal(second.act().reason, 'identity-suspended')
  assert.equal(second.act({ connection: 'a third one' }).reason, 'identity-suspended')
  const elsewhere = { ...agent, onBehalfOf: { issuer: agent.issuer, id: 'cam' } }
  assert.equal(second.act({ subject: elsewhere }).effect, 'permit', 'it acts for somebody else')
  const { id } = second.restrictions.list({ all: false })[0]!
  const clear = (by: typeof agent) => second.restrictions.clear(id, by, 'looked into')
  const denied = { code: 'denied' }
  await assert.rejects(clear(agent), denied)
  await assert.rejects(clear(person('ana')), denied, 'the person it acts for')
  const anaElsewhere = { ...person('x'), issuer: 'https://other.example.com', email: 'Ana@example.com' }
  await assert.rejects(clear(anaElsewhere), denied, 'known to another issuer')
  await assert.rejects(clear({ ...person('bo'), kind: 'service' }), denied)
  await clear(person('bo'))
  await assert.rejects(clear(person('bo')), { code: 'conflict' })
  assert.equal(second.act().effect, 'permit')
  const kinds = world.notes.map(({ kind }) => kind).filter(kind => kind.startsWith('identity.'))
  assert.deepEqual(kinds, ['identity.suspended', 'identity.cleared'])
})

test('a suspended person: their agents too, and under another issuer that vouches for the same address', async t => {
  const { restrictions, act } = await running(t)
  const { issuer, id, email } = person('ana')
  await restrictions.impose({ kind: 'suspend', who: { issuer, id, email: email! }, reason: 'by hand' })
  assert.equal(act().reason, 'identity-suspended', 'an agent that acts for her')
  assert.equal(act({ subject: person('ana') }).reason, 'identity-suspended')
  const other = { ...person('a-1'), issuer: 'https://other.example.com', email: 'ANA@example.com' }
  assert.equal(act({ subject: other }).reason, 'identity-suspended')
  assert.equal(act({ subject: person('bo') }).effect, 'permit')
})

test('P6: a suspension that the store can not take holds all the same', async t => {
  const { restrictions, act, fill } = await running(t)
  fill(true)
  const { issuer, id } = agent
  await assert.rejects(restrictions.impose({ kind: 'suspend', who: { issuer, id }, reason: 'x' }))
  assert.equal(act().reason, 'identity-suspended')
})

/** A store that takes and gives nothing while it is broken. */
class BrokenState extends MemoryState {
  broken = false
  brokenWrites = false

  override async list<T>(space: string, of: Parameters<MemoryState['list']>[1]) {
    if (this.broken) throw new Error('broken')
    return await super.list<T>(space, of)
  }

  override async put<T>(space: string, key: string, ...change: [value: T, expected: number]) {
    if (this.broken || this.brokenWrites) throw new Error('broken')
    return await super.put(space, key, ...change)
  }
}

test('P6: a restriction that the store could not take is stored at the stop, and holds after the restart', async t => {
  const state = new BrokenState()
  const world = watchedWorld({}, state)
  const first = await world.open()
  state.broken = true
  const { issuer, id } = agent
  await assert.rejects(first.restrictions.impose({ kind: 'suspend', who: { issuer, id }, reason: 'x' }))
  assert.equal(first.act().reason, 'identity-suspended')
  assert.match(world.logged.join(), /a restriction holds, and would be lost by a restart/)
  state.broken = false
  await first.stop()
  const second = await world.open()
  t.after(() => second.stop())
  assert.equal(second.act().reason, 'identity-suspended')
  assert.equal(world.notes.filter(({ kind }) => kind === 'identity.suspended').length, 1)
})

test('P6: a restriction that the store could not take survives a crash, and what is kept of it is kept no longer', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-owed-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'owed.json')
  const state = new BrokenState()
  const notes: string[] = []
  const audit = { note: (kind: string) => Promise.resolve({ index: notes.push(kind), id: '' }) }
  const clock = { now: () => monday }
  const start = async () => {
    const restrictions = new Restrictions({ state, audit, clock, owed: new OwedFile(path) })
    await restrictions.start()
    return restrictions
  }
  const first = await start()
  state.brokenWrites = true
  const { issuer, id } = agent
  await assert.rejects(first.impose({ kind: 'suspend', who: { issuer, id }, reason: 'x' }))
  // The process ends here: nothing is stopped in good order.
  const second = await start()
  assert.equal(second.suspension(agent)?.reason, 'x', 'the store still takes nothing')
  state.brokenWrites = false
  await second.stop()
  await assert.rejects(stat(path), { code: 'ENOENT' })
  const third = await start()
  assert.equal(third.suspension(agent)?.reason, 'x')
  assert.deepEqual(notes, ['identity.suspended'])
  await first.stop()
  await writeFile(path, '[{"id"')
  await assert.rejects(start(), SyntaxError, 'who is suspended is not known: no start')
})

test('a store that gives nothing at the start is told of and asked again; until then ceilings hold', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const state = new BrokenState()
  const world = watchedWorld({ surge: { ceiling: 5 }, first_use: { after: '0s' } }, state)
  const before = await world.open()
  before.act()
  await before.stop()
  const { detection, act, found, stop } = await world.open(() => void (state.broken = true))
  t.after(stop)
  assert.match(world.logged.join(), /what is usual for identities can not be read/)
  for (let i = 0; i < 6; i++) act()
  assert.equal((await found('surge')).length, 1)
  assert.equal((await found('first_use')).length, 1, 'of the run before')
  state.broken = false
  t.mock.timers.tick(30_000)
  await detection.loaded()
  act({ connection: 'crm' })
  assert.equal((await found('first_use')).length, 2)
})

test('what was learned is kept over a restart', async t => {
  const world = watchedWorld()
  const first = await world.open()
  workDays({ ...world, ...first }, 20, 5)
  await first.stop()
  const second = await world.open()
  t.after(() => second.stop())
  world.clock.time += hour
  for (let i = 0; i < 60; i++) second.act()
  assert.equal((await second.found('surge')).length, 1)
  assert.deepEqual(await second.found('first_use'), [])
})

test('P12: what is remembered is bounded, and who acted longest ago makes room', async t => {
  const { act, detection } = await running(t, { identities: 10 })
  for (let i = 0; i < 50; i++) act({ subject: { ...agent, id: `agent-${i}` } })
  for (let i = 0; i < 3000; i++) act({ operation: `GET /x/${i}` })
  assert.equal(detection.identities().length, 10)
})

test('P12: made-up identities do not have what is usual for others forgotten, not over a restart either', async t => {
  const world = watchedWorld({ identities: 20 })
  const first = await world.open()
  workDays({ ...world, ...first }, 20, 5)
  for (let i = 0; i < 200; i++) first.act({ subject: { ...agent, id: `made-up-${i}` } })
  await first.stop()
  const second = await world.open()
  t.after(() => second.stop())
  assert.ok(second.detection.identities().length <= 20)
  world.clock.time += hour
  for (let i = 0; i < 60; i++) second.act()
  assert.match(words(await second.found('surge'))[0]!, /its busiest minute of late had 5/)
})

test('of what was kept, more than is remembered: who acted last stays', async t => {
  const state = new MemoryState()
  const many = watchedWorld({ identities: 50 }, state)
  const before = await many.open()
  for (let i = 0; i < 40; i++) {
    many.clock.time += minute
    before.act({ subject: { ...agent, id: `agent-${i}` } })
  }
  await before.stop()
  const few = watchedWorld({ identities: 10 }, state)
  const after = await few.open()
  t.after(() => after.stop())
  const ids = after.detection.identities().map(({ id }) => id)
  assert.deepEqual(
    ids,
    Array.from({ length: 10 }, (_, i) => `agent-${30 + i}`),
  )
})

test('P12: restrictions that are over are kept up to a number, and one in force is never forgotten', async t => {
  const { restrictions, clock, act } = await running(t)
  const who = (id: string) => ({ issuer: agent.issuer, id })
  await restrictions.impose({ kind: 'suspend', who: who(agent.id), reason: 'x' })
  for (let i = 0; i < 10_050; i++) {
    clock.time += 1000
    await restrictions.impose({ kind: 'ask', who: who(`a-${i % 50}`), reason: 'x', until: clock.time + 1 })
    clock.time += 2
  }
  assert.ok(restrictions.list({ all: true }).length <= 10_000)
  assert.equal(act().reason, 'identity-suspended')
})

test('switched off, nothing is looked for and a suspension still holds', async t => {
  const { act, found, restrictions } = await running(t, { enabled: false, surge: { ceiling: 1 } })
  for (let i = 0; i < 10; i++) act()
  assert.deepEqual(await found(), [])
  const { issuer, id } = agent
  await restrictions.impose({ kind: 'suspend', who: { issuer, id }, reason: 'x' })
  assert.equal(act().reason, 'identity-suspended')
})
