import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action } from '../model/action.ts'
import type { BudgetTerms } from '../model/decision.ts'
import { MemoryState } from '../storage/memory/memory-state.ts'
import { Budgets } from './budgets.ts'
import { createAuthorizer } from './compiled-authorizer.ts'
import { periodOf } from './period.ts'
import { RateLimiter } from './rate-limiter.ts'
import { compilePolicy } from './policy.ts'
import { policyFileSchema } from './schema.ts'
import { action, connection, noon, policyOf, subject } from './testing/fixtures.ts'

function worldOf(...rules: readonly unknown[]) {
  const clock = { time: noon, now: () => clock.time }
  const state = new MemoryState()
  const policy = policyOf(...rules)
  const open = async () => {
    const budgets = new Budgets({ clock, state, everyMs: 3_600_000 })
    await budgets.start()
    const limiter = new RateLimiter()
    const authorizer = createAuthorizer(policy, { clock, limiter, budgets })
    const ask = (over: Partial<Action> = {}, who = subject()) => {
      const asked = action(over)
      return { asked, decision: authorizer.authorize(who, connection(), asked) }
    }
    const end = (asked: Action, of: { forwarded?: boolean; bytes?: number; rows?: number } = {}): void =>
      budgets.settle({
        action: asked,
        forwarded: of.forwarded ?? true,
        bytesIn: 0,
        bytesOut: of.bytes ?? 0,
        rows: of.rows ?? 0,
      })
    return { budgets, ask, end }
  }
  return { clock, state, open }
}

const mcpLike = {
  name: 'calls',
  effect: 'allow',
  rate_limit: { limit: 50, window: '10s' },
  budgets: [{ actions: 120, per: 'month' }],
}

test('fifty calls in ten seconds and a number a month, each with its reason and a time to come back', async () => {
  const { clock, open } = worldOf(mcpLike)
  const { ask } = await open()
  const reasons = Array.from({ length: 60 }, () => ask().decision.reason)
  assert.equal(reasons.filter(reason => reason === 'rule-allowed').length, 50)
  assert.equal(reasons.at(-1), 'rate-limited')
  for (const batch of [50, 20]) {
    clock.time += 11_000
    for (let i = 0; i < batch; i++) assert.equal(ask().decision.effect, 'permit')
  }
  const { decision } = ask()
  assert.deepEqual([decision.effect, decision.reason, decision.rule], ['deny', 'budget-exhausted', 'calls'])
  assert.equal(clock.time + decision.retryAfterMs!, Date.UTC(2026, 11, 1))
  clock.time += decision.retryAfterMs!
  assert.equal(ask().decision.effect, 'permit', 'the next month is a new one')
})

test('what a rate limit refuses uses nothing of a budget up', async () => {
  const { clock, open } = worldOf({ ...mcpLike, budgets: [{ actions: 51, per: 'day' }] })
  const { ask, budgets } = await open()
  for (let i = 0; i < 500; i++) ask()
  assert.equal(budgets.list()[0]!.used, 50)
  clock.time += 11_000
  assert.equal(ask().decision.effect, 'permit')
  assert.equal(ask().decision.reason, 'budget-exhausted')
})

test('an action that never left is given back; one that failed upstream is not', async () => {
  const { open } = worldOf({ name: 'r', effect: 'allow', budgets: [{ actions: 2, per: 'hour' }] })
  const { ask, end } = await open()
  for (let i = 0; i < 5; i++) end(ask().asked, { forwarded: false })
  end(ask().asked)
  assert.equal(ask().decision.effect, 'permit')
  assert.equal(ask().decision.effect, 'deny')
})

test('bytes and rows count once they have passed', async () => {
  const { open } = worldOf({
    name: 'r',
    effect: 'allow',
    budgets: [
      { bytes: '1kB', per: 'day' },
      { rows: 10, per: 'day' },
    ],
  })
  const { ask, end } = await open()
  end(ask().asked, { bytes: 999, rows: 1 })
  end(ask().asked, { bytes: 5, rows: 1 })
  assert.equal(ask().decision.reason, 'budget-exhausted')
  const other = subject({ id: 'agent-8' })
  end(ask({}, other).asked, { rows: 10 })
  assert.equal(ask({}, other).decision.reason, 'budget-exhausted')
})

test('a count is of a subject, a connection, an operation, or of all together', async () => {
  const rule = (by: string[]) => ({ name: 'r', effect: 'allow', budgets: [{ actions: 1, per: 'day', by }] })
  for (const [by, sameSubject, sameOperation] of [
    [['subject'], 'deny', 'permit'],
    [['operation'], 'permit', 'deny'],
    [['subject', 'operation'], 'permit', 'permit'],
    [[], 'deny', 'deny'],
  ] as const) {
    const { open } = worldOf(rule([...by]))
    const { ask } = await open()
    assert.equal(ask().decision.effect, 'permit')
    assert.equal(ask({ operation: 'v1.getMonitor' }).decision.effect, sameSubject)
    assert.equal(ask({}, subject({ id: 'b' })).decision.effect, sameOperation)
  }
})

