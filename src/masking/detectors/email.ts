import { alphabet, dot, endOfRun, percent, at } from './characters.ts'
import type { Detector } from './detector.ts'

const local = alphabet(/[A-Za-z0-9._%+'\x80-\xff-]/)
const domain = alphabet(/[A-Za-z0-9.\x80-\xff-]/)
const sign = /@|%40/g
const localReach = 64
const domainReach = 253
/** `logo@2x.png` is no address. */
const file = /\.(?:png|jpe?g|gif|svg|webp|css|js|ts|map)$/i

/** E-mail addresses with a dot in the domain (RFC 5321 without quoted names), also with `%40`. */
export const email: Detector = {
  kinds: ['email'],
  all: dot,
  any: at | percent,
  shortest: 6,
  find(text, found) {
    sign.lastIndex = 0
    for (let match = sign.exec(text); match !== null; match = sign.exec(text)) {
      let start = match.index
      const floor = Math.max(0, start - localReach)
      while (start > floor && local[text.charCodeAt(start - 1)] === 1) start--
      while (start < match.index && /[.'%-]/.test(text[start]!)) start++
      if (start === match.index) continue
      if (isPassword(text, start)) continue
      const from = match.index + match[0].length
      const end = endOfDomain(text, from)
      if (end > from && !file.test(text.slice(from, end))) found(start, end, 'email')
    }
  },
}

/** The end of a host name whose last label is no number, or `from` where there is none. */
function endOfDomain(text: string, from: number): number {
  let end = endOfRun(text, from, { of: domain, limit: from + domainReach })
  while (end > from && (text[end - 1] === '.' || text[end - 1] === '-')) end--
  // In a slice: a search back through the whole text would be quadratic.
  const last = from + text.slice(from, end).lastIndexOf('.')
  if (last <= from || text[from] === '.' || text[from] === '-') return from
  return /^(?:[A-Za-z\x80-\xff]{2,}|xn--[A-Za-z0-9-]+)$/.test(text.slice(last + 1, end)) ? end : from
}

/** In `scheme://user:password@host` what stands before the sign is no mailbox. */
function isPassword(text: string, start: number): boolean {
  return (
    text[start - 1] === ':' && /:\/\/[^\s/:@]*:$/.test(text.slice(Math.max(0, start - localReach), start))
  )
}
