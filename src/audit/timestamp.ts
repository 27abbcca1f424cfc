import { type Clock, systemClock } from '../clock.ts'

let anchor = 0
let lastSecond = Number.NaN
let lastPrefix = ''

/**
 * The time as entries carry it: UTC with microseconds, `2026-11-21T07:00:00.123456Z`. The system clock counts
 * milliseconds; the digits below come from the monotonic clock, re-anchored whenever the two disagree, so the result
 * never leaves the system clock's own millisecond. Another clock has no finer digits than it gives.
 */
export function timestamp(clock: Clock): string {
  const now = clock.now()
  const ms = Math.floor(now)
  const micros = clock === systemClock ? microsWithin(ms) : Math.floor((now - ms) * 1000)
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastPrefix = new Date(second * 1000).toISOString().slice(0, 20)
  }
  return `${lastPrefix}${threeDigits(ms - second * 1000)}${threeDigits(micros)}Z`
}

function threeDigits(number: number): string {
  return `${number < 10 ? '00' : number < 100 ? '0' : ''}${number}`
}

function microsWithin(ms: number): number {
  const monotonic = performance.now()
  const fraction = anchor + monotonic - ms
  if (fraction >= 0 && fraction < 1) return Math.floor(fraction * 1000)
  anchor = ms - monotonic
  return 0
}
