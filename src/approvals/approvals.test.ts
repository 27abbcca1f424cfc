import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import type { Approval } from './approval.ts'
import { ana, ask, asked, code, person, terms, World } from './testing/world.ts'

test('P5: neither the requester, nor the person it acts for, nor a machine, nor a stranger approves', async () => {
  const { approvals } = new World()
  const byAgent = await ask(approvals)
  const approve = { effect: 'approve', channel: 'api' } as const
  await assert.rejects(approvals.vote(byAgent.id, ana, approve), code('denied'))
  const sameElsewhere = { ...person('a-77'), issuer: 'https://other', email: 'ANA@example.com' }
  await assert.rejects(approvals.vote(byAgent.id, sameElsewhere, approve), code('denied'))
  await assert.rejects(
    approvals.vote(byAgent.id, { ...person('bot'), kind: 'service' }, approve),
    code('denied'),
  )
  await assert.rejects(approvals.vote(byAgent.id, person('dan', ['sales']), approve), code('denied'))
  const byAna = await ask(approvals, { requester: ana, digest: 'd2' })
  await assert.rejects(approvals.vote(byAna.id, ana, approve), code('denied'))
  assert.equal((await approvals.vote(byAna.id, person('bo'), approve)).state, 'approved')
  assert.equal((await approvals.vote(byAgent.id, person('cleo', []), approve)).state, 'approved')
})

test('P5: one use, by the same action only; a second use is refused', async () => {
  const { approvals } = new World()
  const made = await ask(approvals)
  assert.equal((await approvals.findFor(asked()))?.id, made.id)
  assert.equal(await approvals.findFor(asked({ digest: 'd2' })), undefined)
  assert.equal(await approvals.findFor(asked({ requester: ana })), undefined)
  assert.equal(
    await approvals.findFor(
      asked({ connection: { name: 'other', protocol: 'http', sensitivity: 'low', version: 'c1' } }),
    ),
    undefined,
  )
  await assert.rejects(approvals.consume(made.id), code('conflict'))
  await approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'api', via: 'cli' })
  assert.equal((await approvals.consume(made.id)).state, 'consumed')
  await assert.rejects(approvals.consume(made.id), code('conflict'))
})

test('a quorum from different groups, a required reason, and any denial', async () => {
  const { approvals } = new World()
  const strict = {
    ...terms,
    approvers: ['group:sre', 'group:security'],
    quorum: 2,
    distinctGroups: true,
    reasonRequired: true,
  }
  const made = await ask(approvals, { terms: strict })
  const yes = { effect: 'approve', channel: 'api', reason: 'looked at it' } as const
  await assert.rejects(
    approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'api' }),
    code('invalid-request'),
  )
  assert.equal((await approvals.vote(made.id, person('bo'), yes)).state, 'pending')
  await assert.rejects(approvals.vote(made.id, person('bo'), yes), code('conflict'))
  await assert.rejects(approvals.vote(made.id, person('eve'), yes), code('denied'))
  assert.equal((await approvals.vote(made.id, person('fay', ['security']), yes)).state, 'approved')
  const other = await ask(approvals, { terms: strict, digest: 'd2' })
  await approvals.vote(other.id, person('bo'), yes)
  assert.equal(
    (await approvals.vote(other.id, person('fay', ['security']), { ...yes, effect: 'deny' })).state,
    'denied',
  )
})

test('a request and an approval each end in time', async () => {
  const world = new World()
  const { approvals, notes } = world
  const move = (ms: number) => world.move(ms)
  const undecided = await ask(approvals)
  const unused = await ask(approvals, { digest: 'd2' })
  await approvals.vote(unused.id, person('bo'), { effect: 'approve', channel: 'api' })
  move(30_001)
  assert.equal((await approvals.get(unused.id)).state, 'expired')
  assert.equal((await approvals.get(undecided.id)).state, 'pending')
  move(30_001)
  await assert.rejects(
    approvals.vote(undecided.id, person('bo'), { effect: 'approve', channel: 'api' }),
    code('conflict'),
  )
  assert.equal((await approvals.get(undecided.id)).state, 'expired')
  assert.equal(notes.filter(note => note.kind === 'approval.expired').length, 2)
})

test('racing requests for one action make one approval', async () => {
  const { approvals, notes } = new World()
  const made = await Promise.all(Array.from({ length: 50 }, () => ask(approvals)))
  assert.equal(new Set(made.map(each => each.id)).size, 1)
  assert.equal(notes.length, 1)
})

