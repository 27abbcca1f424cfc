/** Looking into the trees that the parser gives. */

export type Node = Readonly<Record<string, unknown>>

/** A key that names the kind of what it holds, and no field. */
export function isTag(key: string): boolean {
  const code = key.charCodeAt(0)
  return code >= 65 && code <= 90
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function tagged(value: unknown): [string, Node] | [undefined, undefined] {
  if (!isNode(value)) return [undefined, undefined]
  const [entry] = Object.entries(value)
  return entry !== undefined && isNode(entry[1]) ? [entry[0], entry[1]] : [undefined, undefined]
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function stringOf(value: unknown): string {
  const text = (value as { String?: { sval?: unknown } } | undefined)?.String?.sval
  return typeof text === 'string' ? text : ''
}

export function sorted(names: Iterable<string>): readonly string[] & string[] {
  return [...new Set(names)].sort()
}
