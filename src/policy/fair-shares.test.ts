import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action } from '../model/action.ts'
import type { Decision } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { FairShares } from './fair-shares.ts'

const permit = { effect: 'permit', reason: 'rule-allowed', rule: 'all' } as unknown as Decision
const target = { name: 'datadog' }
const subject = (id: string): Subject => ({ issuer: 'https://idp.example.com', id }) as unknown as Subject

/** A target with a fixed window, behind the shares. */
function stage(limit: number, windowMs = 60_000) {
  let now = 1_000_000
  let used = 0
  let window = 0
  const shares = new FairShares({ now: () => now } as ConstructorParameters<typeof FairShares>[0])
  const current = (): void => {
    const at = Math.floor(now / windowMs)
    if (at !== window) used = 0
    window = at
  }
  return {
    shares,
    /** Asks; where it may, the target answers. `beyond`: the target had nothing left. */
    act(who: string, operation = 'v1.getMonitor'): 'passed' | 'refused' | 'beyond' {
      const action = { operation } as Action
      const decision = shares.inspect(action, permit, { subject: subject(who), target })
      if (decision.effect === 'deny') {
        assert.equal(decision.reason, 'target-limit')
        assert.ok(decision.retryAfterMs! > 0)
        return 'refused'
      }
      current()
      const beyond = used >= limit
      if (!beyond) used++
      const resetMs = (Math.floor(now / windowMs) + 1) * windowMs - now
      shares.learn(action, { target }, { name: 'api', limit, remaining: limit - used, resetMs, windowMs })
      shares.ended({ action, forwarded: true })
      return beyond ? 'beyond' : 'passed'
    },
    later(ms: number) {
      now += ms
    },
  }
}

test('P12: nothing is refused before the target has told of a limit, nor of another limit', () => {
  const shares = new FairShares({ now: () => 0 } as ConstructorParameters<typeof FairShares>[0])
  const asker = { subject: subject('a'), target }
  for (let i = 0; i < 100; i++)
    assert.equal(shares.inspect({ operation: 'x' } as Action, permit, asker), permit)
  shares.learn({ operation: 'x' } as Action, asker, { limit: 5, remaining: 0, resetMs: 1000 })
  assert.equal(shares.inspect({ operation: 'x' } as Action, permit, asker).effect, 'deny')
  assert.equal(shares.inspect({ operation: 'y' } as Action, permit, asker), permit)
  const ask = { ...permit, effect: 'ask' } as Decision
  assert.equal(shares.inspect({ operation: 'x' } as Action, ask, asker), ask)
})

test('P12: one that floods alone gets nearly all; one that comes later still gets its part', () => {
  const { act, later } = stage(1000)
  // To where a window begins.
  later(20_000)
  let flood = 0
  while (act('flood') === 'passed') flood++
  assert.ok(flood >= 850 && flood <= 920, String(flood))
  let late = 0
  while (act('late') === 'passed') late++
  assert.ok(late >= 80, String(late))
})

test('P12: those who flood together get like parts, in each window', () => {
  const names = ['a', 'b', 'c', 'd']
  const { act, later } = stage(1000, 60_000)
  // To where a window begins.
  later(20_000)
  for (let window = 0; window < 3; window++) {
    const got = new Map(names.map(name => [name, 0]))
    // The first asks nine times as often as the others.
    for (let i = 0; i < 2000; i++)
      for (const name of ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', ...names]) {
        const outcome = act(name)
        assert.notEqual(outcome, 'beyond')
        if (outcome === 'passed') got.set(name, got.get(name)! + 1)
      }
    const total = [...got.values()].reduce((sum, each) => sum + each, 0)
    if (window > 0)
      for (const each of got.values()) assert.ok(each >= 220 && each <= 340, JSON.stringify([...got]))
    assert.ok(total >= 880, String(total))
    later(60_000)
  }
})

test('what somebody leaves is used by others towards the end of the window', () => {
  const { act, later } = stage(1000, 60_000)
  // To where a window begins.
  later(20_000)
  act('asleep')
  const takeAll = (): number => {
    let passed = 0
    while (act('busy') === 'passed') passed++
    return passed
  }
  const atOnce = takeAll()
  later(59_000)
  assert.ok(atOnce < 600, String(atOnce))
  assert.ok(atOnce + takeAll() > 950)
})

test('P12: whatever order identities, answers and time come in, no more passes than the target allows', () => {
  const step = fc.oneof(
    { weight: 9, arbitrary: fc.record({ who: fc.constantFrom('a', 'b', 'c', 'd', 'e') }) },
    { weight: 1, arbitrary: fc.record({ ms: fc.integer({ min: 1, max: 90_000 }) }) },
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 300 }), (limit, steps) => {
      const { act, later } = stage(limit)
      let beyond = 0
      let learned = false
      for (const each of steps) {
        if ('ms' in each) later(each.ms)
        else if (act(each.who) === 'beyond' && learned) beyond++
        learned = true
      }
      assert.equal(beyond, 0)
    }),
  )
})

test('what is under way counts, and what never left is given back', () => {
  const shares = new FairShares({ now: () => 0 } as ConstructorParameters<typeof FairShares>[0])
  const asker = { subject: subject('a'), target }
  const told = { limit: 3, remaining: 2, resetMs: 1000 }
  shares.learn({ operation: 'x' } as Action, asker, told)
  const actions = [0, 1, 2].map(() => ({ operation: 'x' }) as Action)
  const effects = actions.map(each => shares.inspect(each, permit, asker).effect)
  assert.deepEqual(effects, ['permit', 'permit', 'deny'])
  shares.ended({ action: actions[0]!, forwarded: false })
  shares.ended({ action: actions[0]!, forwarded: false })
  assert.equal(shares.inspect({ operation: 'x' } as Action, permit, asker).effect, 'permit')
  assert.equal(shares.inspect({ operation: 'x' } as Action, permit, asker).effect, 'deny')
})

test('an answer that was overtaken raises nothing, and a limit that fills up by itself refuses nobody', () => {
  const shares = new FairShares({ now: () => 0 } as ConstructorParameters<typeof FairShares>[0])
  const asker = { subject: subject('a'), target }
  const told = (remaining: number) => ({ limit: 10, remaining, resetMs: 1000 })
  const act = (): Action => {
    const action = { operation: 'x' } as Action
    assert.equal(shares.inspect(action, permit, asker).effect, 'permit')
    return action
  }
  const done = (action: Action, remaining: number): void => {
    shares.learn(action, asker, told(remaining))
    shares.ended({ action, forwarded: true })
  }
  done(act(), 9)
  for (let i = 0; i < 50; i++) done(act(), 9)
  const [early, late] = [act(), act()]
  done(late, 0)
  done(early, 1)
  assert.equal(shares.inspect({ operation: 'x' } as Action, permit, asker).effect, 'deny')
})

test('a limit of which no answer tells any more holds nobody for longer than the window after', () => {
  let now = 0
  const shares = new FairShares({ now: () => now } as ConstructorParameters<typeof FairShares>[0])
  const asker = { subject: subject('a'), target }
  const ask = () => {
    const action = { operation: 'x' } as Action
    const { effect } = shares.inspect(action, permit, asker)
    shares.ended({ action, forwarded: true })
    return effect
  }
  shares.learn({ operation: 'x' } as Action, asker, { limit: 2, remaining: 0, resetMs: 1000 })
  assert.equal(ask(), 'deny')
  now = 1000
  assert.deepEqual([ask(), ask()], ['permit', 'deny'])
  now = 2000
  for (let i = 0; i < 10; i++) assert.equal(ask(), 'permit')
})
