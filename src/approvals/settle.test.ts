import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ActionPreview } from '../gateway/exchange.ts'
import { GatewayError } from '../errors.ts'
import type { Settled } from './refusals.ts'
import { callOf, decisionOf, sessionOf, stepOf, target } from './testing/calls.ts'
import { agent, ana, code, person, World } from './testing/world.ts'

const long = 3_600_000

function denialOf(settled: Settled) {
  assert.ok(!settled.granted)
  return settled.denial
}

async function pendingId(world: World): Promise<string> {
  for (;;) {
    const [open] = await world.approvals.list({ open: true, limit: 1 })
    if (open !== undefined) return open.id
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function approve(world: World, id?: string): Promise<string> {
  const which = id ?? (await pendingId(world))
  await world.approvals.vote(which, person('bo'), { effect: 'approve', channel: 'api' })
  return which
}

/** Resolves once so many calls are held. */
async function held(world: World, count: number): Promise<void> {
  while (world.approvals.held.waiting < count) await new Promise(resolve => setImmediate(resolve))
}

test('P11: a quick approval is just a slow answer, and the entry of the call names it', async () => {
  const world = new World()
  const step = stepOf(world)
  const settling = step.settle(sessionOf(), callOf({ holdMs: long }), decisionOf())
  await held(world, 1)
  const id = await approve(world)
  const settled = await settling
  assert.ok(settled.granted)
  assert.equal(settled.facts['id'], id)
  assert.equal(settled.facts['state'], 'consumed')
  assert.deepEqual(settled.facts['approvers'], ['bo@example.com'])
})

test('P5: after its patience a client hears of a pending approval; the same again attaches, once, and no more', async () => {
  const world = new World()
  const step = stepOf(world)
  const first = denialOf(await step.settle(sessionOf(), callOf(), decisionOf()))
  assert.equal(first.reason, 'approval-pending')
  assert.equal(first.approval?.then, 'resubmit')
  const again = denialOf(await step.settle(sessionOf(), callOf(), decisionOf()))
  assert.equal(again.approval?.id, first.approval?.id)
  await approve(world)
  assert.equal((await step.settle(sessionOf(), callOf(), decisionOf())).granted, true)
  assert.equal(denialOf(await step.settle(sessionOf(), callOf(), decisionOf())).reason, 'approval-used')
  assert.equal(world.kindsOf(first.approval!.id).filter(kind => kind === 'approval.requested').length, 1)
})

test('P5: one byte more, another identity or another connection does not use it', async () => {
  const world = new World()
  const step = stepOf(world)
  await step.settle(sessionOf(), callOf(), decisionOf())
  const id = await approve(world)
  const other = { ...target, name: 'datadog-staging' }
  const forOther = { ...agent, onBehalfOf: { issuer: 'https://idp', id: 'cy' } }
  for (const [session, call] of [
    [sessionOf(), callOf({ body: 'a ' })],
    [sessionOf(ana), callOf()],
    [sessionOf(forOther), callOf()],
    [sessionOf(agent, other), callOf()],
  ] as const) {
    const denial = denialOf(await step.settle(session, call, decisionOf()))
    assert.equal(denial.reason, 'approval-pending')
    assert.notEqual(denial.approval?.id, id)
  }
  assert.equal((await world.approvals.get(id)).state, 'approved')
})

test('P5: of many connections that wait for one approval exactly one runs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 12 }), async count => {
      const world = new World()
      const step = stepOf(world)
      const settling = Array.from({ length: count }, () =>
        step.settle(sessionOf(), callOf({ holdMs: long }), decisionOf()),
      )
      await held(world, count)
      await approve(world)
      const settled = await Promise.all(settling)
      assert.equal(settled.filter(each => each.granted).length, 1)
      const reasons = settled.filter(each => !each.granted).map(each => denialOf(each).reason)
      assert.deepEqual(new Set(reasons), new Set(['approval-used']))
    }),
    { numRuns: 20 },
  )
})

