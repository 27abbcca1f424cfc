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

test('the time of the system’s clock is within its own millisecond', () => {
  for (let i = 0; i < 10_000; i++) {
    const before = new Date().toISOString().slice(0, 23)
    const now = timestamp(systemClock)
    const after = new Date().toISOString().slice(0, 23)
    assert.match(now, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    assert.ok(before <= now.slice(0, 23) && now.slice(0, 23) <= after, `${before} ${now} ${after}`)
  }
})
