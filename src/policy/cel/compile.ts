import type { ASTNode } from '@marcbachmann/cel-js'
import { arithmetic, compare, negate } from './arithmetic.ts'
import { functions, Unsuited } from './functions.ts'
import { compileMacro, isMacro } from './macros.ts'
import {
  ConditionError,
  equals,
  type Evaluate,
  type Frame,
  isMap,
  kindOf,
  ownValue,
  pay,
  typeNames,
} from './values.ts'

/** The names in scope at a place in the source. */
export interface Scope {
  readonly variables: ReadonlySet<string>
  /** Iteration variables, by their slot in `Frame.locals`. */
  readonly locals: readonly string[]
}

/** The condition holds something that this language does not have; found when the policy is loaded. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError'
  readonly offset: number

  constructor(message: string, node: ASTNode) {
    super(message)
    this.offset = node.range.start
  }
}

/**
 * Turns a checked syntax tree into closures. The parser and the type checker are the library's; the evaluation is
 * ours, because only so does every loop, comparison and pattern pay from one budget (P12), and every failure is an
 * error that the rule's effect decides about (P6). A property test holds the two evaluators against each other.
 */
export function compile(node: ASTNode, scope: Scope): Evaluate {
  switch (node.op) {
    case 'value':
      return compileLiteral(node, node.args)
    case 'id':
      return compileName(node, node.args, scope)
    case '.':
      return compileSelect(node, node.args, scope)
    case '[]':
      return compileIndex(node, node.args, scope)
    case 'call':
      return isMacro(node)
        ? compileMacro(node, scope)
        : compileCall(node, { name: node.args[0], args: node.args[1], style: 'function' }, scope)
    case 'rcall': {
      if (isMacro(node)) return compileMacro(node, scope)
      const [name, receiver, args] = node.args
      return compileCall(node, { name, args: [receiver, ...args], style: 'method' }, scope)
    }
    case 'list':
      return compileList(node.args, scope)
    case 'map':
      return compileMap(node, node.args, scope)
    case '?:':
      return compileChoice(node, node.args, scope)
    case '&&':
    case '||':
      return compileLogic(node, node.args, scope)
    case '!_': {
      const operand = compile(node.args, scope)
      return frame => !asBool(operand(frame), node)
    }
    case '-_':
      return negate(node, compile(node.args, scope))
    case '==':
    case '!=': {
      const [left, right] = compileBoth(node.args, scope)
      const wanted = node.op === '=='
      return frame => equals(frame, left(frame), right(frame)) === wanted
    }
    case 'in':
      return compileIn(node, node.args, scope)
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compare(node, node.op, compileBoth(node.args, scope))
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return arithmetic(node, node.op, compileBoth(node.args, scope))
    case '.?':
    case '[?]':
      throw new UnsupportedError(`\`${node.op}\` is not supported here: use has()`, node)
  }
}

function compileBoth([left, right]: readonly [ASTNode, ASTNode], scope: Scope): [Evaluate, Evaluate] {
  return [compile(left, scope), compile(right, scope)]
}

/** The source text of a node, for messages: it is the author's own, never a value. */
export function sourceOf(node: ASTNode): string {
  return node.input.slice(node.range.start, node.range.end)
}

export function fault(node: ASTNode, message: string): ConditionError {
  return new ConditionError(message, node.range.start)
}

function compileLiteral(node: ASTNode, value: unknown): Evaluate {
  if (kindOf(value) === 'map')
    throw new UnsupportedError('bytes and unsigned numbers are not supported here', node)
  return () => value
}

function compileName(node: ASTNode, name: string, scope: Scope): Evaluate {
  const slot = scope.locals.lastIndexOf(name)
  if (slot >= 0) return frame => frame.locals[slot]
  if (scope.variables.has(name)) return frame => frame.variables[name]
  const type = typeNames[name]
  if (type !== undefined) return () => type
  throw new UnsupportedError(`there is no variable \`${name}\``, node)
}

function compileSelect(node: ASTNode, [object, key]: readonly [ASTNode, string], scope: Scope): Evaluate {
  const read = compile(object, scope)
  const missing = fault(node, `there is no \`${sourceOf(node)}\``)
  const noMap = fault(node, `\`${sourceOf(object)}\` has no fields`)
  return frame => {
    const map = read(frame)
    if (!isMap(map)) throw noMap
    const value = ownValue(map, key)
    if (value === undefined) throw missing
    return value
  }
}

