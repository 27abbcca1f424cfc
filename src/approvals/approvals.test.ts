import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Audit } from '../audit/audit.ts'
import { GatewayError } from '../errors.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import type { Approval } from './approval.ts'
import { Approvals, type Asked } from './approvals.ts'

const terms: ApprovalTerms = {
  rule: 'ask-first',
  approvers: ['group:sre', 'user:cleo@example.com'],
  quorum: 1,
  distinctGroups: false,
  expiresAfterMs: 60_000,
  usableForMs: 30_000,
  reasonRequired: false,
  whenHeld: 'resubmit',
  onChange: 'ask',
}

function person(id: string, groups: string[] = ['sre']): Subject {
  return {
    issuer: 'https://idp',
    id,
    email: `${id}@example.com`,
    kind: 'user',
    groups,
    method: 'oidc',
    claims: {},
  }
}

const ana = person('ana')
const agent: Subject = {
  ...person('triage', []),
  kind: 'agent',
  onBehalfOf: { issuer: 'https://idp', id: 'ana', email: 'ana@example.com' },
}

function asked(change: Partial<Asked> = {}): Asked {
  return {
    requester: agent,
    session: 's_1',
    connection: { name: 'datadog-prod', sensitivity: 'high' },
    operation: 'v1.updateMonitor',
    risk: 'write',
    resource: '/api/v1/monitor/1',
    digest: 'd1',
    policyVersion: 'sha256:p1',
    terms,
    request: { method: 'PUT' },
    ...change,
  }
}

/** A world with a clock that tests move, an in-memory store that yields, and a list of what was noted. */
function world(): {
  approvals: Approvals
  notes: { kind: string; id: string }[]
  move(ms: number): void
  restart(): Promise<Approvals>
  failNotes(fail: boolean): void
} {
  let now = 1_800_000_000_000
  const rows = new Map<string, { value: unknown; version: number }>()
  const notes: { kind: string; id: string }[] = []
  let failing = false
  const yieldOnce = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const state: StateStore = {
    async get(space, key) {
      await yieldOnce()
      return structuredClone(rows.get(`${space}/${key}`)) as never
    },
    // oxlint-disable-next-line max-params -- the interface's
    async put(space, key, value, expected) {
      await yieldOnce()
      const at = `${space}/${key}`
      if ((rows.get(at)?.version ?? 0) !== expected) return false
      rows.set(at, { value: structuredClone(value), version: expected + 1 })
      return true
    },
    async delete(space, key) {
      rows.delete(`${space}/${key}`)
    },
    async list(space) {
      return [...rows]
        .filter(([key]) => key.startsWith(`${space}/`))
        .map(([key, row]) => ({ key: key.slice(space.length + 1), ...row })) as never
    },
  }
  const audit = {
    async note(kind: string, facts: { approval?: { id: string } }) {
      await yieldOnce()
      if (failing) throw new GatewayError('recording-unavailable')
      notes.push({ kind, id: facts.approval?.id ?? '' })
      return { index: notes.length, id: '' }
    },
  } as unknown as Audit
  const make = (): Approvals => new Approvals({ state, audit, clock: { now: () => now } })
  const first = make()
  return {
    approvals: first,
    notes,
    move: ms => void (now += ms),
    failNotes: fail => void (failing = fail),
    async restart() {
      first.stop()
      const again = make()
      await again.start()
      again.stop()
      return again
    },
  }
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof GatewayError && error.code === expected

test('P5: neither the requester, nor the person it acts for, nor a machine, nor a stranger approves', async () => {
  const { approvals } = world()
  const byAgent = await approvals.request(asked())
  const approve = { effect: 'approve', channel: 'api' } as const
  await assert.rejects(approvals.vote(byAgent.id, ana, approve), code('denied'))
  const sameElsewhere = { ...person('a-77'), issuer: 'https://other', email: 'ANA@example.com' }
  await assert.rejects(approvals.vote(byAgent.id, sameElsewhere, approve), code('denied'))
  await assert.rejects(
    approvals.vote(byAgent.id, { ...person('bot'), kind: 'service' }, approve),
    code('denied'),
  )
  await assert.rejects(approvals.vote(byAgent.id, person('dan', ['sales']), approve), code('denied'))
  const byAna = await approvals.request(asked({ requester: ana, digest: 'd2' }))
  await assert.rejects(approvals.vote(byAna.id, ana, approve), code('denied'))
  assert.equal((await approvals.vote(byAna.id, person('bo'), approve)).state, 'approved')
  assert.equal((await approvals.vote(byAgent.id, person('cleo', []), approve)).state, 'approved')
})

test('P5: one use, by the same action only; a second use is refused', async () => {
  const { approvals } = world()
  const made = await approvals.request(asked())
  assert.equal((await approvals.findFor(asked()))?.id, made.id)
  assert.equal(await approvals.findFor(asked({ digest: 'd2' })), undefined)
  assert.equal(await approvals.findFor(asked({ requester: ana })), undefined)
  assert.equal(
    await approvals.findFor(asked({ connection: { name: 'other', sensitivity: 'low' } })),
    undefined,
  )
  await assert.rejects(approvals.consume(made.id), code('conflict'))
  await approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'cli' })
  assert.equal((await approvals.consume(made.id)).state, 'consumed')
  await assert.rejects(approvals.consume(made.id), code('conflict'))
})

