import { isUtf8 } from 'node:buffer'
import { parseUnambiguous } from '../../unambiguous-json.ts'

/** Levels of nesting. */
export const maxDepth = 256

/**
 * Reads JSON that will be judged: the value, and the text that it was read from. Undefined for what is no JSON in UTF-8
 * (RFC 8259) without a byte order mark, repeats a key in an object, or is nested deeper than 256: conditions on it then
 * fail, and fail closed.
 */
export function readJson(bytes: Buffer): { readonly value: unknown; readonly text: string } | undefined {
  if (!isUtf8(bytes)) return undefined
  const text = bytes.toString('utf8')
  if (text.startsWith('\uFEFF')) return undefined
  const read = parseUnambiguous(text, { maxDepth })
  return read === undefined ? undefined : { value: read.value, text }
}
