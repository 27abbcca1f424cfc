/** What is noticed, one function each: pure, over what was learned of an identity and the moment that it is. */
import type { DetectionConfig } from '../config/detection.ts'
import { bytesWords, type Finding, timeWords } from './finding.ts'
import { hoursOfWeek, hourWords } from './hour-of-week.ts'
import type { Risk } from '../model/action.ts'
import type { Learned, Peaks } from './learned.ts'
import { rareFrom } from './tail.ts'

const dayMs = 86_400_000
const hourSeconds = 3600
/** Before so many weeks nobody knows what is usual at an hour of the week. */
const weeksMs = 21 * dayMs
/** An hour of the week counts as one of use while this much of it is left: about six weeks. */
const faintly = 0.25
const leastDays = 3
/** Chance explains less than this in a minute, whatever is usual. */
const neverUnusual = 10
const leastDaysForSilence = 5

export interface Sight {
  readonly config: DetectionConfig
  readonly learned: Learned
  readonly now: number
  /** Hour of the week. */
  readonly place: number
}

/** Whether what is usual for it may be held against it. */
function isKnown({ config, learned, now }: Sight): boolean {
  return now - learned.first >= config.learn && learned.days > leastDays
}

/** How much of each figure is learned at most, so that no surge is usual the day after. */
export function mostLearned(sight: Sight): Peaks {
  const { config, learned } = sight
  const { peaks } = learned
  const known = isKnown(sight)
  return {
    minute: surgeLimit(sight),
    hour: Infinity,
    bytes: known ? volumeLimit(sight, 'bytes') : Infinity,
    rows: known ? volumeLimit(sight, 'rows') : Infinity,
    gap: known ? Math.max(config.silence.at_least, peaks.gap * config.silence.factor) : Infinity,
    // Twice the limit: what goes wrong every other week is usual the third time.
    denials: 2 * denialLimit(sight),
    novel: sweepLimit(sight),
  }
}

function surgeLimit(sight: Sight): number {
  const { surge } = sight.config
  if (!isKnown(sight)) return surge.ceiling
  return Math.min(surge.ceiling, rareFrom(surge.factor * Math.max(1, sight.learned.peaks.minute)))
}

export function findSurge(sight: Sight): Finding | undefined {
  const { config, learned, now } = sight
  const observed = learned.minute.at(now)
  const { ceiling } = config.surge
  const ofMinute = { detector: 'surge', unit: 'actions', observed, window: 60 } as const
  if (observed > ceiling)
    return {
      ...ofMinute,
      words: `${observed} actions within a minute; the ceiling is ${ceiling}`,
      limit: ceiling,
    }
  if (!isKnown(sight)) return undefined
  const limit = observed < neverUnusual ? observed : surgeLimit(sight)
  if (observed <= limit) return findBusyHour(sight)
  const usual = Math.round(learned.peaks.minute)
  const words = `${observed} actions within a minute; its busiest minute of late had ${usual}, and more than ${limit} are unusual`
  return { ...ofMinute, words, usual, limit }
}

/** More in this hour of the week than in any such hour of late, an hour before and after counted in. */
function findBusyHour({ config, learned, now, place }: Sight): Finding | undefined {
  const observed = learned.count.hour
  if (now - learned.first < Math.max(config.learn, weeksMs) || observed < 20) return undefined
  const usual = busiestNear(learned, place, 1)
  // An hour that is as good as empty is a matter of off-hours; it is not held to nothing at all.
  const limit = rareFrom(config.surge.factor * Math.max(usual, learned.peaks.hour / 2, 1))
  if (observed <= limit) return undefined
  const most = Math.round(usual)
  const words = `${observed} actions in this hour so far; the busiest of late on ${hourWords(place)} had ${most}, and more than ${limit} are unusual`
  return { detector: 'surge', unit: 'actions', observed, usual: most, limit, window: hourSeconds, words }
}

function volumeLimit({ config, learned }: Sight, unit: 'bytes' | 'rows'): number {
  const { volume } = config
  const least = unit === 'bytes' ? volume.least_bytes : volume.least_rows
  return Math.ceil(volume.factor * Math.max(learned.peaks[unit], least / volume.factor))
}

export function findVolume(sight: Sight): Finding | undefined {
  const { config, learned } = sight
  for (const unit of ['bytes', 'rows'] as const) {
    const observed = learned.count[unit]
    const say = unit === 'bytes' ? bytesWords : (count: number): string => `${count} rows`
    const common = { detector: 'volume', unit, observed, window: hourSeconds } as const
    const ceiling = config.volume[unit]
    if (observed > ceiling)
      return {
        ...common,
        limit: ceiling,
        words: `${say(observed)} in this hour so far; the ceiling is ${say(ceiling)}`,
      }
    if (!isKnown(sight)) continue
    const limit = volumeLimit(sight, unit)
    if (observed <= limit) continue
    const usual = Math.round(learned.peaks[unit])
    const words = `${say(observed)} in this hour so far; its largest hour of late had ${say(usual)}, and more than ${say(limit)} is unusual`
    return { ...common, usual, limit, words }
  }
  return undefined
}

