/** Secrets that are named where they stand: `password=...`, `"secret": "..."`, `<token>...</token>`, headers. */
import { alphabet, colon, endOfRun, equals, greater } from './characters.ts'
import type { Detector } from './detector.ts'
import { isPlaceholder, isSecretName, kindOfSecret } from './secret-names.ts'

/** Shared, and so set anew by each search. */
const separator = /[=:>]/g
const nameReach = 64
const gapReach = 8
const quotedReach = 4096
const name = alphabet(/[A-Za-z0-9_.-]/)
const bare = alphabet(/[^\s,;&|"'`<>()[\]{}\\]/)
/** Masks and templates hold the bytes that end other values. */
const standIn = /^(?:\[(?:masked|hash):[a-z0-9:-]{1,80}\]|\$\{[^}\n]{0,80}\}|\{\{[^}\n]{0,80}\}\})/i
const schemes = /^(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)$/i

export const keyValues: Detector = {
  kinds: [
    'secret',
    'datadog-api-key',
    'datadog-app-key',
    'aws-secret-key',
    'azure-storage-key',
    'authorization',
  ],
  all: 0,
  any: equals | colon | greater,
  shortest: 5,
  find(text, found) {
    findNamedValues(text, isSecretName, (start, end, key) => {
      const value = text.slice(start, end)
      if (!isPlaceholder(value)) found(start, end, kindOfSecret(key, value))
    })
  },
}

/** Calls back with each value that stands beside a name that is asked for. */
export function findNamedValues(
  text: string,
  isAsked: (name: string) => boolean,
  take: (start: number, end: number, name: string) => void,
): void {
  separator.lastIndex = 0
  let resume = 0
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    resume = match.index + 1
    const key = nameBefore(text, match.index)
    if (key !== '' && isAsked(key)) {
      const [start, end] = valueAfter(text, resume)
      if (end > start) take(start, end, key)
      resume = Math.max(resume, end)
    }
    separator.lastIndex = resume
  }
}

/** The name that ends before `index`: bare, quoted, with an escaped quote, or in brackets (`user[password]`). */
function nameBefore(text: string, index: number): string {
  let end = index
  const floor = Math.max(0, index - gapReach)
  while (end > floor && isGap(text.charCodeAt(end - 1))) end--
  let start = end
  const reach = Math.max(0, end - nameReach - 1)
  while (start > reach && name[text.charCodeAt(start - 1)] === 1) start--
  return text.slice(start, end)
}

/** Space, tab, quotes, backslash and the closing bracket. */
function isGap(code: number): boolean {
  return code === 32 || code === 9 || code === 34 || code === 39 || code === 92 || code === 93 || code === 96
}

/** The range of the value that follows a separator, quotes left out. */
function valueAfter(text: string, after: number): readonly [number, number] {
  let start = after
  const limit = Math.min(text.length, start + gapReach)
  while (start < limit && /[ \t\\=>:]/.test(text[start]!)) start++
  const mark = text[start]
  if (mark === '"' || mark === "'" || mark === '`') {
    start++
    const end = endOfQuoted(text, start, mark)
    if (end >= 0) return [start, end]
  }
  return [start, endOfBare(text, start)]
}

/** The closing quote on the same line, -1 where there is none near. An escaped quote closes what one opened. */
function endOfQuoted(text: string, start: number, mark: string): number {
  const escaped = text[start - 2] === '\\'
  const limit = Math.min(text.length, start + quotedReach)
  for (let index = start; index < limit; index++) {
    const character = text[index]
    if (character === '\n') return -1
    if (character === '\\') {
      if (escaped && text[index + 1] === mark) return index
      index++
    } else if (character === mark) return index
  }
  return -1
}

/** A run without separators; after the name of a scheme (`Authorization: Bearer ...`) the next run belongs to it. */
function endOfBare(text: string, start: number): number {
  const bracketed = standIn.exec(text.slice(start, start + 90))
  if (bracketed !== null) return start + bracketed[0].length
  const end = endOfRun(text, start, { of: bare })
  if (end - start > 16 || text[end] !== ' ' || !schemes.test(text.slice(start, end))) return end
  return endOfRun(text, end + 1, { of: bare })
}
