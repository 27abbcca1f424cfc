/** The certificate that a client has shown in its TLS handshake, kept with the socket for whoever asks who is there. */
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

export interface ShownCertificate {
  /** Name of the entry in `identity.certificates` that its listener trusts. */
  readonly issuer: string
  readonly leaf: X509Certificate
  /** The certificates above it, as far as TLS knows them, the root last. */
  readonly authorities: readonly X509Certificate[]
  /** What TLS found wrong with it, as OpenSSL names that; absent: it verified against the listener's authorities. */
  readonly problem?: string
}

/** A property and no WeakMap: HTTP/2 gives out the socket behind a proxy, through which only properties are seen. */
const shown = Symbol('the certificate that the client has shown')

/** Most certificates of a chain that are looked at. */
const longestChain = 8

/**
 * Keeps what the client has shown, right after the handshake of a server that asks for certificates (a `tls.Server`:
 * only there does Node say whether it verified). `issuer` is whom the listener trusts.
 */
export function keepCertificate(socket: TLSSocket, issuer: string): void {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return
  const authorities: X509Certificate[] = []
  for (let above = leaf.issuerCertificate; above !== undefined && authorities.length < longestChain; ) {
    authorities.push(above)
    above = above.issuerCertificate
  }
  const problem = socket.authorized ? {} : { problem: String(socket.authorizationError ?? 'unverified') }
  const kept: ShownCertificate = { issuer, leaf, authorities, ...problem }
  Object.assign(socket, { [shown]: kept })
}

/** Undefined: none was asked for, or none shown. */
export function shownCertificate(socket: object): ShownCertificate | undefined {
  return (socket as { readonly [shown]?: ShownCertificate })[shown]
}
