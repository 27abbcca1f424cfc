/**
 * The values of CEL as this gateway evaluates it. JSON is taken as it is: objects are maps, numbers are doubles;
 * integers come only from literals and functions. Own properties alone exist, so that `constructor` or `__proto__`
 * in a body or a claim is a key like any other and never reaches a prototype.
 */

/** A condition could not be evaluated. Made once per place in the source, so that throwing one costs no stack walk. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError'
  /** Where in the condition, counted in characters from 0. */
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

/** What a condition is evaluated in. `left` is its remaining budget of steps; every loop and copy pays from it. */
export interface Frame {
  readonly variables: Readonly<Record<string, unknown>>
  readonly locals: unknown[]
  left: number
  /** How deep the comparison of two values is at the moment. */
  depth: number
}

export type Evaluate = (frame: Frame) => unknown

/** A span of time. */
export class Span {
  readonly ms: number

  constructor(ms: number) {
    this.ms = ms
  }
}

/** What `type(x)` gives. One instance per name, so that they compare by identity. */
export class TypeName {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export const typeNames: Readonly<Record<string, TypeName>> = Object.assign(Object.create(null) as object, {
  bool: new TypeName('bool'),
  double: new TypeName('double'),
  int: new TypeName('int'),
  list: new TypeName('list'),
  map: new TypeName('map'),
  null_type: new TypeName('null_type'),
  string: new TypeName('string'),
  timestamp: new TypeName('google.protobuf.Timestamp'),
  duration: new TypeName('google.protobuf.Duration'),
  type: new TypeName('type'),
})

/** The CEL type of a value: a key of `typeNames`, or `unknown` for what JSON can't hold. */
export function kindOf(value: unknown): string {
  const kind = typeof value
  if (kind === 'object') return kindOfObject(value as object | null)
  return scalarKinds[kind] ?? 'unknown'
}

const scalarKinds: Readonly<Partial<Record<string, string>>> = {
  string: 'string',
  number: 'double',
  bigint: 'int',
  boolean: 'bool',
}

function kindOfObject(value: object | null): string {
  if (value === null) return 'null_type'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Date) return 'timestamp'
  if (value instanceof Span) return 'duration'
  return value instanceof TypeName ? 'type' : 'map'
}

export type CelMap = Readonly<Record<string, unknown>>

export function isMap(value: unknown): value is CelMap {
  return kindOf(value) === 'map'
}

/** The value of an own key, or undefined; an own key that holds undefined does not exist either. */
export function ownValue(map: CelMap, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined
}

const outOfBudget = new ConditionError('it took too many steps', 0)
const tooDeep = new ConditionError('the values to compare are nested too deeply', 0)
const deepest = 64

/** Takes `steps` from the budget. Throws once it is used up, whoever is evaluating. */
export function pay(frame: Frame, steps: number): void {
  frame.left -= steps
  if (frame.left < 0) throw outOfBudget
}

/**
 * CEL equality: of different types false, never an error, save that numbers compare by value whatever their type.
 * Lists and maps compare by content.
 */
export function equals(frame: Frame, left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    // Loose equality between a bigint and a number is exact by value, which is what CEL asks for.
    return isNumber(left) && isNumber(right) && left == right // eslint-disable-line eqeqeq
  }
  const kind = kindOf(left)
  if (kind !== kindOf(right)) return false
  if (left instanceof Date) return left.getTime() === (right as Date).getTime()
  if (left instanceof Span) return left.ms === (right as Span).ms
  if (left instanceof TypeName) return false
  if (frame.depth >= deepest) {
    frame.depth = 0
    throw tooDeep
  }
  frame.depth++
  const same =
    kind === 'list'
      ? sameLists(frame, left as unknown[], right as unknown[])
      : sameMaps(frame, left as CelMap, right as CelMap)
  frame.depth--
  return same
}

function sameLists(frame: Frame, left: readonly unknown[], right: readonly unknown[]): boolean {
  if (left.length !== right.length) return false
  pay(frame, left.length)
  return left.every((item, i) => equals(frame, item, right[i]))
}

function sameMaps(frame: Frame, left: CelMap, right: CelMap): boolean {
  const keys = Object.keys(left)
  pay(frame, keys.length + 1)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every(key => Object.hasOwn(right, key) && equals(frame, left[key], right[key]))
}

export function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
