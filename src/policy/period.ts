import type { BudgetTerms } from '../model/decision.ts'

/** A stretch of the calendar, milliseconds since the epoch; `end` is the first moment after it. */
export interface Period {
  readonly start: number
  readonly end: number
}

const lengths = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** The period that `now` is in, by UTC: days begin at midnight, months on the first. */
export function periodOf(per: BudgetTerms['per'], now: number): Period {
  if (per === 'month') {
    const date = new Date(now)
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
    return { start: Date.UTC(year, month, 1), end: Date.UTC(year, month + 1, 1) }
  }
  const length = lengths[per]
  const start = Math.floor(now / length) * length
  return { start, end: start + length }
}
