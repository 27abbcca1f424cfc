import type { ASTNode } from '@marcbachmann/cel-js'
import { ConditionError, type Evaluate, type Frame, isNumber, pay, Span } from './values.ts'

type Comparison = '<' | '<=' | '>' | '>='
type Arithmetic = '+' | '-' | '*' | '/' | '%'

/** `<` and its kin: numbers of any type by value, strings by UTF-16 unit, timestamps, durations and booleans. */
export function compare(
  node: ASTNode,
  op: Comparison,
  [left, right]: readonly [Evaluate, Evaluate],
): Evaluate {
  const unsuited = new ConditionError(`\`${op}\` can't compare these values`, node.range.start)
  return frame => {
    const a = left(frame)
    const b = right(frame)
    if (isNumber(a) && isNumber(b)) return holds(op, a, b)
    if (typeof a === 'string' && typeof b === 'string') return holds(op, a, b)
    if (typeof a === 'boolean' && typeof b === 'boolean') return holds(op, Number(a), Number(b))
    if (a instanceof Date && b instanceof Date) return holds(op, a.getTime(), b.getTime())
    if (a instanceof Span && b instanceof Span) return holds(op, a.ms, b.ms)
    throw unsuited
  }
}

function holds<T extends string | number | bigint>(op: Comparison, a: T, b: T): boolean {
  switch (op) {
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
  }
}

/**
 * Sums and the like. Beyond CEL, a whole-number literal may meet a JSON number, since JSON does not tell the two
 * apart: the result is a double.
 */
export function arithmetic(
  node: ASTNode,
  op: Arithmetic,
  [left, right]: readonly [Evaluate, Evaluate],
): Evaluate {
  const unsuited = new ConditionError(`\`${op}\` can't take these values`, node.range.start)
  const overflow = new ConditionError(`\`${op}\` went out of range`, node.range.start)
  return frame => {
    const a = left(frame)
    const b = right(frame)
    if (typeof a === 'bigint' && typeof b === 'bigint') {
      const result = onInts(op, a, b)
      if (result === undefined || BigInt.asIntN(64, result) !== result) throw overflow
      return result
    }
    const result =
      isNumber(a) && isNumber(b) ? onDoubles(op, Number(a), Number(b)) : onOthers(frame, op, [a, b])
    if (result === undefined) throw unsuited
    return result
  }
}

function onInts(op: Arithmetic, a: bigint, b: bigint): bigint | undefined {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return b === 0n ? undefined : a / b
    case '%':
      return b === 0n ? undefined : a % b
  }
}

function onDoubles(op: Arithmetic, a: number, b: number): number | undefined {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return undefined // CEL has no remainder of doubles
  }
}

function onOthers(frame: Frame, op: Arithmetic, [a, b]: readonly [unknown, unknown]): unknown {
  if (op === '+') {
    if (typeof a === 'string' && typeof b === 'string') {
      pay(frame, 1 + ((a.length + b.length) >> 5))
      return a + b
    }
    if (Array.isArray(a) && Array.isArray(b)) {
      pay(frame, 1 + a.length + b.length)
      return [...(a as unknown[]), ...(b as unknown[])]
    }
    if (a instanceof Date && b instanceof Span) return new Date(a.getTime() + b.ms)
    if (a instanceof Span && b instanceof Date) return new Date(b.getTime() + a.ms)
    if (a instanceof Span && b instanceof Span) return new Span(a.ms + b.ms)
  }
  if (op === '-') {
    if (a instanceof Date && b instanceof Date) return new Span(a.getTime() - b.getTime())
    if (a instanceof Date && b instanceof Span) return new Date(a.getTime() - b.ms)
    if (a instanceof Span && b instanceof Span) return new Span(a.ms - b.ms)
  }
  return undefined
}

export function negate(node: ASTNode, operand: Evaluate): Evaluate {
  const unsuited = new ConditionError('`-` wants a number', node.range.start)
  return frame => {
    const value = operand(frame)
    if (!isNumber(value)) throw unsuited
    return -value
  }
}
