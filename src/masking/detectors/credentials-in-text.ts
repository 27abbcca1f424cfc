/** Secrets that their surroundings give away: hexadecimal keys, AWS secret keys, URL passwords, auth schemes. */
import {
  type Alphabet,
  alphabet,
  at,
  classAt,
  alphanumeric,
  colon,
  digit,
  endOfRun,
  hexadecimal,
  lower,
  slash,
  space,
  underscore,
  upper,
} from './characters.ts'
import { type Detector, type Found, wordsBefore } from './detector.ts'

const apiWords = /datadog|dd[_-]|api[ _-]?key|^dd /
const appWords = /datadog|dd[_-]|app(?:lication)?[ _-]?key/
const otherHex = /commit|sha-?\d*\b|digest|md5|hash|checksum|revision|etag|trace|span/

/** Datadog's own: 32 (API key) or 40 (application key) hexadecimal digits near words that say so; client tokens. */
export const datadogKeys: Detector = {
  kinds: ['datadog-api-key', 'datadog-app-key', 'datadog-client-token'],
  all: digit,
  any: 0,
  shortest: 32,
  find(text, found, before) {
    for (const [start, end] of runs(text, hexadecimal, 32)) {
      const length = end - start
      // `b` is hexadecimal itself, so the run of a client token begins inside its prefix.
      if (length === 33 && start >= 2 && text.startsWith('pub', start - 2) && isAlone(text, start - 2, end))
        found(start - 2, end, 'datadog-client-token')
      if ((length !== 32 && length !== 40) || !isAlone(text, start, end)) continue
      const words = wordsBefore(text, start, before)
      const named = (length === 32 ? apiWords : appWords).test(words)
      if (named && !otherHex.test(words))
        found(start, end, length === 32 ? 'datadog-api-key' : 'datadog-app-key')
    }
  },
}

const base64 = alphabet(/[A-Za-z0-9/+]/)

/** AWS secret access keys: 40 characters of base64 after words that say so. */
export const awsSecretKey: Detector = {
  kinds: ['aws-secret-key'],
  all: digit | upper | lower,
  any: 0,
  shortest: 40,
  find(text, found, before) {
    for (const [start, end] of runs(text, base64, 40)) {
      if (end - start !== 40) continue
      const value = text.slice(start, end)
      if (!/[A-Z]/.test(value) || !/[a-z]/.test(value) || !/\d/.test(value)) continue
      if (/aws|secret|amazon/.test(wordsBefore(text, start, before))) found(start, end, 'aws-secret-key')
    }
  },
}

/**
 * The runs of at least `shortest` of these bytes. No byte is read twice, and most are not read at all: a run that begins
 * at `start` holds the byte `shortest - 1` further on, so one that is foreign there rules out all starts before it.
 */
export function runs(text: string, of: Alphabet, shortest: number): readonly (readonly [number, number])[] {
  const found: [number, number][] = []
  // Bytes from `start` up to `known` are of the alphabet.
  let start = 0
  let known = 0
  while (start + shortest <= text.length) {
    const last = start + shortest - 1
    let at = last
    while (at >= known && of[text.charCodeAt(at)] === 1) at--
    if (at >= known) {
      start = at + 1
      known = last + 1
      continue
    }
    const end = endOfRun(text, last + 1, { of })
    found.push([start, end])
    start = end + 1
    known = start
  }
  return found
}

function isAlone(text: string, start: number, end: number): boolean {
  return ((classAt(text, start - 1) | classAt(text, end)) & (alphanumeric | underscore)) === 0
}

const lenient =
  /^(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|clickhouse|nats|ldaps?|smtps?)$/i
const authority = alphabet(/[^\s"'`<>/?#\\]/)
const whole = alphabet(/[^\s"'`<>]/)
const schemeReach = 24
const urlReach = 1024

/** Passwords in URLs (RFC 3986 section 3.2.1): only the password is taken, so that the address stays readable. */
export const urlPassword: Detector = {
  kinds: ['url-password'],
  all: colon | slash | at,
  any: 0,
  shortest: 9,
  mayHold: text => text.includes('://'),
  find(text, found) {
    for (let index = text.indexOf('://'); index >= 0; index = text.indexOf('://', index + 3))
      takePassword(text, index, found)
  },
}

function takePassword(text: string, index: number, found: Found): void {
  const scheme =
    /[A-Za-z][A-Za-z0-9+.-]*$/.exec(text.slice(Math.max(0, index - schemeReach), index))?.[0] ?? ''
  const start = index + 3
  // Passwords of databases are often written without the escapes that `/`, `?` and `#` need.
  const end = endOfRun(text, start, { of: lenient.test(scheme) ? whole : authority, limit: start + urlReach })
  const last = text.slice(start, end).lastIndexOf('@')
  if (last < 0) return
  const user = text.slice(start, start + last).indexOf(':')
  if (user >= 0 && user + 1 < last) found(start + user + 1, start + last, 'url-password')
}

const scheme = /bearer |basic /gi
const anyScheme = new RegExp(scheme.source, 'i')
const token = alphabet(/[A-Za-z0-9._~+/=-]/)

/** `Bearer` and `Basic` credentials (RFC 6750, RFC 7617) wherever they stand. */
export const authorization: Detector = {
  kinds: ['authorization'],
  all: space,
  any: 0,
  shortest: 14,
  mayHold: text => anyScheme.test(text),
  find(text, found) {
    scheme.lastIndex = 0
    for (let match = scheme.exec(text); match !== null; match = scheme.exec(text)) {
      const start = match.index + match[0].length
      const end = endOfRun(text, start, { of: token })
      const value = text.slice(start, end)
      if (match[0].length === 7 ? isBearer(value) : isBasic(value)) found(start, end, 'authorization')
      scheme.lastIndex = Math.max(start, end)
    }
  },
}

function isBearer(value: string): boolean {
  return value.length >= 20 || (value.length >= 8 && /\d/.test(value))
}

function isBasic(value: string): boolean {
  return (
    value.length >= 4 && Buffer.from(value, 'base64').includes(':') && /^[A-Za-z0-9+/_-]+={0,2}$/.test(value)
  )
}
