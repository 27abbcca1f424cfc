import { isUtf8 } from 'node:buffer'

/**
 * Reads JSON that will be judged. Two parsers may disagree on repeated keys, so a document with any is not read at
 * all: conditions on it then fail, and fail closed.
 */

const maxDepth = 256

/** The value; undefined for what is no JSON (RFC 8259), repeats a key in an object, or is nested too deep. */
export function readJson(bytes: Buffer): { readonly value: unknown } | undefined {
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString('utf8')
  if (text.startsWith('\uFEFF')) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return keysIn(value, 1) === keysWritten(text) ? { value } : undefined
}

/** How many keys the objects in a value have; undefined where it is nested too deep. */
function keysIn(value: unknown, depth: number): number | undefined {
  if (typeof value !== 'object' || value === null) return 0
  if (depth > maxDepth) return undefined
  const children = Array.isArray(value) ? (value as unknown[]) : Object.values(value)
  let count = Array.isArray(value) ? 0 : children.length
  for (const child of children) {
    const below = keysIn(child, depth + 1)
    if (below === undefined) return undefined
    count += below
  }
  return count
}

/** How many keys are written in a text that is valid JSON. One that is repeated in its object is one too many. */
function keysWritten(text: string): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    at = stringEnd(text, at)
    if (isKey(text, at)) count++
  }
  return count
}

/** The index after the closing quote. */
function stringEnd(text: string, start: number): number {
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

function isKey(text: string, after: number): boolean {
  let at = after
  for (let unit = text.charCodeAt(at); isSpace(unit); unit = text.charCodeAt(at)) at++
  return text.charCodeAt(at) === 0x3a
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09
}
