/** Hours of a week: 0 is Monday from 00:00 to 01:00, 167 the last of Sunday. */
export const hoursOfWeek = 168
const hourMs = 3_600_000
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
const names = ['Mondays', 'Tuesdays', 'Wednesdays', 'Thursdays', 'Fridays', 'Saturdays', 'Sundays'] as const

/** Tells the hour of the week in a time zone; cheap while the hour is the same. */
export class WeekClock {
  readonly #format: Intl.DateTimeFormat
  #hour = Number.NaN
  #place = 0

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      hourCycle: 'h23',
    })
  }

  at(now: number): number {
    const hour = Math.floor(now / hourMs)
    if (hour !== this.#hour) {
      this.#hour = hour
      const parts = this.#format.formatToParts(hour * hourMs)
      const part = (type: string): string => parts.find(each => each.type === type)?.value ?? ''
      const day = days.indexOf(part('weekday').toLowerCase() as (typeof days)[number])
      this.#place = day * 24 + Number(part('hour'))
    }
    return this.#place
  }
}

/** `Tuesdays from 14:00` */
export function hourWords(place: number): string {
  return `${names[Math.floor(place / 24)]} from ${String(place % 24).padStart(2, '0')}:00`
}

/** The hours that `mon-fri 07:00-19:00` names; a range that ends before it begins goes on the next morning or Monday. */
export function hoursIn(text: string): ReadonlySet<number> {
  const [range = '', times = ''] = text.split(' ')
  const [first, last = first] = range.split('-')
  const [from = 0, until = 0] = times.split('-').map(each => Number(each.slice(0, 2)))
  const start = days.indexOf(first as (typeof days)[number])
  const count = ((days.indexOf(last as (typeof days)[number]) - start + 7) % 7) + 1
  const length = until > from ? until - from : until - from + 24
  const found = new Set<number>()
  for (let day = 0; day < count; day++) {
    for (let i = 0; i < length; i++) found.add(((start + day) * 24 + from + i) % hoursOfWeek)
  }
  return found
}
