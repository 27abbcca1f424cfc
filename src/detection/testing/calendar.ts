/** The calendar of a company in central Europe: days since it began, on Monday 5 January 2026. */
const dayMs = 86_400_000
const hourMs = 3_600_000
export const beginning = Date.UTC(2026, 0, 5)
/** Good Friday, Easter Monday, Labour Day, Ascension, Whit Monday. */
const holidays: ReadonlySet<number> = new Set(
  [
    Date.UTC(2026, 3, 3),
    Date.UTC(2026, 3, 6),
    Date.UTC(2026, 4, 1),
    Date.UTC(2026, 4, 14),
    Date.UTC(2026, 4, 25),
  ].map(at => (at - beginning) / dayMs),
)
const summerTime = { from: Date.UTC(2026, 2, 29, 1), until: Date.UTC(2026, 9, 25, 1) }

export function isWorkday(day: number): boolean {
  return day % 7 < 5 && !holidays.has(day)
}

/** On the first working day of a month. */
export function beginsMonth(day: number): boolean {
  const date = new Date(beginning + day * dayMs).getUTCDate()
  if (!isWorkday(day) || date > 7) return false
  for (let i = 1; i < date; i++) if (isWorkday(day - i)) return false
  return true
}

/** Every other Tuesday. */
export function isRelease(day: number): boolean {
  return day % 14 === 1
}

/** When clocks on walls show this hour (which may be a fraction, or beyond 24). */
export function wallTime(day: number, hour: number): number {
  const at = beginning + day * dayMs + hour * hourMs
  return at - (at >= summerTime.from && at < summerTime.until ? 2 : 1) * hourMs
}
