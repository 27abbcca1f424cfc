import { toBytes } from './bytes.ts'

/** Names with `*` (any text) and `?` (one byte), compared without the case of ASCII letters. */
export interface Glob {
  /** True where it matches nothing. */
  readonly empty: boolean
  matches(name: string): boolean
}

/** Names are byte strings. A pattern costs at most its length times the name's. */
export function compileGlobs(patterns: readonly string[]): Glob {
  const lower = patterns.map(pattern => fold(toBytes(pattern)))
  const exact = new Set(lower.filter(pattern => !/[*?]/.test(pattern)))
  const open = lower.filter(pattern => /[*?]/.test(pattern))
  const empty = patterns.length === 0
  return {
    empty,
    matches(name) {
      if (empty) return false
      const folded = fold(name)
      return exact.has(folded) || open.some(pattern => matchGlob(pattern, folded))
    },
  }
}

/** Goes back to the last star only, which is enough: an earlier star can take no more than the last one can. */
function matchGlob(pattern: string, name: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < name.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = index
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[index])) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

/** In a byte string only ASCII may change its case: other bytes are parts of characters. */
function fold(bytes: string): string {
  return bytes.replace(/[A-Z]+/g, letters => letters.toLowerCase())
}
