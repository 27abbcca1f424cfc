import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { approvalsSection } from '../config/approvals.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { BreakGlass } from './break-glass.ts'
import { Grants, type NewGrant } from './grants.ts'
import { callOf, sessionOf, target } from './testing/calls.ts'
import { agent, ana, code, person, terms, World } from './testing/world.ts'

const section = approvalsSection.parse({
  grants: { approvers: ['group:sre', 'group:security'], max_duration: '2h' },
  break_glass: { enabled: true, allowed: ['group:on-call'], max_duration: '1h' },
})
const { name, protocol, sensitivity } = target
const on = { name, protocol, sensitivity }
const halfHour = 30 * 60_000

function asked(change: Partial<NewGrant> = {}): NewGrant {
  return {
    to: { issuer: agent.issuer, id: agent.id },
    connection: on,
    operations: ['v1.update*'],
    risks: ['read', 'write'],
    durationMs: halfHour,
    reason: 'the release of tonight',
    ...change,
  }
}

function covers(
  grants: Grants,
  of: { subject?: Subject; call?: Parameters<typeof callOf>[0]; terms?: ApprovalTerms } = {},
) {
  return grants.covering(sessionOf(of.subject), callOf(of.call).action, of.terms ?? terms)
}

function open(world: World, change: Partial<typeof section.grants> = {}): Grants {
  return new Grants(world, { ...section.grants, ...change })
}

test('a grant covers its subject, connection, operations and risks, for its time, and nothing else', async () => {
  const world = new World()
  const grants = open(world)
  const grant = await grants.create(asked(), person('bo'), false)
  assert.equal(grant.state, 'active')
  const found = covers(grants)
  assert.equal(found?.id, grant.id)
  assert.deepEqual(found.facts['approvers'], ['bo@example.com'])
  assert.equal(found.facts['kind'], 'grant')
  assert.equal(covers(grants, { subject: person('other') }), undefined)
  assert.equal(covers(grants, { call: { operation: 'v1.deleteMonitor' } }), undefined)
  assert.equal(covers(grants, { call: { risk: 'delete' } }), undefined)
  assert.equal(
    covers(grants, { call: { known: false } }),
    undefined,
    'what nobody knows must be named in full',
  )
  const elsewhere = sessionOf(agent, { ...target, name: 'datadog-staging' })
  assert.equal(grants.covering(elsewhere, callOf().action, terms), undefined)
  world.move(halfHour)
  assert.equal(covers(grants), undefined)
  assert.deepEqual(world.kindsOf(grant.id), ['grant.proposed', 'grant.created'])
})

test('P5: nobody grants to themselves, nor to the agent that acts for them', async () => {
  const world = new World()
  const grants = open(world)
  const anaSre = person('ana', ['sre'])
  const toAna = asked({ to: { email: 'Ana@example.com' } })
  await assert.rejects(grants.create(toAna, anaSre, true), code('denied'))
  await assert.rejects(
    grants.create(asked({ onBehalfOf: { email: 'ana@example.com' } }), anaSre, true),
    code('denied'),
  )
  await assert.rejects(grants.create(asked(), agent, true), code('denied'))
  await assert.rejects(grants.create(asked(), person('dan', ['sales']), true), code('denied'))
  // Whom the agent acts for is known only at the call: what she gave does not cover it there.
  await grants.create(asked(), anaSre, false)
  assert.equal(covers(grants), undefined)
  const forCy = { ...agent, onBehalfOf: { issuer: 'https://idp', id: 'cy', email: 'cy@example.com' } }
  assert.notEqual(covers(grants, { subject: forCy }), undefined)
})

test('P5: a grant does not stand in for people whom the rule that asks would not accept', async () => {
  const grants = open(new World())
  await grants.create(asked(), person('bo', ['sre']), false)
  assert.equal(covers(grants, { terms: { ...terms, approvers: ['group:security'] } }), undefined)
  assert.equal(covers(grants, { terms: { ...terms, quorum: 2 } }), undefined)
  assert.equal(covers(grants, { terms: { ...terms, approvers: [] } }), undefined)
})

test('several must agree: in force from then on, once each, of different groups', async () => {
  const world = new World()
  const grants = open(world, { quorum: 2, distinct_groups: true })
  const proposed = await grants.create(asked(), person('bo', ['sre']), false)
  assert.equal(proposed.state, 'proposed')
  assert.equal(covers(grants), undefined)
  await assert.rejects(grants.approve(proposed.id, person('bo', ['security']), false), code('conflict'))
  await assert.rejects(grants.approve(proposed.id, person('eve', ['sre']), false), code('denied'))
  world.move(600_000)
  const active = await grants.approve(proposed.id, person('fay', ['security']), false)
  assert.equal(active.until, world.now + halfHour)
  const both = { ...terms, approvers: ['group:sre', 'group:security'], quorum: 2, distinctGroups: true }
  assert.notEqual(covers(grants, { terms: both }), undefined)
  const late = await grants.create(asked(), person('bo', ['sre']), false)
  world.move(25 * 3_600_000)
  await assert.rejects(grants.approve(late.id, person('fay', ['security']), false), code('conflict'))
})

