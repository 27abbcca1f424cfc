/**
 * Reads JSON that will be judged. Two parsers may disagree on repeated keys, so a document with any is not read at
 * all: conditions on it then fail, and fail closed.
 */

const maxDepth = 256

/** The value; undefined for what is no JSON (RFC 8259), repeats a key in an object, or is nested too deep. */
export function readJson(bytes: Buffer): { readonly value: unknown } | undefined {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
  if (text.startsWith('\uFEFF')) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return hasUniqueKeys(text) ? { value } : undefined
}

/** Walks valid JSON once. Keys are compared decoded, so that escapes do not hide a repeat. */
function hasUniqueKeys(text: string): boolean {
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
        if (open.push(new Set()) > maxDepth) return false
        break
      case 0x5b: // [
        if (open.push(undefined) > maxDepth) return false
        break
      case 0x7d: // }
      case 0x5d: // ]
        open.pop()
        break
      case 0x22: {
        const end = stringEnd(text, at)
        const keys = open.at(-1)
        if (keys !== undefined && isKey(text, end)) {
          const key = JSON.parse(text.slice(at, end)) as string
          if (keys.has(key)) return false
          keys.add(key)
        }
        at = end - 1
        break
      }
      default:
    }
  }
  return true
}

/** The index after the closing quote. */
function stringEnd(text: string, start: number): number {
  let at = start + 1
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1
  return at + 1
}

function isKey(text: string, after: number): boolean {
  let at = after
  while (/[ \t\r\n]/.test(text[at] ?? '')) at++
  return text[at] === ':'
}
