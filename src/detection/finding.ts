import type { EventKind } from '../audit/events.ts'
import type { DetectorName } from '../config/detection.ts'

/** What was noticed, in words and in the numbers that they are made of. */
export interface Finding {
  readonly detector: DetectorName
  /** A sentence that begins with what was seen and ends with what would have been usual. */
  readonly words: string
  readonly unit: 'actions' | 'bytes' | 'rows' | 'denials' | 'seconds' | 'uses' | 'operations'
  readonly observed: number
  /** What was learned; absent where a ceiling was passed, or nothing is usual. */
  readonly usual?: number
  /** What `observed` passed. */
  readonly limit: number
  /** Length of the stretch that was counted in, seconds. */
  readonly window?: number
}

export const findingKinds: Readonly<Record<DetectorName, EventKind>> = {
  surge: 'detection.surge_found',
  volume: 'detection.volume_found',
  first_use: 'detection.first_use_found',
  sweep: 'detection.sweep_found',
  off_hours: 'detection.off_hours_found',
  denial_streak: 'detection.denial_streak_found',
  silence: 'detection.silence_found',
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `12.5 MB` */
export function bytesWords(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= 1000 && unit < byteUnits.length - 1) [value, unit] = [value / 1000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(1)} ${byteUnits[unit]}`
}

/** `45 s`, `31 min`, `26 h`, `9 days` */
export function timeWords(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return ms < 3 * 86_400_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`
}