test('without a place to count, a rule with a budget denies (P6)', () => {
  const clock = { now: () => noon }
  const authorizer = createAuthorizer(policyOf(mcpLike), { clock, limiter: new RateLimiter() })
  assert.equal(authorizer.authorize(subject(), connection(), action()).reason, 'budget-exhausted')
})

test('a full table refuses a count that it could not keep, and takes it once another period is over', async () => {
  const clock = { time: noon, now: () => clock.time }
  const budgets = new Budgets({ clock, keys: 2 })
  const terms: BudgetTerms[] = [{ rule: 'r', unit: 'actions', limit: 9, per: 'minute', by: ['subject'] }]
  const admit = (id: string) =>
    budgets.admit({ subject: subject({ id }), connection: connection(), action: action() }, terms)
  assert.equal(admit('a') ?? admit('b'), undefined)
  assert.ok(admit('c')!.retryAfterMs > 0)
  clock.time += 60_000
  assert.equal(admit('c'), undefined)
})

test('a stop keeps the exact count, over a restart', async () => {
  const { clock, open } = worldOf({ name: 'r', effect: 'allow', budgets: [{ actions: 100, per: 'month' }] })
  const first = await open()
  for (let i = 0; i < 30; i++) first.ask()
  await first.budgets.stop()
  const second = await open()
  assert.equal(second.budgets.list()[0]!.used, 30)
  for (let i = 0; i < 70; i++) assert.equal(second.ask().decision.effect, 'permit')
  assert.equal(second.ask().decision.effect, 'deny')
  await second.budgets.stop()
  clock.time = Date.UTC(2026, 11, 1)
  assert.equal((await open()).budgets.size, 0, 'a month that is over is forgotten')
})

test('what a crash leaves is not less than what was used when it was last written', async () => {
  const clock = { now: () => noon }
  const state = new MemoryState()
  const budgets = new Budgets({ clock, state, everyMs: 1 })
  await budgets.start()
  const terms: BudgetTerms[] = [{ rule: 'r', unit: 'actions', limit: 99, per: 'month', by: ['subject'] }]
  const use = () => ({ subject: subject(), connection: connection(), action: action() })
  for (let i = 0; i < 10; i++) budgets.admit(use(), terms)
  while ((await state.list('budgets')).length === 0) await new Promise(resolve => setTimeout(resolve, 1))
  const next = new Budgets({ clock, state })
  await next.start()
  assert.ok(next.list()[0]!.used >= 10)
  await Promise.all([budgets.stop(), next.stop()])
})

test('P6: of racing actions and restarts at any moment, no more pass than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant('restart'), fc.constant('next')), {
        maxLength: 40,
      }),
      fc.integer({ min: 1, max: 60 }),
      async (steps, limit) => {
        const { clock, open } = worldOf({
          name: 'r',
          effect: 'allow',
          budgets: [{ actions: limit, per: 'hour' }],
        })
        let running = await open()
        let passed = 0
        for (const step of steps) {
          if (step === 'restart') {
            await running.budgets.stop()
            running = await open()
          } else if (step === 'next') {
            clock.time = periodOf('hour', clock.time).end
            passed = 0
          } else {
            const decisions = Array.from({ length: step as number }, () => running.ask().decision.effect)
            passed += decisions.filter(effect => effect === 'permit').length
          }
          assert.ok(passed <= limit)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('months and days are those of the calendar', () => {
  assert.deepEqual(periodOf('month', Date.UTC(2028, 1, 29, 23)), {
    start: Date.UTC(2028, 1, 1),
    end: Date.UTC(2028, 2, 1),
  })
  assert.deepEqual(periodOf('month', Date.UTC(2026, 11, 31)).end, Date.UTC(2027, 0, 1))
  assert.equal(periodOf('day', noon).start, Date.UTC(2026, 10, 21))
})

test('mistakes in budgets are told where they are', () => {
  const issuesOf = (rule: Record<string, unknown>) => {
    const compiled = compilePolicy(
      policyFileSchema.parse({ rules: [{ name: 'r', effect: 'allow', ...rule }] }),
    )
    return 'issues' in compiled ? compiled.issues.map(({ message }) => message) : []
  }
  assert.match(issuesOf({ budgets: [{ per: 'day' }] })[0]!, /say how much/)
  assert.match(issuesOf({ effect: 'deny', budgets: [{ rows: 1, per: 'day' }] })[0]!, /has no budget/)
  const twice = [
    { actions: 1, per: 'day' },
    { actions: 2, per: 'day', by: ['subject'] },
  ]
  assert.match(issuesOf({ budgets: twice })[0]!, /counted alike/)
})
