import { alphabet, dash, endOfRun, upper } from './characters.ts'
import type { Detector } from './detector.ts'

const opening = '-----BEGIN '
const closing = '-----END '
const labelReach = 48
/** The body with its headers (RFC 7468, RFC 1421), line breaks also as `\n` in two characters. */
const body = alphabet(/[A-Za-z0-9+/=\s,:.\\()-]/)

/**
 * Private keys in PEM, whole or cut off: what follows the first line is taken up to the last line, or as far as it
 * could be part of a key.
 */
export const privateKey: Detector = {
  kinds: ['private-key'],
  all: dash | upper,
  any: 0,
  shortest: 27,
  mayHold: text => text.includes(opening),
  find(text, found) {
    for (let start = text.indexOf(opening); start >= 0; ) {
      const from = endOfOpening(text, start)
      const end = from < 0 ? start + opening.length : endOfKey(text, from)
      if (from >= 0) found(start, end, 'private-key')
      start = text.indexOf(opening, end)
    }
  },
}

function endOfOpening(text: string, start: number): number {
  const label = start + opening.length
  const end = text.slice(label, label + labelReach).indexOf('-----')
  if (end < 0 || !text.slice(label, label + end).includes('PRIVATE KEY')) return -1
  return label + end + 5
}

function endOfKey(text: string, from: number): number {
  const end = endOfRun(text, from, { of: body })
  const last = text.slice(from, end).indexOf(closing)
  if (last < 0) return end
  const label = from + last + closing.length
  const dashes = text.slice(label, label + labelReach).indexOf('-----')
  return dashes < 0 ? end : label + dashes + 5
}