test('P5: consent for a call that never left is good again, for the same call, and runs it once', async () => {
  const end = (index: number) => ({ index, id: `gateway.example.com/test/${index}` })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.constantFrom('leaves', 'stays', 'stays twice', 'late'), { minLength: 1, maxLength: 6 }),
      async (callers, fates) => {
        const world = new World()
        const step = stepOf(world)
        await step.settle(sessionOf(), callOf(), decisionOf())
        const id = await approve(world)
        let running = 0
        let left = 0
        let isLate = false
        const earlier: NonNullable<Extract<Settled, { granted: true }>['unused']>[] = []
        const call = async (fate: (typeof fates)[number]): Promise<void> => {
          const settled = await step.settle(sessionOf(), callOf(), decisionOf())
          if (!settled.granted) return
          assert.equal(settled.facts['id'], id)
          assert.equal(++running, 1, 'never two at once')
          await new Promise(resolve => setImmediate(resolve))
          running--
          if (fate === 'leaves') return void left++
          if (fate === 'late') {
            isLate = true
            world.now += 30_000
          }
          await Promise.all([
            settled.unused?.(end(1)),
            ...(fate === 'stays twice' ? [settled.unused?.(end(2))] : []),
          ])
          // What was given back once gives back no later use.
          for (const each of earlier) await each(end(3))
          earlier.push(settled.unused!)
        }
        for (const fate of fates)
          if (!isLate) await Promise.all(Array.from({ length: callers }, () => call(fate)))
        const kinds = world.kindsOf(id)
        const count = (kind: string): number => kinds.filter(each => each === kind).length
        assert.ok(left <= 1)
        const mayStillRun = (await world.approvals.get(id)).state === 'approved' ? 0 : 1
        assert.equal(count('approval.consumed') - count('approval.returned'), mayStillRun)
        assert.equal(left === 1 || isLate, mayStillRun === 1)
      },
    ),
    { numRuns: 100 },
  )
})

test('a client that leaves decides nothing: its call is abandoned and the approval stays for its return', async () => {
  const world = new World()
  const step = stepOf(world)
  const call = callOf({ holdMs: long })
  const settling = step.settle(sessionOf(), call, decisionOf())
  await held(world, 1)
  call.leave()
  const denial = denialOf(await settling)
  assert.equal(denial.reason, 'approval-abandoned')
  const id = await pendingId(world)
  assert.deepEqual(world.kindsOf(id), ['approval.requested', 'approval.abandoned'])
  await approve(world, id)
  const gone = callOf({ holdMs: long })
  gone.leave()
  assert.equal(denialOf(await step.settle(sessionOf(), gone, decisionOf())).reason, 'approval-abandoned')
  assert.equal((await world.approvals.get(id)).state, 'approved', 'nobody was there to take the answer')
  assert.equal((await step.settle(sessionOf(), callOf(), decisionOf())).granted, true)
})

function previewOf(fingerprint: string): ActionPreview {
  return {
    kind: 'update',
    changes: [{ path: 'api_key', before: 'secret-value', after: 'new' }],
    cut: false,
    fingerprint,
  }
}

for (const [onChange, reason] of [
  ['run', undefined],
  ['ask', 'approval-pending'],
  ['refuse', 'approval-outdated'],
] as const) {
  test(`P5: a resource that has changed since, with on_change: ${onChange}`, async () => {
    const world = new World()
    const step = stepOf(world)
    let state = 'f1'
    const call = () => callOf({ preview: () => previewOf(state) })
    await step.settle(sessionOf(), call(), decisionOf({ onChange }))
    const id = await approve(world)
    state = 'f2'
    const settled = await step.settle(sessionOf(), call(), decisionOf({ onChange }))
    assert.equal(settled.granted ? undefined : settled.denial.reason, reason)
    const { state: ended, endReason } = await world.approvals.get(id)
    if (onChange === 'run') return assert.equal(ended, 'consumed')
    assert.deepEqual([ended, endReason], ['cancelled', 'the resource has changed since it was approved'])
    if (onChange === 'refuse') return
    const anew = denialOf(settled).approval!
    assert.notEqual(anew.id, id)
    assert.equal((await world.approvals.get(anew.id)).preview?.fingerprint, 'f2')
  })
}

