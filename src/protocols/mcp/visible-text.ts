/**
 * Texts of definitions as a reader sees them. What no reader sees, a model still reads: tag characters, zero-width
 * runs, overrides of direction, and the sequences that move a terminal's cursor are left out of what clients are shown.
 * Definitions are pinned as the server gave them.
 */
import type { Fields } from './rpc.ts'

/** Escape sequences of terminals (ECMA-48), whole. */
const escapes =
  /\u001B(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\u0007\u001B]{0,256}(?:\u0007|\u001B\\)|[@-Z\\^_])/g
const hidden =
  /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]|[\u200C\u200D]{2,}|[\u{E0000}-\u{E0FFF}]/gu

export function visibleText(text: string): string {
  return text.replaceAll(escapes, '').replaceAll(hidden, '')
}

/** Members that are words for people and models, and name nothing. */
const worded = new Set(['description', 'title'])
const deepest = 64

/** A definition with its words made visible, at any depth; the same one where nothing was hidden. */
export function visible(definition: Fields): Fields {
  return shownIn(definition, 0) as Fields
}

function shownIn(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > deepest) return value
  let changed = false
  const show = (name: string, each: unknown): unknown => {
    const shown = worded.has(name) && typeof each === 'string' ? visibleText(each) : shownIn(each, depth + 1)
    if (shown !== each) changed = true
    return shown
  }
  if (Array.isArray(value)) {
    const list = value.map(each => show('', each))
    return changed ? list : value
  }
  const entries = Object.entries(value).map(([name, each]) => [name, show(name, each)] as const)
  return changed ? Object.fromEntries(entries) : value
}

/** Whether a name is all to be seen: no controls, nothing invisible, nothing of private use. */
export function isVisibleName(name: string): boolean {
  return /^[^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]+$/u.test(name)
}
