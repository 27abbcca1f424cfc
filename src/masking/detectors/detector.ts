/** Called with each value found: its range in the text and its kind. Ranges may overlap. */
export type Found = (start: number, end: number, kind: string) => void

/**
 * Finds values of some kinds in a byte string. Work is linear in the length of the text, whatever it holds: a
 * detector looks back and ahead from its trigger by a constant, or never reads the same run twice. Nothing found
 * crosses a line break, private keys apart.
 */
export interface Detector {
  /** Every kind this detector can report. */
  readonly kinds: readonly string[]
  /** Character classes of which the text must hold all. */
  readonly all: number
  /** Character classes of which the text must hold one; 0: no such need. */
  readonly any: number
  /** Shorter texts hold nothing for it. */
  readonly shortest: number
  /**
   * A quick look at a larger text, in linear time: false where no part of it, cut out anywhere, holds a value. Absent
   * where such a look would cost as much as the search.
   */
  readonly mayHold?: (text: string) => boolean
  /** `before` is what stands before the text: the JSON key of the string, or the end of what went out already. */
  find(text: string, found: Found, before: string): void
}

const contextReach = 64

/** The words that stand before `start` on its line, lower case, at most 64 bytes and the key. */
export function wordsBefore(text: string, start: number, before: string): string {
  const near = text.slice(Math.max(0, start - contextReach), start)
  const line = near.lastIndexOf('\n')
  if (line >= 0) return near.slice(line + 1).toLowerCase()
  return (start > contextReach ? near : `${before.slice(-contextReach)} ${near}`).toLowerCase()
}
