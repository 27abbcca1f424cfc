import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { z } from 'zod'

/** A mistake in a file, where a person can find it. Lines and columns count from 1. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  /** The option, such as `connections[0].site`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
}

export type Parsed<T> = { readonly value: T } | { readonly problems: readonly Problem[] }

/** A file that can't be used as it stands; the message lists every problem as `file:line:column: path: message`. */
export class ProblemsError extends Error {
  override readonly name = 'ProblemsError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'))
    this.problems = problems
  }
}

export function describeProblem({ file, line, column, path, message }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
}

/** Parses YAML (with the alias bomb guard of the library) and checks it, naming the place of every mistake. */
export function parseYaml<S extends z.ZodType>(text: string, file: string, schema: S): Parsed<z.output<S>> {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true })
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = counter.linePos(offset)
    return { line, column: col }
  }
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map(error => ({
        file,
        path: '',
        message: error.message,
        ...at(error.pos[0]),
      })),
    }
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return { problems: [{ file, line: 1, column: 1, path: '', message: String((error as Error).message) }] }
  }
  const result = schema.safeParse(value ?? {})
  if (result.success) return { value: result.data }
  const problems = flatten(result.error.issues).map(issue => {
    const where = issue.path as (string | number)[]
    return { file, path: pathText(where), message: issue.message, ...at(offsetOf(document.contents, where)) }
  })
  return { problems }
}

interface FlatIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Unknown keys each get their own place; of a failed union the branch that came furthest is reported. */
function flatten(issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[] = []): FlatIssue[] {
  return issues.flatMap(issue => {
    const path = [...prefix, ...issue.path]
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => ({ path: [...path, key], message: 'no such option here' }))
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const furthest = [...issue.errors].sort((a, b) => depth(b) - depth(a))[0]!
      if (depth(furthest) > 0) return flatten(furthest, path)
      const messages = issue.errors.flatMap(branch => branch.map(each => each.message))
      return [{ path, message: [...new Set(messages)].join('; or: ') }]
    }
    return [{ path, message: issue.message }]
  })
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(issue => issue.path.length))
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('')
}

/** The offset of the deepest node on the path that exists: the key where there is one, else the value. */
function offsetOf(root: unknown, path: readonly (string | number)[]): number {
  let node = root as Node | null
  let offset = node?.range?.[0] ?? 0
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(part))
      if (pair === undefined) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value as Node | null
    } else {
      const next = (node as { items?: Node[] } | null)?.items?.[Number(part)]
      if (next === undefined) break
      offset = next.range?.[0] ?? offset
      node = next
    }
  }
  return offset
}
