/** Which connection an address names: a path prefix, `/c/<name>`, or a host name, `<name>.<domain>`. */
import type { IncomingMessage } from 'node:http'
import type { OpenConnection } from '../../gateway/protocol.ts'
import { canonicalHost } from './codec.ts'
import type { Routed } from './server.ts'
import { asksForTunnel } from './tunnel.ts'

export interface RouterOptions {
  /** The open connection of that name, as of now: a reload swaps it. */
  readonly find: (name: string) => OpenConnection | undefined
  /** Domains whose subdomains are connections, `gw.example.com`, lower case. */
  readonly domains?: readonly string[]
  /** Who takes what names no connection: the API and the console. */
  readonly otherwise?: (request: IncomingMessage) => Routed | undefined
}

/** Exactly this spelling: what follows the name is the connection's own path, made canonical there. */
const prefixed = /^\/c\/([a-z0-9-]{1,63})(?=[/?]|$)/

/** For `createHttpServer`. A name that no connection borne by HTTP has is nobody's. */
export function routeByAddress(options: RouterOptions): (request: IncomingMessage) => Routed | undefined {
  const suffixes = (options.domains ?? []).map(domain => `.${domain}`)
  const to = (name: string, request: IncomingMessage, base: string): Routed | undefined => {
    const open = options.find(name)
    if (open?.wire !== undefined && asksForTunnel(request)) return { wire: open.wire }
    return open?.http && { mount: open.http, base }
  }
  return request => {
    const named = suffixes.length === 0 ? undefined : hostName(request, suffixes)
    if (named !== undefined) return to(named, request, '')
    const match = prefixed.exec(request.url ?? '')
    if (match !== null) return to(match[1]!, request, match[0])
    return options.otherwise?.(request)
  }
}

/** For a port of its own: everything goes to one connection. */
export function routeToOne(find: () => OpenConnection | undefined): () => Routed | undefined {
  return () => {
    const mount = find()?.http
    return mount && { mount, base: '' }
  }
}

function hostName(request: IncomingMessage, suffixes: readonly string[]): string | undefined {
  const authority = (request.headers as Record<string, unknown>)[':authority'] ?? request.headers.host
  if (typeof authority !== 'string') return undefined
  const host = canonicalHost(authority, 'encrypted' in request.socket)?.name
  const suffix = host && suffixes.find(each => host.endsWith(each))
  return suffix ? host.slice(0, -suffix.length) : undefined
}
