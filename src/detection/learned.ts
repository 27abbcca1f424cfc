/**
 * What is usual for one identity, learned from what it did. Every number here is something that was seen, faded with
 * time: the busiest minute, the largest hour, the longest silence. Bounded in size; a day's figures count from the next
 * day on, so that what is happening now is never held to be usual.
 */
import type { Risk } from '../model/action.ts'
import type { SubjectFacts } from '../model/subject.ts'
import { hoursOfWeek } from './hour-of-week.ts'
import { SlidingCount } from './sliding-count.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** What a day, and for hours of the week a week, leaves of a figure that is not seen again: half after three weeks. */
const dailyFade = 0.97
const weeklyFade = 0.8
/** Of a longer absence no more is forgotten, so that a clock set years ahead for a moment does not empty it. */
const mostDaysFaded = 56
const mostConnections = 256
export const mostOperations = 1024
/** Of a day's operations that were never used, so many are told apart, and so many kept over a restart. */
const mostNovel = 1024
const keptNovel = 64

/** The largest of each, of one day or faded over many. */
export interface Peaks {
  /** Actions in a minute. */
  minute: number
  /** Actions, bytes and rows in one hour of the clock. */
  hour: number
  bytes: number
  rows: number
  /** Longest time without an action, milliseconds. */
  gap: number
  /** Refusals in the time of a streak. */
  denials: number
  /** Operations in a day that it had never used with success. */
  novel: number
}

/** As it is kept. */
export interface LearnedState {
  readonly subject: SubjectFacts
  readonly first: number
  readonly last: number
  readonly days: number
  readonly day: number
  readonly hour: number
  readonly place: number
  readonly count: Pick<Peaks, 'hour' | 'bytes' | 'rows'>
  readonly today: Peaks
  readonly peaks: Peaks
  /** Busiest actions an hour by hour of the week. */
  readonly week: readonly number[]
  readonly connections: readonly (readonly [name: string, first: number])[]
  readonly operations: readonly number[]
  readonly strayed?: number
  readonly novel?: readonly number[]
  readonly latest?: Readonly<Partial<Record<Risk, number>>>
}

function noPeaks(): Peaks {
  return { minute: 0, hour: 0, bytes: 0, rows: 0, gap: 0, denials: 0, novel: 0 }
}

export class Learned {
  subject: SubjectFacts
  first: number
  last: number
  /** Days on which it acted, this one included. */
  days = 1
  #day: number
  #hour: number
  #place: number
  /** Of the hour that it is. */
  count = { hour: 0, bytes: 0, rows: 0 }
  #today = noPeaks()
  peaks = noPeaks()
  readonly week: Float32Array
  readonly minute = new SlidingCount(60_000, 12)
  readonly denials: SlidingCount
  readonly connections: Map<string, number>
  /** Hashes of connection and operation, least recently used first. */
  readonly operations: Set<number>
  /** Of today: asked for, and never used with success before. */
  readonly novel = new Set<number>()
  /** When it last did something new, by risk. */
  readonly latest: Partial<Record<Risk, number>> = {}
  /** When it last acted at an hour that was not usual. */
  strayed = 0
  /** Changed since it was kept. */
  dirty = true

  constructor(
    subject: SubjectFacts,
    at: { readonly now: number; readonly place: number; readonly streakMs: number },
  ) {
    this.subject = subject
    this.first = this.last = at.now
    this.#day = Math.floor(at.now / dayMs)
    this.#hour = Math.floor(at.now / hourMs)
    this.#place = at.place
    this.week = new Float32Array(hoursOfWeek)
    this.denials = new SlidingCount(at.streakMs, 10)
    this.connections = new Map()
    this.operations = new Set()
  }

  static from(state: LearnedState, streakMs: number): Learned {
    const { subject, first, last, days, day, hour, place } = state
    const learned = new Learned(subject, { now: first, place, streakMs })
    learned.last = last
    learned.days = days
    learned.#day = day
    learned.#hour = hour
    learned.count = { ...state.count }
    learned.#today = { ...noPeaks(), ...state.today }
    learned.peaks = { ...noPeaks(), ...state.peaks }
    learned.week.set(state.week.slice(0, hoursOfWeek))
    for (const [name, at] of state.connections) learned.connections.set(name, at)
    for (const each of state.operations) learned.operations.add(each)
    for (const each of state.novel ?? []) learned.novel.add(each)
    Object.assign(learned.latest, state.latest)
    learned.strayed = state.strayed ?? 0
    learned.dirty = false
    return learned
  }

