import { Scalar } from 'yaml'

/**
 * Where in the YAML text the nth character of a scalar's value stands. Follows quoting, escapes, folded lines and the
 * indentation of blocks by walking value and text side by side.
 */
export function sourceOffset(text: string, scalar: Scalar, offset: number): number {
  const [start, end] = scalar.range ?? [0, 0]
  const value = String(scalar.value)
  const quote =
    scalar.type === Scalar.QUOTE_DOUBLE ? '"' : scalar.type === Scalar.QUOTE_SINGLE ? "'" : undefined
  const block = scalar.type === Scalar.BLOCK_FOLDED || scalar.type === Scalar.BLOCK_LITERAL
  let at = start
  let indent = Infinity
  if (quote !== undefined) at++
  if (block) {
    const line = text.indexOf('\n', start) + 1
    at = skipSpace(text, line)
    indent = at - (text.lastIndexOf('\n', at - 1) + 1)
  }
  for (let i = 0; i < offset && i < value.length && at < end; i++) {
    at = passed(text, at, { char: value[i]!, quote, indent })
  }
  return Math.min(at, Math.max(start, end - 1))
}

interface Reading {
  readonly char: string
  readonly quote: string | undefined
  /** How far the lines of a block are indented; in flow scalars all leading space is folded away. */
  readonly indent: number
}

/** The offset after the text that stands for one character of the value. */
function passed(text: string, at: number, { char, quote, indent }: Reading): number {
  if (quote === '"' && text[at] === '\\') {
    const lengths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 }
    return at + (lengths[text[at + 1] ?? ''] ?? 2)
  }
  if (quote === "'" && char === "'") return at + 2
  const next = char === ' ' && quote !== undefined ? skipBlanks(text, at) : at
  if (text[next] === '\n' || text[next] === '\r') return skipIndent(text, next, indent)
  return at + 1
}

/** After the line's end, and the next line's indentation. */
function skipIndent(text: string, from: number, indent: number): number {
  if (indent === Infinity) return skipSpace(text, from)
  let at = text.indexOf('\n', from) + 1
  for (let i = 0; i < indent && text[at] === ' '; i++) at++
  return at
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (/\s/.test(text[at] ?? '')) at++
  return at
}