test('P5: whatever races, an approval is used at most once, and never after a denial or its end', async () => {
  type Step = 'approve' | 'deny' | 'consume' | 'cancel' | 'late'
  const step = fc.constantFrom<Step>('approve', 'deny', 'consume', 'consume', 'cancel', 'late')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
      async rounds => {
        const world = new World()
        const { approvals, notes } = world
        const move = (ms: number) => world.move(ms)
        const { id } = await ask(approvals)
        let used = 0
        let voter = 0
        for (const round of rounds) {
          await Promise.all(
            round.map(async each => {
              try {
                if (each === 'approve' || each === 'deny') {
                  await approvals.vote(id, person(`p${voter++}`), { effect: each, channel: 'api' })
                } else if (each === 'consume') {
                  await approvals.consume(id)
                  used++
                } else if (each === 'cancel') await approvals.cancel(id, 'test')
                else move(20_000)
              } catch (error) {
                assert.ok(
                  error instanceof GatewayError && ['conflict', 'denied'].includes(error.code),
                  String(error),
                )
              }
            }),
          )
        }
        assert.ok(used <= 1)
        const kinds = notes.map(note => note.kind)
        const ends = kinds.filter(kind =>
          ['approval.denied', 'approval.expired', 'approval.cancelled', 'approval.consumed'].includes(kind),
        )
        assert.ok(ends.length <= 1, `several ends: ${kinds.join(' ')}`)
        if (used === 1) assert.ok(kinds.indexOf('approval.granted') < kinds.indexOf('approval.consumed'))
      },
    ),
    { numRuns: 200 },
  )
})

test('P5, P10: what was open survives a restart, and an entry that could not be written is written then', async () => {
  const world = new World()
  const { approvals, notes } = world
  const made: Approval[] = []
  for (let i = 0; i < 100; i++) made.push(await ask(approvals, { digest: `d${i}` }))
  world.failNotes = true
  await assert.rejects(
    approvals.vote(made[0]!.id, person('bo'), { effect: 'approve', channel: 'api' }),
    code('recording-unavailable'),
  )
  world.failNotes = false
  const again = await world.restart()
  assert.equal((await again.list({ open: true, limit: 1000 })).length, 100)
  assert.equal((await again.get(made[0]!.id)).state, 'approved')
  assert.deepEqual(
    notes.filter(note => note.id === made[0]!.id).map(note => note.kind),
    ['approval.requested', 'approval.voted', 'approval.granted'],
  )
  assert.equal((await again.findFor(asked({ digest: 'd7' })))?.id, made[7]!.id)
  assert.equal((await again.consume(made[0]!.id)).state, 'consumed')
})

test('a waiter hears of the decision, and of nothing else', async () => {
  const { approvals } = new World()
  const made = await ask(approvals)
  const never = new AbortController()
  const waiting = approvals.wait(made, 60_000, never.signal)
  await approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'api' })
  assert.equal((await waiting).state, 'approved')
  const other = await ask(approvals, { digest: 'd2' })
  const left = approvals.wait(other, 60_000, never.signal)
  never.abort()
  assert.equal((await left).state, 'pending')
})

test('groups that must differ: the order of votes does not matter, and one person is one vote', async () => {
  const { approvals } = new World()
  const strict = { ...terms, approvers: ['group:sre', 'group:security'], quorum: 2, distinctGroups: true }
  const yes = { effect: 'approve', channel: 'api' } as const
  const first = await ask(approvals, { terms: strict })
  await approvals.vote(first.id, person('bo', ['sre', 'security']), yes)
  await assert.rejects(approvals.vote(first.id, person('bo', ['security']), yes), code('conflict'))
  assert.equal((await approvals.vote(first.id, person('eve', ['sre']), yes)).state, 'approved')
  const named = { ...strict, approvers: ['user:cleo@example.com', 'group:sre', 'group:security'] }
  const second = await ask(approvals, { terms: named, digest: 'd2' })
  await assert.rejects(approvals.vote(second.id, person('cleo', []), yes), code('denied'))
  await approvals.vote(second.id, person('bo'), yes)
  await assert.rejects(approvals.vote(second.id, person('eve'), yes), code('denied'))
  const no = { effect: 'deny', channel: 'api' } as const
  assert.equal((await approvals.vote(second.id, person('eve'), no)).state, 'denied', 'anyone named may deny')
})

test('an approver who thinks better of it denies, while others are still asked', async () => {
  const { approvals } = new World()
  const { id } = await ask(approvals, { terms: { ...terms, quorum: 2 } })
  await approvals.vote(id, person('bo'), { effect: 'approve', channel: 'api' })
  assert.equal((await approvals.vote(id, person('bo'), { effect: 'deny', channel: 'api' })).state, 'denied')
})

test('P5: an address names whom the issuer vouches for, not whoever chose it as an id', async () => {
  const { approvals } = new World()
  const { id } = await ask(approvals)
  const { email: _, ...poser } = person('cleo@example.com', [])
  const yes = { effect: 'approve', channel: 'api' } as const
  await assert.rejects(approvals.vote(id, poser, yes), code('denied'))
})

