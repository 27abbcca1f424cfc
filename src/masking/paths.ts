/** JSON paths: `$.data[*].attributes.key`, `$.**.token`, `$['odd name'][0]`. */
import { toBytes } from './bytes.ts'

/** One step: a name or index as text, any one step, or any number of steps. */
type Step = string | typeof anyOne | typeof anyDepth
export const anyOne: unique symbol = Symbol('*')
export const anyDepth: unique symbol = Symbol('**')
export type Path = readonly Step[]

/** States are bits of one number, so that a step costs the same however many stars there are. */
const mostSteps = 30
const step =
  /\.\.(?=[A-Za-z_[*])|\.?\*\*|\.\*|\[\*\]|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]|\.([^.[\]*'"\s]+)/y

/** Undefined where the text is no path. */
export function parsePath(source: string): Path | undefined {
  if (!source.startsWith('$') || source.length > 512) return undefined
  const path: Step[] = []
  let index = 1
  while (index < source.length) {
    // `..name` is written without the dot of its own step.
    step.lastIndex = index
    const match = step.exec(source)
    if (match === null) return undefined
    const [whole, position, single, double, name] = match
    const literal = position ?? single ?? double ?? name
    if (whole === '..') path.push(anyDepth)
    else if (literal !== undefined) path.push(toBytes(literal))
    else path.push(whole.includes('**') ? anyDepth : anyOne)
    index += whole === '..' && source[index + 2] !== '[' ? 1 : whole.length
  }
  return path.length === 0 || path.length > mostSteps || path.at(-1) === anyDepth ? undefined : path
}

/** Where each path stands, a bit for each step that may come next; read with `selects`. */
export type PathState = readonly number[]

export function startPaths(paths: readonly Path[]): PathState {
  return paths.map(path => skipAnyDepth(path, 1))
}

/** The state below one step into an object (`name`) or array (`String(index)`). */
export function descend(paths: readonly Path[], state: PathState, name: string): PathState {
  return paths.map((path, index) => {
    let next = 0
    for (let position = 0, bits = state[index]!; bits >> position !== 0; position++) {
      if (((bits >> position) & 1) === 0) continue
      const each = path[position]
      if (each === anyDepth) next |= 1 << position
      else if (each === anyOne || each === name) next |= 1 << (position + 1)
    }
    return skipAnyDepth(path, next)
  })
}

export function selects(paths: readonly Path[], state: PathState): boolean {
  return paths.some((path, index) => ((state[index]! >> path.length) & 1) === 1)
}

/** Any number of steps may be none. */
function skipAnyDepth(path: Path, bits: number): number {
  let next = bits
  for (let position = 0; position < path.length; position++)
    if (((next >> position) & 1) === 1 && path[position] === anyDepth) next |= 1 << (position + 1)
  return next
}