test('P6: a resource that can not be read again counts as changed', async () => {
  const world = new World()
  const step = stepOf(world)
  let found: ActionPreview | undefined = previewOf('f1')
  const call = () => callOf({ preview: () => found })
  await step.settle(sessionOf(), call(), decisionOf({ onChange: 'refuse' }))
  await approve(world)
  found = undefined
  const settled = await step.settle(sessionOf(), call(), decisionOf({ onChange: 'refuse' }))
  assert.equal(denialOf(settled).reason, 'approval-outdated')
})

test('P5: what is asked again at the moment of use ends the approval when it no longer holds', async () => {
  const world = new World()
  let answer: { ok: true } | { ok: false; reason: string } = { ok: true }
  const step = stepOf(world, { recheck: async () => answer })
  const settling = step.settle(sessionOf(), callOf({ holdMs: long }), decisionOf())
  await held(world, 1)
  answer = { ok: false, reason: 'the token of the requester was revoked' }
  const id = await approve(world)
  assert.equal(denialOf(await settling).reason, 'approval-void')
  assert.equal((await world.approvals.get(id)).state, 'cancelled')
})

test('P6: a check at the moment of use that fails lets nothing run and uses nothing up', async () => {
  const world = new World()
  const step = stepOf(world, { recheck: () => Promise.reject(new GatewayError('internal')) })
  await step.settle(sessionOf(), callOf(), decisionOf())
  const id = await approve(world)
  await assert.rejects(step.settle(sessionOf(), callOf(), decisionOf()), code('internal'))
  assert.equal((await world.approvals.get(id)).state, 'approved')
})

test('P6: no request is on record, no hold', async () => {
  const world = new World()
  world.failNotes = true
  const step = stepOf(world)
  await assert.rejects(step.settle(sessionOf(), callOf(), decisionOf()), code('recording-unavailable'))
})

test('P8: what is stored for the approver is masked, preview included', async () => {
  const world = new World()
  await stepOf(world).settle(sessionOf(), callOf({ preview: () => previewOf('f1') }), decisionOf())
  const [open] = await world.approvals.list({ open: true, limit: 1 })
  const text = JSON.stringify(open)
  assert.ok(text.includes('[masked]') && !text.includes('secret-value'))
})

test('a retry storm asks once and reads the resource once', async () => {
  const world = new World()
  const step = stepOf(world)
  let reads = 0
  const call = () =>
    callOf({
      preview: () => {
        reads++
        return previewOf('f1')
      },
    })
  const settled = await Promise.all(
    Array.from({ length: 40 }, () => step.settle(sessionOf(), call(), decisionOf())),
  )
  assert.equal(new Set(settled.map(each => denialOf(each).approval?.id)).size, 1)
  assert.equal(reads, 1)
})

test('what a client that asked to poll hears, and one under a rule for clients that retry', async () => {
  const world = new World()
  const step = stepOf(world)
  const polls = denialOf(await step.settle(sessionOf(), callOf({ then: 'poll' }), decisionOf()))
  assert.equal(polls.approval?.then, 'poll')
  const later = decisionOf({ whenHeld: 'retry-later' })
  const retries = denialOf(await step.settle(sessionOf(), callOf({ body: 'b' }), later))
  assert.equal(retries.approval?.then, 'retry-later')
})

test('consent for more than one action settles an ask, also one that is held, and is named in the entry', async () => {
  const world = new World()
  let covered = false
  const covering = () => (covered ? { id: 'gr_1', facts: { id: 'gr_1', kind: 'grant' } } : undefined)
  const step = stepOf(world, { coverage: [{ covering }] })
  await step.settle(sessionOf(), callOf(), decisionOf())
  const id = await pendingId(world)
  covered = true
  const settled = await step.settle(sessionOf(), callOf(), decisionOf())
  assert.ok(settled.granted)
  assert.equal(settled.facts['id'], 'gr_1')
  assert.equal((await world.approvals.get(id)).endReason, 'covered by gr_1')
})