test('a quorum from different groups, a required reason, and any denial', async () => {
  const { approvals } = world()
  const strict = {
    ...terms,
    approvers: ['group:sre', 'group:security'],
    quorum: 2,
    distinctGroups: true,
    reasonRequired: true,
  }
  const made = await approvals.request(asked({ terms: strict }))
  const yes = { effect: 'approve', channel: 'api', reason: 'looked at it' } as const
  await assert.rejects(
    approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'api' }),
    code('invalid-request'),
  )
  assert.equal((await approvals.vote(made.id, person('bo'), yes)).state, 'pending')
  await assert.rejects(approvals.vote(made.id, person('bo'), yes), code('denied'))
  await assert.rejects(approvals.vote(made.id, person('eve'), yes), code('denied'))
  assert.equal((await approvals.vote(made.id, person('fay', ['security']), yes)).state, 'approved')
  const other = await approvals.request(asked({ terms: strict, digest: 'd2' }))
  await approvals.vote(other.id, person('bo'), yes)
  assert.equal(
    (await approvals.vote(other.id, person('fay', ['security']), { ...yes, effect: 'deny' })).state,
    'denied',
  )
})

test('a request and an approval each end in time', async () => {
  const { approvals, move, notes } = world()
  const undecided = await approvals.request(asked())
  const unused = await approvals.request(asked({ digest: 'd2' }))
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
  const { approvals, notes } = world()
  const made = await Promise.all(Array.from({ length: 50 }, () => approvals.request(asked())))
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
        const { approvals, move, notes } = world()
        const { id } = await approvals.request(asked())
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
  const { approvals, notes, restart, failNotes } = world()
  const made: Approval[] = []
  for (let i = 0; i < 100; i++) made.push(await approvals.request(asked({ digest: `d${i}` })))
  failNotes(true)
  await assert.rejects(
    approvals.vote(made[0]!.id, person('bo'), { effect: 'approve', channel: 'api' }),
    code('recording-unavailable'),
  )
  failNotes(false)
  const again = await restart()
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
  const { approvals } = world()
  const made = await approvals.request(asked())
  const never = new AbortController()
  const waiting = approvals.wait(made, 60_000, never.signal)
  await approvals.vote(made.id, person('bo'), { effect: 'approve', channel: 'api' })
  assert.equal((await waiting).state, 'approved')
  const other = await approvals.request(asked({ digest: 'd2' }))
  const left = approvals.wait(other, 60_000, never.signal)
  never.abort()
  assert.equal((await left).state, 'pending')
})
