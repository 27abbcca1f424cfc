import { z } from 'zod'

const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits: Record<string, number> = {
  B: 1,
  kB: 1000,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** A length of time: `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds. Parses to whole milliseconds. */
export function duration() {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    if (typeof value === 'number' && value >= 0) return Math.round(value * 1000)
    const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(String(value))
    if (match === null) {
      context.addIssue({
        code: 'custom',
        message: 'not a duration: write 250ms, 30s, 5m, 1h, 7d or a number of seconds',
      })
      return z.NEVER
    }
    return Number(match[1]) * durationUnits[match[2]!]!
  })
}

/** A size: `64KiB`, `1MiB`, `5MB`, or a number of bytes. Parses to bytes. */
export function byteSize() {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    const match = /^(\d{1,12})(B|kB|MB|GB|KiB|MiB|GiB)$/.exec(String(value))
    if (match === null) {
      context.addIssue({ code: 'custom', message: 'not a size: write 64KiB, 1MiB, 5MB or a number of bytes' })
      return z.NEVER
    }
    return Number(match[1]) * sizeUnits[match[2]!]!
  })
}
