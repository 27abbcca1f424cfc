/** A pattern in which `*` stands for any text, the empty one included. Nothing else is special. */
export interface Glob {
  readonly source: string
  /** No `*`: it names one thing. */
  readonly literal: boolean
  /** What comes before the first `*`. */
  readonly prefix: string
  matches(text: string): boolean
}

/**
 * Compiles a pattern. Matching never backtracks: each piece between stars is taken at its first place, which is
 * right whenever any place is.
 */
export function compileGlob(source: string, options: { readonly ignoreCase?: boolean } = {}): Glob {
  const fold = options.ignoreCase === true ? foldCase : (text: string) => text
  const [first, ...rest] = fold(source).split('*') as [string, ...string[]]
  const last = rest.pop()
  const plain = { source, prefix: source.split('*')[0]!, literal: last === undefined }
  if (last === undefined) return { ...plain, matches: text => fold(text) === first }
  const middle = rest.filter(piece => piece !== '')
  return {
    ...plain,
    matches(text) {
      const subject = fold(text)
      if (subject.length < first.length + last.length) return false
      if (!subject.startsWith(first) || !subject.endsWith(last)) return false
      const end = subject.length - last.length
      let at = first.length
      for (const piece of middle) {
        const found = subject.indexOf(piece, at)
        if (found < 0 || found + piece.length > end) return false
        at = found + piece.length
      }
      return true
    },
  }
}

/** Both ways, since some letters only meet when raised (`ſ` and `s`) and others when lowered. */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase()
}

/** Whether any of the patterns matches the text; fast where many are literal. */
export function compileGlobs(
  sources: readonly string[],
  options: { readonly ignoreCase?: boolean } = {},
): (text: string) => boolean {
  const globs = sources.map(source => compileGlob(source, options))
  if (globs.some(glob => glob.source === '*')) return () => true
  const fold = options.ignoreCase === true ? foldCase : (text: string) => text
  const literals = new Set(globs.filter(glob => glob.literal).map(glob => fold(glob.source)))
  const open = globs.filter(glob => !glob.literal)
  return text => literals.has(fold(text)) || open.some(glob => glob.matches(text))
}
