import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { ZodType } from 'zod'
import type { Connection } from '../model/connection.ts'
import type { Gateway } from './gateway.ts'
import type { Reenactor } from './reenact.ts'

/**
 * A protocol: how clients of one kind are spoken to, and how their upstreams are. Registered in `main.ts`; outside
 * its folder nobody says its name.
 */
export interface Protocol {
  readonly name: string
  /** Schema of the connection's `settings`. */
  readonly settings: ZodType
  /** Names the connection's `credential` block may have, and which of them must be there. */
  readonly credential: { readonly required: readonly string[]; readonly optional: readonly string[] }
  /** Opens a connection. Nothing is dialled until the first action. */
  open(connection: Connection, gateway: Gateway): OpenConnection
  /** What can be told of recorded actions besides showing them; absent where nobody has written it. */
  reenactor?(): Reenactor
}

/** A connection that takes clients. Replaced whole on reload; the old one finishes what it has. */
export interface OpenConnection {
  readonly connection: Connection
  /** For protocols borne by HTTP: the shared listener hands over requests whose address named this connection. */
  readonly http?: HttpMount
  /** For protocols with a wire of their own: takes an accepted socket, and from then on owns it. Must not throw. */
  readonly wire?: (socket: Duplex, client: WireClient) => void
  /**
   * How clients write the address of a listener of its own, as a URL; for protocols with a wire of their own. Holds no
   * secret.
   */
  addressAt?(place: ClientPlace): string
  /** Whether the upstream can be reached, for `doctor` and the console. Sends no action. */
  check(): Promise<{ readonly ok: boolean; readonly detail: string }>
  /** Lets running actions end, at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

/** A listener as clients reach it. */
export interface ClientPlace {
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** It has a certificate. */
  readonly secure: boolean
}

/**
 * TLS on an accepted socket, as the listener is configured, offering these application protocols (RFC 7301). Resolves after
 * the handshake, with what the client has shown in it (`shownCertificate`); rejects where there is none.
 */
export type StartTls = (socket: Duplex, alpn: readonly string[]) => Promise<TLSSocket>

/** What a listener knows of a client that speaks a wire of its own. */
export interface WireClient {
  readonly ip: string
  readonly port: number
  /** For protocols that begin TLS themselves; absent: the listener has no certificate. */
  readonly tls?: StartTls
  /** The token that it showed on its way here (a tunnel within HTTP): it is not asked again, and this is checked. */
  readonly token?: string
  /** That way was encrypted. */
  readonly secure?: boolean
}

export interface HttpMount {
  /** `base` is the path prefix that named the connection (`/c/datadog-prod`), or empty. */
  request(request: IncomingMessage, response: ServerResponse, base: string): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, base: string): void
}