  state(): LearnedState {
    const { subject, first, last, days, count, peaks } = this
    return {
      subject,
      first,
      last,
      days,
      day: this.#day,
      hour: this.#hour,
      place: this.#place,
      count,
      today: this.#today,
      peaks,
      week: Array.from(this.week, each => Math.round(each * 100) / 100),
      connections: [...this.connections],
      operations: [...this.operations],
      novel: [...this.novel].slice(-keptNovel),
      latest: this.latest,
      strayed: this.strayed,
    }
  }

  /** Ends the hours and days that are over. `place` is the hour of the week that it is. True: a new hour began. */
  advance(now: number, place: number): boolean {
    const hour = Math.floor(now / hourMs)
    if (hour < this.#hour - 1) return this.#goBack(now, place)
    if (hour <= this.#hour) return false
    const passed = hour - this.#hour
    this.#seen('hour', this.count.hour)
    for (let i = 0; i < Math.min(passed, mostDaysFaded * 24); i++) {
      const at = (this.#place + i) % hoursOfWeek
      this.week[at] = Math.max(i === 0 ? this.count.hour : 0, this.week[at]! * weeklyFade)
    }
    this.count = { hour: 0, bytes: 0, rows: 0 }
    this.#hour = hour
    this.#place = place
    const day = Math.floor(now / dayMs)
    if (day > this.#day) this.#endDay(day)
    this.dirty = true
    return true
  }

  /** The clock was ahead and was set right: what began in a time to come begins now. */
  #goBack(now: number, place: number): true {
    this.#hour = Math.floor(now / hourMs)
    this.#day = Math.floor(now / dayMs)
    this.#place = place
    this.count = { hour: 0, bytes: 0, rows: 0 }
    this.first = Math.min(this.first, now)
    this.last = Math.min(this.last, now)
    this.strayed = Math.min(this.strayed, now)
    for (const [name, since] of this.connections) if (since > now) this.connections.set(name, now)
    for (const risk of Object.keys(this.latest) as Risk[])
      this.latest[risk] = Math.min(this.latest[risk]!, now)
    this.dirty = true
    return true
  }

  #endDay(day: number): void {
    const fade = dailyFade ** Math.min(day - this.#day, mostDaysFaded)
    for (const key of Object.keys(this.peaks) as (keyof Peaks)[])
      this.peaks[key] = Math.max(this.#today[key], this.peaks[key] * fade)
    this.#today = noPeaks()
    this.novel.clear()
    this.#day = day
  }

  /** One action. `most` is what of each figure is learned at most in a day, so that no surge becomes usual at once. */
  arrive(now: number, most: Pick<Peaks, 'minute' | 'gap'>): void {
    const today = Math.floor(now / dayMs)
    if (Math.floor(this.last / dayMs) < today) this.days++
    this.#seen('gap', Math.min(now - this.last, most.gap))
    this.last = Math.max(this.last, now)
    this.count.hour++
    this.#seen('minute', Math.min(this.minute.add(now), most.minute))
  }

  /** Asks for something that it never used with success. `most`: as above. False: it did so today already. */
  attempt(hash: number, most: Pick<Peaks, 'novel'>): boolean {
    if (this.novel.size >= mostNovel || this.novel.has(hash)) return false
    this.novel.add(hash)
    this.#seen('novel', Math.min(this.novel.size, most.novel))
    return true
  }

  deny(now: number): void {
    this.denials.add(now)
  }

  /** What passed of an action. */
  pass(bytes: number, rows: number, most: Pick<Peaks, 'bytes' | 'rows'>): void {
    this.count.bytes += bytes
    this.count.rows += rows
    this.#seen('bytes', Math.min(this.count.bytes, most.bytes))
    this.#seen('rows', Math.min(this.count.rows, most.rows))
  }

  /** It acts at an hour that is not usual. */
  stray(now: number): void {
    this.strayed = now
    this.dirty = true
  }

  /** A streak of refusals has ended. */
  endStreak(length: number, most: Pick<Peaks, 'denials'>): void {
    this.#seen('denials', Math.min(length, most.denials))
  }

  /** The longest silence that is usual, of today too. */
  get longestGap(): number {
    return Math.max(this.peaks.gap, this.#today.gap)
  }

  learnConnection(name: string, now: number): void {
    if (this.connections.has(name)) return
    // Of very many the one that was learned first makes room.
    if (this.connections.size >= mostConnections)
      this.connections.delete(this.connections.keys().next().value!)
    this.connections.set(name, now)
    this.dirty = true
  }

  learnOperation(hash: number, of: { readonly risk: Risk; readonly now: number }): void {
    const known = this.operations.delete(hash)
    if (!known && this.operations.size >= mostOperations)
      this.operations.delete(this.operations.values().next().value!)
    this.operations.add(hash)
    if (known) return
    this.latest[of.risk] = of.now
    this.dirty = true
  }

  #seen(key: keyof Peaks, value: number): void {
    if (value > this.#today[key]) this.#today[key] = value
  }
}
