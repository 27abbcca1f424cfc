/**
 * What a text of SQL would do, by PostgreSQL's own parser (libpg_query). One Judgement per statement; what does not
 * parse has none. Pure: the same text gets the same answer, so answers are kept.
 */
import { loadModule, normalizeSync, parseSync } from './sql-parser.ts'
import { Recent } from './recent.ts'
import { sqlStates } from './refusal.ts'
import { judgeStatement, type Judgement, TooComplexError } from './judgement.ts'

export type { Judgement } from './judgement.ts'

/** Why a text is not run at all. */
export interface Unjudged {
  readonly problem: string
  /** SQLSTATE. */
  readonly code: string
  /** Where in the text, in characters from 1. */
  readonly position?: number
}

export type Judged = { readonly statements: readonly Judgement[] } | Unjudged

/** Most statements of one string; each is an action of its own. */
export const maxStatements = 1000

/** Texts beyond this are judged each time, so that the cache stays small. */
const longestKept = 16 * 1024
const kept = new Recent<Judged>(4096)

/** Must have resolved before `judge` is called. */
export function loadParser(): Promise<void> {
  return loadModule()
}

/** Judges a query string. `bytes` as they came: what is not valid UTF-8 has no judgement. Never throws. */
export function judge(bytes: Buffer): Judged {
  const text = bytes.toString('utf8')
  // The parser ends at a NUL, and bytes that are no characters would be read in two ways. Before what is kept, which
  // holds for a text that is these very bytes.
  if (text.includes('\0') || (text.includes('\ufffd') && !bytes.equals(Buffer.from(text))))
    return { problem: 'the statement is not valid UTF-8 text', code: '22021' }
  const before = kept.get(text)
  if (before !== undefined) return before
  const judged = /^\s*$/.test(text) ? { statements: [] } : parse(text, bytes)
  if (text.length <= longestKept) kept.set(text, judged)
  return judged
}

function parse(text: string, bytes: Buffer): Judged {
  try {
    const { stmts = [] } = parseSync(text) as {
      stmts?: readonly { stmt?: unknown; stmt_location?: number; stmt_len?: number }[]
    }
    if (stmts.length > maxStatements)
      return { problem: `more than ${maxStatements} statements in one string`, code: sqlStates.tooLong }
    return {
      statements: stmts.map(({ stmt, stmt_location: start = 0, stmt_len: length = 0 }) => {
        const own =
          stmts.length === 1
            ? text
            : bytes.toString('utf8', start, length === 0 ? bytes.length : start + length)
        return { ...judgeStatement(stmt), text: own.trim(), normalized: once(() => normalized(own)) }
      }),
    }
  } catch (error) {
    if (error instanceof TooComplexError || error instanceof RangeError)
      return { problem: 'the statement is nested too deep', code: sqlStates.tooLong }
    // The words of the parser hold what stands at the place of the mistake: it is the client's own text.
    const words = error instanceof Error ? error.message : 'it can not be parsed'
    const at = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition ?? -1
    return { problem: words, code: sqlStates.syntax, ...(at < 0 ? {} : { position: at + 1 }) }
  }
}

/** The statement with `$n` in the place of its constants; empty where that can't be told. */
function normalized(text: string): string {
  try {
    return normalizeSync(text).trim()
  } catch {
    return ''
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}
