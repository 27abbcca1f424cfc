/** What an exchange is made of, and the request line and headers that it sends upstream. */
import type { GatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Connection } from '../../model/connection.ts'
import type { HttpAction, ReadBody } from './action.ts'
import { clientOf, type Downstream } from './downstream.ts'
import type { Flavour, HttpOperation } from './flavour.ts'
import type { Addresses } from './location.ts'
import { maskedHeaders, maskedQuery } from './masks.ts'
import type { Holds } from './patience.ts'
import type { RequestHead } from './request.ts'
import type { Upstream } from './upstream.ts'

/** What an exchange is made of. */
export interface ExchangeParts {
  readonly connection: Connection
  readonly gateway: Gateway
  readonly flavour: Flavour
  readonly upstream: Upstream
  readonly downstream: Downstream
  readonly head: RequestHead
  /** The prefix of the address that named the connection. */
  readonly base: string
  readonly operation: HttpOperation
  /** Present where the body was read whole. */
  readonly body: ReadBody | undefined
  /** Why a body that had to be read was not: the action is an entry, and ends with this. */
  readonly unread: GatewayError | undefined
  readonly action: HttpAction
  readonly holds: Holds
  /** The client asks for the answer of a call that was kept. */
  readonly followed: boolean
}

/** Path with query, and headers: the client's, masked where asked, and those that the flavour injects. */
export function outgoingHead(
  parts: ExchangeParts,
  masker: Masker | undefined,
  secrets: Readonly<Record<string, string>>,
): { readonly path: string; readonly headers: string[] } {
  const { flavour, operation, head, downstream } = parts
  const injection = flavour.inject(operation, secrets)
  const query = maskedQuery(head, masker)
  for (const [name, value] of injection.query ?? []) {
    query.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  }
  const headers = masker === undefined ? [...head.headers] : maskedHeaders(head.headers, masker)
  const { preserve_host, forwarded } = flavour.settings.headers
  if (preserve_host && head.authority !== '') headers.push('Host', head.authority)
  if (forwarded === 'append') headers.push('X-Forwarded-For', clientOf(downstream.request, undefined).ip)
  for (const [name, value] of injection.headers ?? []) headers.push(name, value)
  const path = operation.upstream.prefix + (head.sent ?? head.path)
  return { path: query.length === 0 ? path : `${path}?${query.join('&')}`, headers }
}

/** Where a client learns who gives it tokens for this connection (RFC 9728). */
export function metadataOf({ gateway, connection }: ExchangeParts): string | undefined {
  return gateway.resourceMetadata?.(`/c/${connection.name}`)
}

/** Between which addresses an answer's locations are translated. */
export function addressesOf(parts: ExchangeParts): Addresses {
  const { flavour, operation, base, head, downstream } = parts
  const scheme = 'encrypted' in downstream.request.socket ? 'https' : 'http'
  const origin = head.authority === '' ? '' : `${scheme}://${head.authority}`
  return { upstream: operation.upstream, upstreams: flavour.upstreams, origin, base }
}
