/**
 * JSON that will be judged, read as every other parser reads it or not at all.
 *
 * Two parsers may disagree on a key that an object has twice (RFC 8259 section 4), so such a document is none. And V8
 * takes a key with an escape for another key that some earlier document had (nodejs/node#63785): after one that has the
 * key `\u006`, spelled with an escaped backslash, `"\u0061dmin"` is read as that and not as `admin`. A client could so
 * have a rule see something else than the upstream does. What V8 makes of keys with escapes is therefore never used.
 */

/** How a number or another leaf is read: as the reviver of `JSON.parse`. Not told the names of keys. */
export type ReadLeaf = (value: unknown, source: string | undefined) => unknown

/**
 * The value of a JSON text (RFC 8259). Undefined for what is none, repeats a key in an object, or is nested deeper than
 * `maxDepth`. Linear in the text.
 */
export function parseUnambiguous(
  text: string,
  of: { readonly maxDepth: number; readonly readLeaf?: ReadLeaf },
): { readonly value: unknown } | undefined {
  const { maxDepth, readLeaf } = of
  try {
    const value = parse(text, readLeaf)
    // Without a backslash there is no escape, and quotes alone bound a string.
    if (!text.includes('\\')) return unique(value, countPlain(text), maxDepth)
    const keys = keysIn(text)
    const escaped = keys.filter(({ start, end }) => text.slice(start, end).includes('\\'))
    if (escaped.length === 0) return unique(value, keys.length, maxDepth)
    if (countKeys(value, 1, maxDepth) === undefined) return undefined
    const renamed = rename(text, escaped)
    return unique(restore(parse(renamed.text, readLeaf), renamed.names), keys.length, maxDepth)
  } catch {
    return undefined
  }
}

function parse(text: string, readLeaf: ReadLeaf | undefined): unknown {
  if (readLeaf === undefined) return JSON.parse(text)
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    readLeaf(value, context?.source),
  )
}

/** A key that is written twice is one too many. */
function unique(value: unknown, written: number, maxDepth: number): { readonly value: unknown } | undefined {
  return countKeys(value, 1, maxDepth) === written ? { value } : undefined
}

/** How many keys the objects in a value have; undefined where it is nested too deep. */
function countKeys(value: unknown, depth: number, maxDepth: number): number | undefined {
  if (typeof value !== 'object' || value === null) return 0
  if (depth > maxDepth) return undefined
  const children = Array.isArray(value) ? (value as unknown[]) : Object.values(value)
  let count = Array.isArray(value) ? 0 : children.length
  for (const child of children) {
    const below = countKeys(child, depth + 1, maxDepth)
    if (below === undefined) return undefined
    count += below
  }
  return count
}

/** How many keys are written in a valid JSON text without a backslash. */
function countPlain(text: string): number {
  let count = 0
  for (let start = text.indexOf('"'); start >= 0; ) {
    const end = text.indexOf('"', start + 1) + 1
    if (isFollowedByColon(text, end)) count++
    start = text.indexOf('"', end)
  }
  return count
}

interface Range {
  readonly start: number
  readonly end: number
}

/** Where the keys of a valid JSON text are, quotes included. */
function keysIn(text: string): Range[] {
  const keys: Range[] = []
  for (let start = text.indexOf('"'); start >= 0; ) {
    const end = endOfString(text, start)
    if (isFollowedByColon(text, end)) keys.push({ start, end })
    start = text.indexOf('"', end)
  }
  return keys
}

/** The index after the closing quote. */
function endOfString(text: string, start: number): number {
  let at = text.indexOf('"', start + 1)
  while (isEscaped(text, at)) at = text.indexOf('"', at + 1)
  return at + 1
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === 0x5c) before--
  return (at - before) % 2 === 0
}

function isFollowedByColon(text: string, after: number): boolean {
  let at = after
  for (let unit = text.charCodeAt(at); isSpace(unit); unit = text.charCodeAt(at)) at++
  return text.charCodeAt(at) === 0x3a
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09
}

const letter = '\uE000'

/** The text with a plain word for each of these keys, and what those words stand for. */
function rename(
  text: string,
  keys: readonly Range[],
): { readonly text: string; readonly names: ReadonlyMap<string, string> } {
  const names = new Map<string, string>()
  // Longer than any run of the letter in the text, so that no key that stays begins with it.
  let longest = 0
  for (const [run] of text.matchAll(/\uE000+/g)) longest = Math.max(longest, run.length)
  const mark = letter.repeat(longest + 1)
  let out = ''
  let at = 0
  for (const { start, end } of keys) {
    const word = `${mark}${names.size}`
    names.set(word, JSON.parse(text.slice(start, end)) as string)
    out += `${text.slice(at, start)}"${word}"`
    at = end
  }
  return { text: out + text.slice(at), names }
}

function restore(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(each => restore(each, names))
  // As JSON.parse does it: `__proto__` becomes a property like any other.
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [names.get(key) ?? key, restore(each, names)]),
  )
}
