import { useSyncExternalStore } from 'react'

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const withYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** In the reader's zone, as short as it can be without doubt. */
export function timeText(time: string, now = Date.now()): string {
  const at = new Date(time)
  const today = new Date(now)
  if (at.toDateString() === today.toDateString()) return clock.format(at)
  return at.getFullYear() === today.getFullYear() ? dayAndClock.format(at) : withYear.format(at)
}

/** The reader's own time; UTC, to the last digit, on hover. */
export function Time({ at, long = false }: { readonly at: string; readonly long?: boolean }) {
  return (
    <time dateTime={at} title={`${at.replace('T', ' ').replace('Z', '')} UTC`} className="number">
      {long ? withYear.format(new Date(at)) : timeText(at)}
    </time>
  )
}

const steps: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

export function relativeText(time: string, now: number): string {
  const seconds = Math.round((Date.parse(time) - now) / 1000)
  const [unit, size] = steps.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1]
  return relative.format(Math.trunc(seconds / size), unit)
}

let current = Date.now()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  if (timer === undefined) {
    current = Date.now()
    timer = setInterval(() => {
      current = Date.now()
      for (const each of listeners) each()
    }, 1000)
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** The time, each second; one timer for all that show it. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => current)
}

/** How long ago, or how long still; goes on by itself. */
export function Ago({ at }: { readonly at: string }) {
  const now = useNow()
  return (
    <time dateTime={at} title={`${withYear.format(new Date(at))} · ${at} UTC`} className="number">
      {relativeText(at, now)}
    </time>
  )
}

/** Nanoseconds for reading: `850 µs`, `12 ms`, `3.4 s`. */
export function durationText(nanoseconds: number): string {
  const ms = nanoseconds / 1e6
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB']

export function bytesText(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
  const value = bytes / 1000 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

const grouped = new Intl.NumberFormat('en')
export function countText(count: number): string {
  return grouped.format(count)
}
