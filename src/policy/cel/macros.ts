import type { ASTNode } from '@marcbachmann/cel-js'
import { asBool, compile, fault, type Scope, sourceOf, UnsupportedError } from './compile.ts'
import { type Evaluate, type Frame, isMap, ownValue, pay } from './values.ts'

const quantifiers = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])
const deepestNesting = 3

export function isMacro(node: ASTNode): boolean {
  if (node.op === 'call') return node.args[0] === 'has'
  return node.op === 'rcall' && quantifiers.has(node.args[0])
}

/** `has(a.b)` and the loops `all`, `exists`, `exists_one`, `map` and `filter` (cel-spec, Macros). */
export function compileMacro(node: ASTNode, scope: Scope): Evaluate {
  if (node.op === 'call') return compileHas(node, node.args[1], scope)
  if (node.op !== 'rcall') throw new UnsupportedError('not a macro', node)
  const [name, receiver, args] = node.args
  const [variable, ...bodies] = args
  if (variable?.op !== 'id' || bodies.length === 0 || bodies.length > (name === 'map' ? 2 : 1)) {
    throw new UnsupportedError(`write ${name}(x, ...) with a name for each item`, node)
  }
  if (scope.variables.has(variable.args)) {
    throw new UnsupportedError(`\`${variable.args}\` is a variable already: choose another name`, variable)
  }
  if (scope.locals.length >= deepestNesting) {
    throw new UnsupportedError(`loops nest at most ${deepestNesting} deep`, node)
  }
  const slot = scope.locals.length
  const inner: Scope = { ...scope, locals: [...scope.locals, variable.args] }
  const steps = bodies.map(body => compile(body, inner))
  // A loop pays for each round by the size of its body, so that nested loops over a big body end soon.
  const loop = { node, slot, cost: 1 + bodies.reduce((sum, body) => sum + countNodes(body), 0) }
  return overItems(loop, compile(receiver, scope), runner(name, bodies, steps))
}

interface Loop {
  readonly node: ASTNode
  readonly slot: number
  readonly cost: number
}

/** Runs a loop's body over the items; `each` has put the item in place and paid for it. */
type Run = (frame: Frame, items: readonly unknown[], each: (item: unknown) => void) => unknown

function overItems(loop: Loop, receiver: Evaluate, run: Run): Evaluate {
  const noItems = fault(loop.node, 'only lists and maps have items')
  return frame => {
    const value = receiver(frame)
    let items: readonly unknown[]
    if (Array.isArray(value)) items = value
    else if (isMap(value)) items = Object.keys(value)
    else throw noItems
    if (!Array.isArray(value)) pay(frame, items.length)
    return run(frame, items, item => {
      pay(frame, loop.cost)
      frame.locals[loop.slot] = item
    })
  }
}

function runner(name: string, bodies: readonly ASTNode[], steps: readonly Evaluate[]): Run {
  const [first, second] = steps as [Evaluate, Evaluate | undefined]
  const test = (frame: Frame): boolean => asBool(first(frame), bodies[0]!)
  switch (name) {
    case 'exists':
      return (frame, items, each) => quantify(frame, items, { each, test, settles: true })
    case 'all':
      return (frame, items, each) => quantify(frame, items, { each, test, settles: false })
    case 'exists_one':
      return (frame, items, each) => select(frame, items, { each, test }).length === 1
    case 'filter':
      return (frame, items, each) => select(frame, items, { each, test })
    default:
      return (frame, items, each) => {
        const made: unknown[] = []
        for (const item of items) {
          each(item)
          if (second === undefined) made.push(first(frame))
          else if (test(frame)) made.push(second(frame))
        }
        return made
      }
  }
}

interface Rounds {
  readonly each: (item: unknown) => void
  readonly test: (frame: Frame) => boolean
}

/** Like `||` (or `&&`) over the items: one that settles the answer outweighs errors of others. */
function quantify(
  frame: Frame,
  items: readonly unknown[],
  { each, test, settles }: Rounds & { readonly settles: boolean },
): boolean {
  let failure: { readonly error: unknown } | undefined
  for (const item of items) {
    each(item)
    try {
      if (test(frame) === settles) return settles
    } catch (error) {
      failure ??= { error }
    }
  }
  if (failure !== undefined) throw failure.error
  return !settles
}

function select(frame: Frame, items: readonly unknown[], { each, test }: Rounds): unknown[] {
  return items.filter(item => {
    each(item)
    return test(frame)
  })
}

/** True where the last field exists. What comes before it must exist, or it is an error as anywhere. */
function compileHas(node: ASTNode, args: readonly ASTNode[], scope: Scope): Evaluate {
  const [field] = args
  if (args.length !== 1 || field?.op !== '.') throw new UnsupportedError('write has(a.b)', node)
  const [object, key] = field.args
  const read = compile(object, scope)
  const noMap = fault(field, `\`${sourceOf(object)}\` has no fields`)
  return frame => {
    const map = read(frame)
    if (!isMap(map)) throw noMap
    return ownValue(map, key) !== undefined
  }
}

function countNodes(node: ASTNode): number {
  return childrenOf(node).reduce((sum, child) => sum + countNodes(child), 1)
}

/** The nodes directly below a node. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = []
  const collect = (part: unknown): void => {
    if (Array.isArray(part)) for (const each of part) collect(each)
    else if (isNode(part)) found.push(part)
  }
  if (node.op !== 'value') collect(node.args)
  return found
}

function isNode(part: unknown): part is ASTNode {
  return typeof part === 'object' && part !== null && 'op' in part && 'range' in part
}