/** `allowed`: the hours of the configuration; empty: as learned. To be asked at the first action of an hour. */
export function findOffHours(sight: Sight, allowed: ReadonlySet<number>): Finding | undefined {
  const { learned, place } = sight
  const common = { detector: 'off_hours', unit: 'uses', observed: 1, limit: 0 } as const
  if (allowed.size > 0) {
    if (allowed.has(place)) return undefined
    return { ...common, words: `Active on ${hourWords(place)}, outside the configured hours` }
  }
  if (sight.now - learned.first < Math.max(sight.config.learn, weeksMs) || learned.days < 10) return undefined
  if (isUsualHour(learned, place)) return undefined
  const settled = sight.now - learned.strayed >= sight.config.off_hours.settled
  learned.stray(sight.now)
  if (!settled) return undefined
  return { ...common, words: `Active on ${hourWords(place)}; it was never active at such hours of late` }
}

/** Whether it was active near that hour on such a day: one of work, or one of the weekend. */
function isUsualHour(learned: Learned, place: number): boolean {
  return busiestNear(learned, place, 2) > faintly
}

/** Of late, on any such day (one of work, or one of the weekend), at most so many hours before or after. */
function busiestNear({ week }: Learned, place: number, hours: number): number {
  let most = 0
  const [first, last] = place >= 5 * 24 ? [5, 6] : [0, 4]
  for (let day = first; day <= last; day++) {
    const at = day * 24 + (place % 24) + hoursOfWeek
    for (let i = at - hours; i <= at + hours; i++) most = Math.max(most, week[i % hoursOfWeek]!)
  }
  return most
}

function denialLimit(sight: Sight): number {
  const least = sight.config.denial_streak.count - 1
  return isKnown(sight) ? Math.max(least, Math.round(sight.learned.peaks.denials) * 2) : least
}

/** To be asked at a success: were there refusals right before? */
export function findDenialStreak(sight: Sight): Finding | undefined {
  const { config, learned, now } = sight
  const { count, within } = config.denial_streak
  const observed = learned.denials.at(now)
  if (observed < count) return undefined
  const usual = Math.round(learned.peaks.denials)
  const limit = denialLimit(sight)
  if (observed <= limit) return undefined
  const words = `${observed} refusals within ${timeWords(within)}, then a success; ${usual === 0 ? 'none are usual' : `its most of late were ${usual}`}`
  return { detector: 'denial_streak', unit: 'denials', observed, usual, limit, window: within / 1000, words }
}

export function findSilence(sight: Sight): Finding | undefined {
  const { config, learned, now } = sight
  const { factor, at_least: least, regular } = config.silence
  if (!isKnown(sight) || learned.days < leastDaysForSilence) return undefined
  const usual = learned.longestGap
  if (usual > regular) return undefined
  const limit = Math.max(least, factor * usual)
  const observed = now - learned.last
  if (observed <= limit) return undefined
  const words = `Silent for ${timeWords(observed)}; its longest silence of late was ${timeWords(usual)}`
  const seconds = (ms: number): number => Math.round(ms / 1000)
  return {
    detector: 'silence',
    unit: 'seconds',
    observed: seconds(observed),
    usual: seconds(usual),
    limit: seconds(limit),
    words,
  }
}

function sweepLimit(sight: Sight): number {
  const { ceiling, factor, least } = sight.config.sweep
  if (!isKnown(sight)) return ceiling
  return Math.min(ceiling, Math.max(least, rareFrom(factor * Math.max(1, sight.learned.peaks.novel))))
}

/** Whether operations on this connection may be held to be new: not while it is itself. That is a first use. */
export function countsAsNovel(sight: Sight, connection: string): boolean {
  const since = sight.learned.connections.get(connection)
  return !isKnown(sight) || (since !== undefined && sight.now - since >= sight.config.first_use.after)
}

export function findSweep(sight: Sight): Finding | undefined {
  const { config, learned } = sight
  const observed = learned.novel.size
  const limit = sweepLimit(sight)
  if (observed <= limit) return undefined
  const common = { detector: 'sweep', unit: 'operations', observed, limit, window: dayMs / 1000 } as const
  const what = `${observed} operations today that it had never used`
  if (!isKnown(sight) || limit === config.sweep.ceiling)
    return { ...common, words: `${what}; the ceiling is ${limit}` }
  const usual = Math.round(learned.peaks.novel)
  const words = `${what}; its most of late in a day were ${usual}, and more than ${limit} are unusual`
  return { ...common, usual, words }
}

export interface Used {
  readonly connection: string
  readonly operation: string
  readonly risk: Risk
  /** Of connection and operation. */
  readonly hash: number
}

/**
 * A connection, or an operation on a connection in use for long enough, that the identity never used with success.
 * `settled`: how long it must have done nothing new of that risk; who does new things every week is told of no more.
 */
export function findFirstUse(
  { config, learned, now }: Sight,
  used: Used,
  settled = config.first_use.settled,
): Finding | undefined {
  const { after, risks } = config.first_use
  const { connection, operation, risk } = used
  const common = { detector: 'first_use', unit: 'uses', observed: 1, usual: 0, limit: 0 } as const
  const since = learned.connections.get(connection)
  if (since === undefined) {
    if (now - learned.first < after) return undefined
    return { ...common, words: `First use of the connection ${connection}, with ${operation}` }
  }
  if (now - since < after || !risks.includes(risk) || learned.operations.has(used.hash)) return undefined
  const quiet = now - Math.max(learned.first, learned.latest[risk] ?? 0)
  if (quiet < settled) return undefined
  const tail =
    quiet < dayMs
      ? `it has used this connection for ${timeWords(now - since)}`
      : `it did nothing new of that risk for ${timeWords(quiet)}`
  return { ...common, words: `First use of ${operation} (${risk}) on ${connection}; ${tail}` }
}
