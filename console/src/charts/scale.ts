/** A round number at or above `value`, and the marks up to it. */
export function niceScale(
  value: number,
  marks = 3,
): { readonly top: number; readonly ticks: readonly number[] } {
  if (value <= marks) return { top: marks, ticks: Array.from({ length: marks + 1 }, (_, at) => at) }
  const rough = value / marks
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find(each => each * power >= rough) ?? 10) * power
  const whole = Math.max(1, Math.ceil(step))
  const count = Math.ceil(value / whole)
  return { top: whole * count, ticks: Array.from({ length: count + 1 }, (_, at) => at * whole) }
}

const day = 86_400_000
const dayFormat = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})
const secondFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

/** When a bucket begins, as exactly as its width asks. */
export function bucketText(at: number, width: number, span: number): string {
  const date = new Date(at)
  if (width >= day) return dayFormat.format(date)
  const time = width < 60_000 ? secondFormat.format(date) : clockFormat.format(date)
  return span > day ? `${dayFormat.format(date)} ${time}` : time
}
