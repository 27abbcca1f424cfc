import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml'
import { z } from 'zod'
import type { Problem } from '../config/located-yaml.ts'
import { nearest } from './nearest.ts'
import { sourceOffset } from './source-offset.ts'

type Path = readonly (string | number)[]

export interface LocatedDocument<T> {
  readonly value: T
  /** The place in the file of what is wrong with the value. */
  locate(issue: DocumentIssue): Problem
}

export interface DocumentOptions<S> {
  readonly schema: S
  /** Where in the file the value stands. */
  readonly at: readonly string[]
}

/**
 * Reads YAML that has the form of a schema, and can tell where each part of it stands. Never throws for what the text
 * holds. Work is bounded by the length of the text.
 */
export function readDocument<S extends z.ZodType>(
  text: string,
  file: string,
  { schema, at }: DocumentOptions<S>,
): LocatedDocument<z.output<S>> | { readonly problems: readonly Problem[] } {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true })
  const problem = (offset: number, path: string, message: string): Problem => {
    const { line, col } = counter.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col), path, message }
  }
  if (document.errors.length > 0) {
    return { problems: document.errors.map(error => problem(error.pos[0], '', error.message)) }
  }
  const locate = ({ path, message, ...place }: DocumentIssue): Problem => {
    const whole = [...at, ...path]
    return problem(placeOf(document.contents, whole, { text, ...place }), pathText(whole), message)
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return { problems: [problem(0, '', (error as Error).message)] }
  }
  for (const key of at) value = (value as Record<string, unknown> | null | undefined)?.[key]
  const parsed = schema.safeParse(value ?? {})
  if (parsed.success) return { value: parsed.data, locate }
  return { problems: flatten(parsed.error.issues, { schema, prefix: [] }).map(locate) }
}

export interface DocumentIssue {
  readonly path: Path
  readonly message: string
  /** The character of the text at the path. */
  readonly offset?: number
  /** The last key of the path is what is wrong, not its value. */
  readonly onKey?: true
}

/** Each unknown key gets its own place; of a failed union the branch that came furthest speaks. */
function flatten(
  issues: readonly z.core.$ZodIssue[],
  { schema, prefix }: { readonly schema: z.ZodType; readonly prefix: Path },
): readonly DocumentIssue[] {
  return issues.flatMap((issue): readonly DocumentIssue[] => {
    const path = [...prefix, ...(issue.path as (string | number)[])]
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(key => ({
        path: [...path, key],
        message: unknownKey(key, keysAt(schema, path)),
        onKey: true,
      }))
    }
    if (issue.code === 'invalid_value') {
      const words = issue.values.map(String)
      return [
        { path, message: words.length === 1 ? `must be ${words[0]}` : `must be one of ${words.join(', ')}` },
      ]
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const depth = (branch: readonly z.core.$ZodIssue[]): number =>
        Math.max(...branch.map(each => each.path.length))
      const furthest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0]!
      if (depth(furthest) > 0) return flatten(furthest, { schema, prefix: path })
      return [{ path, message: [...new Set(issue.errors.flat().map(each => each.message))].join('; or: ') }]
    }
    return [{ path, message: issue.message }]
  })
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  if (meant !== undefined) return `no such key; did you mean \`${meant}\`?`
  return known.length === 0 ? 'no such key here' : `no such key; there are: ${known.join(', ')}`
}

/** The keys that a schema has at a path: those of the object there. */
function keysAt(schema: z.core.$ZodType, path: Path): readonly string[] {
  let current: z.core.$ZodType | undefined = bare(schema)
  for (const part of path) {
    if (current instanceof z.ZodObject) current = current.shape[String(part)] as z.core.$ZodType | undefined
    else if (current instanceof z.ZodArray) current = current.element
    else if (current instanceof z.ZodRecord) current = current.valueType
    else return []
    if (current === undefined) return []
    current = bare(current)
  }
  if (current instanceof z.ZodUnion)
    current = current.options.map(bare).find(each => each instanceof z.ZodObject)
  return current instanceof z.ZodObject ? Object.keys(current.shape) : []
}

function bare(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema
  while (
    current instanceof z.ZodOptional ||
    current instanceof z.ZodDefault ||
    current instanceof z.ZodPrefault
  ) {
    current = current.unwrap()
  }
  return current
}

function pathText(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('')
}

/**
 * The offset in the file of what is at a path: a scalar's value, else the key; where the path ends early (something is
 * missing), the deepest thing there is. With `offset`, the place of that character of the value.
 */
function placeOf(
  root: Node | null,
  path: Path,
  { text, offset, onKey }: { readonly text: string } & Pick<DocumentIssue, 'offset' | 'onKey'>,
): number {
  let node: unknown = root
  let place = root?.range?.[0] ?? 0
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(part))
      if (pair === undefined) return place
      place = (pair.key as Scalar).range?.[0] ?? place
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(part)]
      if (item === undefined) return place
      node = item
      if (isNode(item)) place = item.range?.[0] ?? place
    } else return place
  }
  if (onKey === true) return place
  if (offset !== undefined && isScalar(node)) return sourceOffset(text, node, offset)
  return isScalar(node) && node.range != null ? node.range[0] : place
}
