import { freshBytes } from './random.ts'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A fresh id: the prefix, `_`, 10 characters of milliseconds and 16 of randomness (80 bits), in Crockford's
 * base32, so that ids sort by the time they were made (the ULID layout).
 */
export function newId(prefix: string, now = Date.now()): string {
  const bytes = freshBytes(16)
  let random = ''
  for (let i = 0; i < 16; i++) random += alphabet[bytes[i]! & 31]
  return timePrefix(prefix, now) + random
}

/** What every id made at this millisecond begins with: it sorts after all earlier ids and before all later ones. */
export function timePrefix(prefix: string, at: number): string {
  let time = ''
  for (let rest = at, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = alphabet[rest % 32] + time
  return `${prefix}_${time}`
}
