/** Path templates of a connection, found by walking segments: a literal segment wins over a parameter. */
import type { Risk } from '../../model/action.ts'
import { canonicalPath, judgedPath } from './codec.ts'

export interface Route {
  readonly method: string
  readonly template: string
  readonly operation: string
  readonly risk: Risk
}

interface Node {
  readonly literals: Map<string, Node>
  parameter: Node | undefined
  readonly routes: Map<string, { readonly route: Route; readonly names: readonly string[] }>
}

export interface MatchedRoute {
  readonly route: Route
  /** Percent-decoded. */
  readonly params: Readonly<Record<string, string>>
}

export interface Routes {
  /** `path` canonical, without a trailing slash. */
  find(method: string, path: string): MatchedRoute | undefined
}

/** Throws TypeError for a template that is not canonical or is there twice. */
export function compileRoutes(routes: readonly Route[]): Routes {
  const root = node()
  for (const route of routes) {
    const names: string[] = []
    let at = root
    for (const segment of templateSegments(route.template)) {
      const name = /^\{([A-Za-z_][A-Za-z0-9_.-]*)\}$/.exec(segment)?.[1]
      if (name === undefined) {
        const next = at.literals.get(segment) ?? node()
        at.literals.set(segment, next)
        at = next
      } else {
        names.push(name)
        at = at.parameter ??= node()
      }
    }
    if (at.routes.has(route.method)) throw new TypeError(`${route.method} ${route.template} is there twice`)
    at.routes.set(route.method, { route, names })
  }
  return {
    find(method, path) {
      const segments = path === '/' ? [] : path.slice(1).split('/')
      const found = walk(root, { method, segments }, [])
      if (found === undefined) return undefined
      const { route, names } = found.end
      const params: Record<string, string> = Object.create(null)
      for (const [i, name] of names.entries()) params[name] = decodeURIComponent(segments[found.places[i]!]!)
      return { route, params }
    },
  }
}

interface Found {
  readonly end: { readonly route: Route; readonly names: readonly string[] }
  /** Which segments were parameters. */
  readonly places: readonly number[]
}

/** Each node of the tree is visited at most once, so a path costs no more than the tree is large. */
function walk(
  at: Node,
  sought: { readonly method: string; readonly segments: readonly string[] },
  trail: readonly boolean[],
): Found | undefined {
  const segment = sought.segments[trail.length]
  if (segment === undefined) {
    const end = at.routes.get(sought.method)
    return end && { end, places: trail.flatMap((parameter, i) => (parameter ? [i] : [])) }
  }
  const literal = at.literals.get(segment)
  const exact = literal && walk(literal, sought, [...trail, false])
  return exact ?? (at.parameter && walk(at.parameter, sought, [...trail, true]))
}

function templateSegments(template: string): string[] {
  // Braces are no path characters: they stand aside while the literal parts are made canonical.
  if (!template.startsWith('/')) throw new TypeError(`${template} does not begin with /`)
  if (template === '/') return []
  return judgedPath(template)
    .slice(1)
    .split('/')
    .map(segment => {
      if (segment.startsWith('{')) return segment
      const canonical = canonicalPath(`/${segment}`)
      if (segment === '' || canonical !== `/${segment}`) throw new TypeError(`${template} is not canonical`)
      return segment
    })
}

function node(): Node {
  return { literals: new Map(), parameter: undefined, routes: new Map() }
}