test('a grant ends when it is revoked, by those who may', async () => {
  const world = new World()
  const grants = open(world)
  const grant = await grants.create(asked(), person('bo'), false)
  await assert.rejects(grants.revoke(grant.id, person('dan', ['sales']), false), code('denied'))
  assert.equal((await grants.revoke(grant.id, person('eve'), false)).endReason, 'revoked by eve@example.com')
  assert.equal(covers(grants), undefined)
  await assert.rejects(grants.revoke(grant.id, person('eve'), false), code('conflict'))
  assert.equal(world.kindsOf(grant.id).at(-1), 'grant.revoked')
})

test('grants that are too long, too grave, without a reason or not configured are not given', async () => {
  const world = new World()
  const grants = open(world)
  const bo = person('bo')
  await assert.rejects(
    grants.create(asked({ durationMs: 3 * 3_600_000 }), bo, false),
    code('invalid-request'),
  )
  await assert.rejects(grants.create(asked({ risks: ['admin'] }), bo, false), code('invalid-request'))
  await assert.rejects(grants.create(asked({ reason: ' ' }), bo, false), code('invalid-request'))
  await assert.rejects(open(world, { approvers: [] }).create(asked(), bo, true), code('denied'))
})

test('P5: grants survive a restart, and one whose entry could not be written is not in force', async () => {
  const world = new World()
  const grants = open(world)
  const grant = await grants.create(asked(), person('bo'), false)
  world.failNotes = true
  await assert.rejects(grants.create(asked(), person('bo'), false), code('recording-unavailable'))
  world.failNotes = false
  await grants.revoke(grant.id, person('bo'), false)
  assert.equal(covers(grants), undefined)
  const again = open(world)
  await again.start()
  assert.notEqual(covers(again), undefined, 'the start wrote what was owed')
})

test('whatever is granted and revoked in whatever order, what covers is in force and given by somebody else', async () => {
  const who = fc.constantFrom('bo', 'eve', 'ana')
  const step = fc.oneof(
    fc.record({ do: fc.constant('give' as const), who }),
    fc.record({ do: fc.constant('revoke' as const), who }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: halfHour }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
      const world = new World()
      const grants = open(world)
      const given: { id: string; by: string; until: number }[] = []
      for (const each of steps) {
        if (each.do === 'wait') world.move(each.ms)
        else if (each.do === 'give') {
          const { id, until } = await grants.create(asked(), person(each.who), false)
          given.push({ id, by: each.who, until })
        } else {
          const last = given.pop()
          if (last !== undefined) await grants.revoke(last.id, person(each.who), false)
        }
        const able = given.filter(({ by, until }) => by !== 'ana' && until > world.now)
        const found = covers(grants)
        assert.equal(found === undefined, able.length === 0)
        if (found !== undefined) assert.ok(able.some(({ id }) => id === found.id))
      }
    }),
    { numRuns: 60 },
  )
})

test('broken glass: explicit, with a reason, in the log first; for own calls and agents acting for them', async () => {
  const world = new World()
  const glass = new BreakGlass(world, section.break_glass)
  const oncall = person('ana', ['on-call'])
  const why = { connection: on, reason: 'incident 42, paging is down', durationMs: halfHour }
  const covering = (subject: Subject) => glass.covering(sessionOf(subject), callOf().action, terms)
  await assert.rejects(glass.declare(person('bo'), why), code('denied'))
  await assert.rejects(glass.declare({ ...agent, groups: ['on-call'] }, why), code('denied'))
  await assert.rejects(glass.declare(oncall, { ...why, reason: 'because' }), code('invalid-request'))
  await assert.rejects(glass.declare(oncall, { ...why, durationMs: 2 * 3_600_000 }), code('invalid-request'))
  world.failNotes = true
  await assert.rejects(glass.declare(oncall, why), code('recording-unavailable'))
  world.failNotes = false
  assert.equal(covering(ana), undefined, 'no entry, no override')
  const broken = await glass.declare(oncall, why)
  assert.deepEqual(world.kindsOf(broken.id), ['break_glass.used'])
  for (const subject of [ana, agent]) assert.equal(covering(subject)?.facts['state'], 'overridden')
  assert.equal(covering(person('bo')), undefined)
  assert.equal(covering({ ...agent, onBehalfOf: { issuer: 'https://idp', id: 'bo' } }), undefined)
  await assert.rejects(glass.end(broken.id, person('bo'), false), code('denied'))
  await glass.end(broken.id, oncall, false)
  assert.equal(covering(ana), undefined)
  assert.deepEqual(world.kindsOf(broken.id), ['break_glass.used', 'break_glass.ended'])
})

test('broken glass ends in time, survives a restart, and is off when it is switched off', async () => {
  const world = new World()
  const glass = new BreakGlass(world, section.break_glass)
  const why = { connection: on, reason: 'incident 42, paging is down', durationMs: halfHour }
  await glass.declare(person('ana', ['on-call']), why)
  const again = new BreakGlass(world, section.break_glass)
  await again.start()
  const covering = () => again.covering(sessionOf(ana), callOf().action, terms)
  assert.notEqual(covering(), undefined)
  again.configure({ ...section.break_glass, enabled: false })
  assert.equal(covering(), undefined)
  again.configure(section.break_glass)
  world.move(halfHour)
  assert.equal(covering(), undefined)
})
