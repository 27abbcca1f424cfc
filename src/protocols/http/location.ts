/** Addresses in answers, turned from the upstream's into the gateway's. */
import type { UpstreamBase } from './flavour.ts'

export interface Addresses {
  /** The upstream that answered. */
  readonly upstream: UpstreamBase
  /** All upstreams of the connection. */
  readonly upstreams: readonly UpstreamBase[]
  /** Where the client reaches the connection: `https://gw.example.com/c/name`, or without an origin if unknown. */
  readonly origin: string
  readonly base: string
}

/**
 * The gateway's form of an address that leads to one of the connection's upstreams: absolute ones whole, absolute
 * paths with the connection's base. Addresses elsewhere and relative ones stay as they are.
 */
export function rewriteLocation(url: string, to: Addresses): string {
  if (url.startsWith('/') && !url.startsWith('//')) {
    const rest = afterPrefix(url, to.upstream.prefix)
    return rest === undefined ? url : to.base + rest
  }
  const absolute = /^(?:https?:)?\/\//i.test(url)
  if (!absolute) return url
  let parsed: URL
  try {
    parsed = new URL(url, to.upstream.origin)
  } catch {
    return url
  }
  for (const upstream of [to.upstream, ...to.upstreams]) {
    // Whatever the scheme: a server behind TLS termination names itself http.
    if (parsed.host !== upstream.host && parsed.hostname !== new URL(upstream.origin).hostname) continue
    const rest = afterPrefix(parsed.pathname + parsed.search + parsed.hash, upstream.prefix)
    if (rest !== undefined) return to.origin + to.base + rest
  }
  return url
}

function afterPrefix(target: string, prefix: string): string | undefined {
  if (prefix === '') return target
  if (!target.startsWith(prefix)) return undefined
  const rest = target.slice(prefix.length)
  if (rest === '') return '/'
  return rest.startsWith('/') ? rest : rest.startsWith('?') || rest.startsWith('#') ? `/${rest}` : undefined
}
