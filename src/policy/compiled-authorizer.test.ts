import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createAuthorizer } from './compiled-authorizer.ts'
import { RateLimiter } from './rate-limiter.ts'
import { action, connection, noon, policyOf, subject } from './testing/fixtures.ts'

function authorizerOf(...rules: readonly unknown[]) {
  const clock = { time: noon, now: () => clock.time }
  const limiter = new RateLimiter()
  return { clock, limiter, authorizer: createAuthorizer(policyOf(...rules), { clock, limiter }) }
}

const limited = { name: 'some', effect: 'allow', rate_limit: { limit: 3, window: '1m' } }

test('a permit over its limit is a denial that says when to come back', () => {
  const { authorizer, clock } = authorizerOf(limited)
  const ask = (over = {}) => authorizer.authorize(subject(over), connection(), action())
  for (let i = 0; i < 3; i++) assert.equal(ask().effect, 'permit')
  const denied = ask()
  assert.deepEqual([denied.effect, denied.reason, denied.rule], ['deny', 'rate-limited', 'some'])
  assert.ok(denied.retryAfterMs! > 59_000 && denied.retryAfterMs! <= 61_000)
  assert.equal(ask({ id: 'someone-else' }).effect, 'permit', 'each subject has a limit of its own')
  clock.time += denied.retryAfterMs!
  assert.equal(ask().effect, 'permit')
})

test('an action that is judged again is not counted again', () => {
  const { authorizer } = authorizerOf(limited)
  const one = action()
  for (let i = 0; i < 10; i++)
    assert.equal(authorizer.authorize(subject(), connection(), one).effect, 'permit')
})

test('a denied action counts for nothing', () => {
  const { authorizer } = authorizerOf(limited, { name: 'no', effect: 'deny', risks: ['write'] })
  for (let i = 0; i < 9; i++) authorizer.authorize(subject(), connection(), action({ risk: 'write' }))
  assert.equal(authorizer.authorize(subject(), connection(), action()).effect, 'permit')
})

test('limits outlive a change of policy', () => {
  const { limiter, clock, authorizer } = authorizerOf(limited)
  for (let i = 0; i < 3; i++) authorizer.authorize(subject(), connection(), action())
  const next = createAuthorizer(policyOf(limited, { name: 'b', effect: 'allow' }), { clock, limiter })
  assert.equal(next.authorize(subject(), connection(), action()).reason, 'rate-limited')
})

test('no window ever holds more than the limit, and who waits as told is let in', () => {
  const gaps = fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 10 }), (steps, most) => {
      const limiter = new RateLimiter()
      const limit = { limit: most, windowMs: 60_000 }
      const passed: number[] = []
      let now = noon
      for (const step of steps) {
        now += step
        const delay = limiter.delay('k', limit, now)
        if (delay > 0) {
          assert.equal(limiter.delay('k', limit, now + delay), 0)
          now += delay
        }
        limiter.count('k', limit, now)
        passed.push(now)
        assert.ok(passed.filter(time => time > now - limit.windowMs).length <= most)
      }
    }),
  )
})

test('P6, P12: a limiter that remembers all it can refuses new keys and recovers', () => {
  const limiter = new RateLimiter({ keys: 50 })
  const limit = { limit: 5, windowMs: 60_000 }
  for (let i = 0; i < 80; i++) {
    if (limiter.delay(`k${i}`, limit, noon) === 0) limiter.count(`k${i}`, limit, noon)
  }
  assert.equal(limiter.size, 50)
  assert.equal(limiter.delay('new', limit, noon), limit.windowMs)
  assert.equal(limiter.delay('k3', limit, noon), 0, 'known keys go on')
  assert.equal(limiter.delay('new', limit, noon + 120_000), 0)
})

test('demands the body where a condition reads it or a person may be asked', () => {
  const approval = { approvers: ['group:leads'] }
  const { authorizer } = authorizerOf(
    { name: 'a', effect: 'allow', operations: ['v1.createMonitor'], when: "request.body.type == 'x'" },
    { name: 'b', effect: 'allow', operations: ['v1.list*'], when: "request.query.page == '1'" },
    { name: 'c', effect: 'require_approval', operations: ['v1.delete*'], risks: ['delete'], approval },
    { name: 'd', effect: 'require_approval', operations: ['v1.edit*'], shadow: true, approval },
    { name: 'e', effect: 'deny', connections: { names: ['other'] }, when: 'has(request.body)' },
  )
  const body = (operation: string, over = {}): boolean => authorizer.demands(connection(over), operation).body
  assert.equal(body('v1.createMonitor'), true)
  assert.equal(body('v1.listMonitors'), false)
  assert.equal(body('v1.deleteMonitor'), true)
  assert.equal(body('v1.editMonitor'), false)
  assert.equal(body('v1.listMonitors', { name: 'other' }), true)
})

test('what is remembered of one connection is not another, and an index that overflows stays right', () => {
  const { authorizer } = authorizerOf({
    name: 'prod',
    effect: 'allow',
    connections: { labels: { env: 'prod' } },
    operations: ['op7*', 'GET /x'],
  })
  const [prod, dev] = [connection(), connection({ labels: { env: 'dev' } })]
  for (let i = 0; i < 10_000; i++) {
    const operation = `op${i}`
    const effect = authorizer.authorize(subject(), prod, action({ operation })).effect
    assert.equal(effect, operation.startsWith('op7') ? 'permit' : 'deny')
  }
  assert.equal(authorizer.authorize(subject(), prod, action({ operation: 'op7' })).effect, 'permit')
  assert.equal(authorizer.authorize(subject(), dev, action({ operation: 'op7' })).effect, 'deny')
  const unknown = action({ operation: 'GET /x', known: false })
  assert.equal(authorizer.authorize(subject(), prod, unknown).effect, 'permit')
})
