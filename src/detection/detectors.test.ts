import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hoursIn, hourWords, WeekClock } from './hour-of-week.ts'
import { SlidingCount } from './sliding-count.ts'
import { rareFrom } from './tail.ts'

/** P(X >= count) of a Poisson variable. */
function tail(mean: number, count: number): number {
  let [term, below] = [Math.exp(-mean), 0]
  for (let k = 0; k < count; k++) {
    below += term
    term *= mean / (k + 1)
  }
  return Math.max(0, 1 - below)
}

test('a count that is said to be rare is as rare as that, and one a tenth smaller would not be by far', () => {
  for (const mean of [0.1, 1, 2, 5, 20, 100, 500]) {
    const limit = rareFrom(mean)
    assert.ok(tail(mean, limit) <= 1e-6, `${mean}: ${limit}`)
    assert.ok(limit <= mean + 6 * Math.sqrt(mean) + 14, `${mean}: ${limit}`)
  }
  assert.equal(rareFrom(0), 1)
})

test('rarer the more is usual, without a step back', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), mean => {
      assert.ok(rareFrom(mean * 1.01) >= rareFrom(mean))
      assert.ok(rareFrom(mean) > mean)
    }),
  )
})

test('a sliding count is never less than the truth, and more only by a slot', () => {
  const steps = fc.array(fc.nat({ max: 20_000 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(steps, gaps => {
      const count = new SlidingCount(60_000, 12)
      const times: number[] = []
      let now = 1e12
      for (const gap of gaps) {
        now += gap
        times.push(now)
        const counted = count.add(now)
        const within = (ms: number): number => times.filter(each => each > now - ms).length
        assert.ok(counted >= within(60_000) && counted <= within(65_001))
      }
    }),
  )
})

test('hours of a week', () => {
  const berlin = new WeekClock('Europe/Berlin')
  assert.equal(hourWords(berlin.at(Date.UTC(2026, 10, 2, 12))), 'Mondays from 13:00')
  assert.equal(hourWords(berlin.at(Date.UTC(2026, 6, 5, 23, 30))), 'Mondays from 01:00')
  assert.equal(hoursIn('mon-fri 07:00-19:00').size, 60)
  assert.deepEqual([...hoursIn('sun 23:00-01:00')], [167, 0])
  assert.deepEqual([...hoursIn('sat-sun 00:00-24:00')].length, 48)
  assert.equal(hoursIn('fri-mon 09:00-10:00').size, 4)
})