test('P5: under another policy, or on a connection that was changed, the same action is asked anew', async () => {
  const { approvals } = new World()
  const first = await ask(approvals)
  const second = await ask(approvals, { policyVersion: 'sha256:p2' })
  assert.notEqual(second.id, first.id)
  assert.equal((await approvals.get(first.id)).endReason, 'another policy took effect')
  const changed = { ...asked().connection, version: 'c2' }
  const third = await ask(approvals, { policyVersion: 'sha256:p2', connection: changed })
  assert.notEqual(third.id, second.id)
  assert.equal((await approvals.get(second.id)).endReason, 'the connection was changed')
  assert.equal(approvals.pending, 1)
})

test('a decision that came before the wait is not waited for', async () => {
  const { approvals } = new World()
  const made = await ask(approvals)
  await approvals.vote(made.id, person('bo'), { effect: 'deny', channel: 'api' })
  assert.equal((await approvals.wait(made, 3_600_000, new AbortController().signal)).state, 'denied')
})

test('a stop lets every waiting call go on', async () => {
  const { approvals } = new World()
  const made = await ask(approvals)
  const waits = [1, 2, 3].map(() => approvals.wait(made, 3_600_000, new AbortController().signal))
  approvals.stop()
  assert.deepEqual(
    (await Promise.all(waits)).map(each => each.state),
    ['pending', 'pending', 'pending'],
  )
  assert.equal(approvals.held.waiting, 0)
})

test('P12: what no longer answers leaves the memory, and the store in the end', async () => {
  const world = new World()
  const { approvals } = world
  for (let i = 0; i < 20; i++) await ask(approvals, { digest: `d${i}` })
  const [first] = await approvals.list({ open: true, limit: 1 })
  await approvals.vote(first!.id, person('bo'), { effect: 'deny', channel: 'api' })
  world.move(terms.expiresAfterMs + 1)
  await approvals.sweep()
  await approvals.sweep()
  assert.deepEqual(approvals.held, { open: 0, answering: 0, waiting: 0 })
  assert.equal((await approvals.list({ open: false, limit: 1000 })).length, 20)
  world.move(31 * 24 * 3_600_000)
  for (let i = 0; i < 600; i++) await approvals.sweep()
  assert.equal((await approvals.list({ open: false, limit: 1000 })).length, 0)
})

test('the list has the newest first, however many there are', async () => {
  const world = new World()
  const made: string[] = []
  for (let i = 0; i < 250; i++) {
    made.push((await ask(world.approvals, { digest: `d${i}` })).id)
    world.move(i === 100 ? 7 * 3_600_000 : 1)
  }
  const newest = await world.approvals.list({ open: false, limit: 200 })
  assert.deepEqual(
    newest.map(each => each.id),
    made.slice(-200).reverse(),
  )
})

test('P12: what can not be shown whole is not asked', async () => {
  const { approvals } = new World()
  const large = async () => ({ request: { body: 'x'.repeat(600_000) } })
  await assert.rejects(approvals.request(asked(), large), code('body-too-large'))
  assert.equal(approvals.held.open, 0)
})

test('P5, P10: killed at any point, each change is one entry and nothing is used twice', async () => {
  const faults = fc.record({
    of: fc.constantFrom('put' as const, 'note' as const),
    after: fc.nat({ max: 7 }),
    took: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(faults, async fault => {
      const world = new World()
      world.fault = fault
      const steps: (() => Promise<unknown>)[] = [
        () => ask(world.approvals),
        async () => world.approvals.vote((await id())!, person('bo'), { effect: 'approve', channel: 'api' }),
        async () => world.approvals.consume((await id())!),
        async () => world.approvals.consume((await id())!),
      ]
      const id = async (): Promise<string | undefined> => (await world.approvals.findFor(asked()))?.id
      let used = 0
      for (const [i, step] of steps.entries()) {
        try {
          await step()
          if (i >= 2) used++
        } catch (error) {
          if (error instanceof GatewayError && error.code === 'conflict') continue
          // The process dies here, and another one takes up what it left.
          await world.restart()
          if (i === 0 && (await id()) === undefined) await ask(world.approvals)
          if (i === 1)
            await world.approvals
              .vote((await id())!, person('bo'), { effect: 'approve', channel: 'api' })
              .catch(() => undefined)
        }
      }
      world.fault = undefined
      await world.restart()
      assert.ok(used <= 1)
      const [approval] = await world.approvals.list({ open: false, limit: 10 })
      assert.equal(approval?.state, 'consumed')
      assert.deepEqual(world.kindsOf(approval.id), [
        'approval.requested',
        'approval.voted',
        'approval.granted',
        'approval.consumed',
      ])
    }),
    { numRuns: 100 },
  )
})
