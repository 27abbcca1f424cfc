import type { Route } from './route.ts'

/** A route that an address led to, with its raw path parameters; or the methods that the address does have. */
export type Match =
  | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly allowed: readonly string[] }

interface Compiled {
  readonly route: Route
  readonly segments: readonly string[]
}

/** Finds routes by their segments; a literal segment wins over a parameter. `*` at the end takes the rest. */
export function createRouter(routes: readonly Route[]): (method: string, path: string) => Match {
  const compiled: Compiled[] = routes
    .map(route => ({ route, segments: route.path.split('/').slice(1) }))
    .sort((a, b) => parameters(a) - parameters(b))
  return (method, path) => {
    const segments = path.split('/').slice(1)
    const allowed: string[] = []
    for (const candidate of compiled) {
      const params = match(candidate.segments, segments)
      if (params === undefined) continue
      if (candidate.route.method === method) return { route: candidate.route, params }
      allowed.push(candidate.route.method)
    }
    return { allowed }
  }
}

function parameters({ segments }: Compiled): number {
  return segments.filter(segment => segment.startsWith('{')).length
}

function match(template: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const rest = template.at(-1)?.endsWith('*}') === true
  if (rest ? segments.length < template.length : segments.length !== template.length) return undefined
  const params: Record<string, string> = {}
  for (const [i, part] of template.entries()) {
    const segment = segments[i]!
    if (part.startsWith('{')) {
      const name = part.slice(1, -1)
      const value = decode(name.endsWith('*') ? segments.slice(i).join('/') : segment)
      if (value === undefined || value === '') return undefined
      params[name.replace('*', '')] = value
    } else if (part !== segment) {
      return undefined
    }
  }
  return params
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
