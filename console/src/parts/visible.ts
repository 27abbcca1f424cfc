/**
 * Shows what would otherwise hide or turn the text around: control and format characters, line ends, direction marks.
 * Much of this text is an agent's, and may be written for the eyes of the person who is to approve it.
 */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    each => `\\u{${each.codePointAt(0)!.toString(16).padStart(4, '0')}}`,
  )
}

/** The same for text of several lines: line ends and tabs stay. */
export function visibleLines(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, visible)
}
