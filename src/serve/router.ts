import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpMount } from '../gateway/protocol.ts'

export type Handle = (request: IncomingMessage, response: ServerResponse) => void

export type Routed = { readonly mount: HttpMount; readonly base: string } | { readonly handle: Handle }

export interface RouterParts {
  /** The mount of a connection borne by HTTP. */
  readonly connection: (name: string) => HttpMount | undefined
  /** Own pages by their first segments: `/api/v1`, `/metrics`, `/healthz`, `/log`. */
  readonly pages: readonly (readonly [prefix: string, handle: Handle])[]
  /** `gw.example.com`: `datadog-prod.gw.example.com` names the connection `datadog-prod`. */
  readonly domain: string | undefined
}

/**
 * Finds who takes a request: the one connection of a listener of its own, a connection named by the host or by
 * `/c/<name>/`, or a page of the gateway. A name in the host wins, so that a connection reached by its own host owns
 * all of its paths.
 */
export function createRoute(
  parts: RouterParts,
  only?: string,
): (request: IncomingMessage) => Routed | undefined {
  const suffix = parts.domain === undefined ? undefined : `.${parts.domain.toLowerCase()}`
  const mounted = (name: string, base: string): Routed | undefined => {
    const mount = parts.connection(name)
    return mount === undefined ? undefined : { mount, base }
  }
  return request => {
    if (only !== undefined) return mounted(only, '')
    const host = hostName(request)
    if (suffix !== undefined && host.endsWith(suffix)) return mounted(host.slice(0, -suffix.length), '')
    const url = request.url ?? '/'
    if (url.startsWith('/c/')) {
      const name = /^\/c\/([a-z0-9-]{1,63})(?=[/?]|$)/.exec(url)?.[1]
      return name === undefined ? undefined : mounted(name, `/c/${name}`)
    }
    const path = url.split('?', 1)[0]!
    const page = parts.pages.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`))
    return page === undefined ? undefined : { handle: page[1] }
  }
}

function hostName(request: IncomingMessage): string {
  const authority = request.headers[':authority'] ?? request.headers.host ?? ''
  const text = Array.isArray(authority) ? authority[0]! : authority
  return text.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase()
}
