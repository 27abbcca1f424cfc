import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { timestamp } from './timestamp.ts'

test('a time is the clock’s own millisecond, with the microseconds that it gives', () => {
  const times = fc.array(fc.integer({ min: 0, max: 4_102_444_800_000 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 999 }), (all, micros) => {
      for (const ms of all) {
        // Halfway, so that no rounding of the sum can reach the next microsecond.
        const clock = { now: () => ms + (micros + 0.5) / 1000 } as Clock
        const expected = `${new Date(ms).toISOString().slice(0, 23)}${String(micros).padStart(3, '0')}Z`
        assert.equal(timestamp(clock), expected)
      }
    }),
  )
})

test('the system’s clock never goes back within a run of entries', () => {
  let before = timestamp(systemClock)
  for (let i = 0; i < 10_000; i++) {
    const now = timestamp(systemClock)
    assert.ok(now >= before, `${now} after ${before}`)
    before = now
  }
})