function compileIndex(node: ASTNode, both: readonly [ASTNode, ASTNode], scope: Scope): Evaluate {
  const [read, at] = compileBoth(both, scope)
  const missing = fault(node, `there is no \`${sourceOf(node)}\``)
  const unsuited = fault(
    node,
    `\`${sourceOf(node)}\`: a list is indexed by a whole number, a map by a string`,
  )
  return frame => {
    const object = read(frame)
    const key = at(frame)
    let value: unknown
    if (Array.isArray(object) && (typeof key === 'bigint' || Number.isSafeInteger(key)))
      value = object[Number(key)]
    else if (isMap(object) && typeof key === 'string') value = ownValue(object, key)
    else throw unsuited
    if (value === undefined) throw missing
    return value
  }
}

interface Call {
  readonly name: string
  /** The receiver first. */
  readonly args: readonly ASTNode[]
  readonly style: 'method' | 'function'
}

function compileCall(node: ASTNode, { name, args, style }: Call, scope: Scope): Evaluate {
  const definition = functions.get(name)
  if (definition === undefined || (definition.style !== 'either' && definition.style !== style)) {
    throw new UnsupportedError(`there is no function \`${name}\` here`, node)
  }
  const given = style === 'method' ? args.length - 1 : args.length
  if (!definition.arity.includes(given)) throw new UnsupportedError(`\`${name}\` takes other arguments`, node)
  const literal = definition.literal === undefined ? undefined : args[1]
  const prepared = literal === undefined ? undefined : prepare(literal, name, definition.literal!)
  const operands = args.filter(arg => arg !== literal).map(arg => compile(arg, scope))
  return frame => {
    pay(frame, 1)
    const values = operands.map(operand => operand(frame))
    try {
      return definition.call(frame, values, prepared)
    } catch (error) {
      throw error instanceof Unsuited ? fault(node, `\`${name}\` ${error.message}`) : error
    }
  }
}

/** Compiles what a literal argument stands for, at load. */
function prepare(node: ASTNode, name: string, make: (text: string) => unknown): unknown {
  if (node.op !== 'value' || typeof node.args !== 'string') {
    throw new UnsupportedError(`\`${name}\` wants a literal text, known when the policy is loaded`, node)
  }
  try {
    return make(node.args)
  } catch (error) {
    throw new UnsupportedError((error as Error).message, node)
  }
}

function compileList(items: readonly ASTNode[], scope: Scope): Evaluate {
  const parts = items.map(item => compile(item, scope))
  return frame => parts.map(part => part(frame))
}

function compileMap(
  node: ASTNode,
  entries: readonly (readonly [ASTNode, ASTNode])[],
  scope: Scope,
): Evaluate {
  const parts = entries.map(entry => compileBoth(entry, scope))
  const badKey = fault(node, 'the keys of a map are strings')
  return frame => {
    const pairs = parts.map(([key, value]) => [key(frame), value(frame)] as const)
    if (pairs.some(([key]) => typeof key !== 'string')) throw badKey
    return Object.fromEntries(pairs)
  }
}

function compileChoice(
  node: ASTNode,
  [test, yes, no]: readonly [ASTNode, ASTNode, ASTNode],
  scope: Scope,
): Evaluate {
  const [decide, then, otherwise] = [compile(test, scope), compile(yes, scope), compile(no, scope)]
  return frame => (asBool(decide(frame), node) ? then(frame) : otherwise(frame))
}

/**
 * `&&` and `||` commute (cel-spec, Logical Operators): where one side settles the answer, an error of the other
 * does not matter.
 */
function compileLogic(node: ASTNode, both: readonly [ASTNode, ASTNode], scope: Scope): Evaluate {
  const [left, right] = compileBoth(both, scope)
  const settles = node.op === '||'
  return frame => {
    let first: boolean
    try {
      first = asBool(left(frame), node)
    } catch (error) {
      if (frame.left >= 0 && right(frame) === settles) return settles
      throw error
    }
    return first === settles ? settles : asBool(right(frame), node)
  }
}

function compileIn(node: ASTNode, both: readonly [ASTNode, ASTNode], scope: Scope): Evaluate {
  const [item, container] = compileBoth(both, scope)
  const unsuited = fault(node, '`in` wants a list or a map on its right')
  const [, list] = both
  if (list.op === 'list' && list.args.every(each => each.op === 'value' && typeof each.args === 'string')) {
    const words = new Set<unknown>(list.args.map(each => each.args))
    return frame => words.has(item(frame))
  }
  return frame => {
    const value = item(frame)
    const where = container(frame)
    if (Array.isArray(where)) return includes(frame, where, value)
    if (!isMap(where)) throw unsuited
    return typeof value === 'string' && ownValue(where, value) !== undefined
  }
}

function includes(frame: Frame, list: readonly unknown[], value: unknown): boolean {
  pay(frame, 1 + (list.length >> 2))
  return list.some(each => equals(frame, each, value))
}

export function asBool(value: unknown, node: ASTNode): boolean {
  if (typeof value !== 'boolean')
    throw fault(node, `\`${sourceOf(node)}\` wants true or false, not ${kindOf(value)}`)
  return value
}
