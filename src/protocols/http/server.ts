/**
 * Hardened HTTP listeners: HTTP/1.1, and HTTP/2 by ALPN where there is TLS. Each request goes to whom the router
 * names; what can't be a request ends here.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ClientFacts } from '../../audit/audit.ts'
import { errorKinds, type ErrorCode } from '../../errors.ts'
import type { HttpMount } from '../../gateway/protocol.ts'
import { keepCertificate } from '../../identity/shown-certificate.ts'
import { canonicalHost } from './codec.ts'
import { clientAt } from './downstream.ts'
import { asksForTunnel, openTunnel, type Wire } from './tunnel.ts'

/** Who takes a request: a connection, or anything else that speaks Node's requests (the API, the console). */
export type Routed =
  | { readonly mount: HttpMount; readonly base: string }
  | { readonly handle: (request: IncomingMessage, response: ServerResponse) => void }
  | { readonly wire: Wire }

export interface ServerLimits {
  /** Bytes of a request's head. */
  readonly headers: number
  /** Milliseconds for a head to arrive. */
  readonly headersTimeout: number
  /** Milliseconds for a whole request to arrive, body included; 0 for none. */
  readonly requestTimeout: number
  /** Milliseconds that an idle connection is kept. */
  readonly keepAliveTimeout: number
  /** Connections at once; more are closed at once. */
  readonly connections: number
  /** HTTP/2 streams at once per connection. */
  readonly streams: number
  /** Streams that one HTTP/2 connection may reset in a minute before it is closed (CVE-2023-44487). */
  readonly resets: number
}

export const defaultLimits: ServerLimits = {
  headers: 64 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 300_000,
  keepAliveTimeout: 65_000,
  connections: 20_000,
  streams: 128,
  resets: 200,
}

const keepAliveProbesMs = 30_000

export interface ServerOptions {
  /** PEM; present: TLS with HTTP/2 and HTTP/1.1. */
  readonly tls?: {
    readonly cert: string
    readonly key: string
    /** Certificates of clients are asked for, and verified against these. */
    readonly ca?: string
    readonly crl?: string
    readonly requestCert?: boolean
    /** Who shows none that verifies is turned away in the handshake. */
    readonly rejectUnauthorized?: boolean
    /** Whom those authorities stand for (`identity.certificates`). */
    readonly clientIssuer?: string
  }
  /** Names (with or without port) by which a request in absolute form may call this gateway. */
  readonly authorities?: readonly string[]
  readonly limits?: Partial<ServerLimits>
  /** Undefined: nobody; the client gets 404 `connection-unknown`. Must not throw. */
  readonly route: (request: IncomingMessage) => Routed | undefined
  /** Told of what ended here since it could not be a request of anybody's. Must not throw. */
  readonly unreadable?: (client: ClientFacts, refused: { readonly code: ErrorCode }) => void
}

export interface HttpServer {
  /** The bare server, not yet listening: call `listen` on it, or hand it sockets. */
  readonly server: Server | Http2SecureServer
  /** The HTTP/2 sessions open now. */
  readonly sessions: ReadonlySet<Http2Session>
  /** Stops taking connections, lets requests end for at most `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>
  /** Swaps the certificate for new connections. */
  renew(tls: Omit<NonNullable<ServerOptions['tls']>, 'clientIssuer'>): void
}

export function createHttpServer(options: ServerOptions): HttpServer {
  const limits = { ...defaultLimits, ...options.limits }
  const sockets = new Set<Socket>()
  const { server, sessions } = options.tls === undefined ? plain(limits) : secure(limits, options.tls)
  let closing = false
  const track = (socket: Socket): void => {
    sockets.add(socket)
    // A held call says nothing for minutes: probes keep it alive in NAT tables, and find out that a client is gone.
    socket.setKeepAlive(true, keepAliveProbesMs)
    socket.on('close', () => sockets.delete(socket))
  }
  server.on('connection', track)
  server.maxConnections = limits.connections
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (closing && request.httpVersionMajor === 1) response.shouldKeepAlive = false
    take(request, response, options)
  }
  server.on('request', onRequest)
  // With a listener Node leaves the 100 to us: it is sent only by who wants the body.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    tell(options, request.socket, 'expectation-failed')
    end(response, 'expectation-failed')
  })
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    tell(options, request.socket, 'method-not-allowed')
    endRaw(socket, 'method-not-allowed')
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node takes its own listeners off an upgraded socket; an error without one would end the process.
    socket.on('error', () => socket.destroy())
    const problem = addressProblem(request, options)
    const routed = problem === undefined ? options.route(request) : undefined
    if (problem !== undefined) {
      tell(options, request.socket, problem)
      endRaw(socket, problem)
    } else if (routed !== undefined && 'wire' in routed) {
      if (!openTunnel(routed.wire, { request, socket, head })) endRaw(socket, 'unauthenticated')
    } else if (routed !== undefined && 'mount' in routed && !asksForTunnel(request))
      routed.mount.upgrade(request, socket, head, routed.base)
    else endRaw(socket, routed === undefined ? 'connection-unknown' : 'invalid-request')
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // Who says nothing, or leaves, has sent nothing that could be told.
    if (error.code?.startsWith('HPE_') === true) tell(options, socket as Socket, codeOf(error))
    onClientError(error, socket)
  })
  return {
    server,
    sessions,
    async close(graceMs) {
      closing = true
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      for (const session of sessions) session.close()
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
    },
    renew(tls) {
      if ('setSecureContext' in server) server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' })
    },
  }
}

function plain(limits: ServerLimits): { server: Server; sessions: ReadonlySet<Http2Session> } {
  const server = createServer({
    maxHeaderSize: limits.headers,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    insecureHTTPParser: false,
    requireHostHeader: false, // checked with the rest of the head, and answered with a problem document
    shouldUpgradeCallback: leavesHttp,
  })
  // Node would drop lines beyond this without a word; the count is checked with the rest of the head.
  server.maxHeadersCount = 0
  return { server, sessions: new Set() }
}

function secure(
  limits: ServerLimits,
  tls: NonNullable<ServerOptions['tls']>,
): { server: Http2SecureServer; sessions: ReadonlySet<Http2Session> } {
  const server = createSecureServer({
    cert: tls.cert,
    key: tls.key,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.crl === undefined ? {} : { crl: tls.crl }),
    ...(tls.requestCert === true
      ? { requestCert: true, rejectUnauthorized: tls.rejectUnauthorized !== false }
      : {}),
    minVersion: 'TLSv1.2',
    allowHTTP1: true,
    handshakeTimeout: limits.headersTimeout,
    maxSessionInvalidFrames: 100,
    maxSessionMemory: 16,
    settings: {
      maxConcurrentStreams: limits.streams,
      maxHeaderListSize: limits.headers,
      enablePush: false,
      initialWindowSize: 256 * 1024,
    },
    maxHeaderListPairs: 2000,
    streamResetBurst: limits.resets,
    streamResetRate: Math.max(1, Math.floor(limits.resets / 60)),
  })
  // HTTP/1.1 on this listener reads its limits from the server object, as http.Server does.
  Object.assign(server, {
    maxHeaderSize: limits.headers,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    requireHostHeader: false,
    maxHeadersCount: 0,
    shouldUpgradeCallback: leavesHttp,
  })
  const { clientIssuer } = tls
  // Ahead of the server's own listener, which may have a request at once.
  if (clientIssuer !== undefined)
    server.prependListener('secureConnection', socket => keepCertificate(socket, clientIssuer))
  const sessions = new Set<Http2Session>()
  server.on('session', session => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
    session.setTimeout(limits.keepAliveTimeout, () => session.close())
  })
  server.on('sessionError', () => {})
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return { server, sessions }
}

function checkingInterval(limits: ServerLimits): number {
  return Math.min(5000, Math.max(50, Math.floor(limits.headersTimeout / 2)))
}

/** Only WebSockets and tunnels leave HTTP: an offer of h2c is answered in HTTP/1.1 (RFC 9110 section 7.8 allows to ignore it). */
function leavesHttp(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket' || asksForTunnel(request)
}

function take(request: IncomingMessage, response: ServerResponse, options: ServerOptions): void {
  const problem = addressProblem(request, options)
  if (problem !== undefined) {
    tell(options, request.socket, problem)
    return end(response, problem)
  }
  const routed = options.route(request)
  if (routed === undefined || 'wire' in routed) return end(response, 'connection-unknown')
  if ('mount' in routed) return routed.mount.request(request, response, routed.base)
  if (request.headers.expect !== undefined) response.writeContinue()
  routed.handle(request, response)
}

/**
 * A target in absolute form must name this gateway (RFC 9112 section 3.2.2), and the Host it names is the one that
 * counts; `url` is origin form afterwards. A target that is no path at all is refused.
 */
function addressProblem(request: IncomingMessage, options: ServerOptions): ErrorCode | undefined {
  const url = request.url ?? ''
  if (url.startsWith('/')) return undefined
  const absolute = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(url)
  if (absolute === null) return 'invalid-request'
  const tls = 'encrypted' in request.socket
  const named = canonicalHost(absolute[2]!, tls)
  if (named === undefined) return 'invalid-request'
  if ((absolute[1]!.toLowerCase() === 'https') !== tls) return 'misdirected'
  if (!isOurs(named.authority, request, options.authorities)) return 'misdirected'
  if (canonicalHost(request.headers.host ?? '', tls)?.authority !== named.authority) return 'invalid-request'
  const rest = absolute[3]!
  request.url = rest.startsWith('/') ? rest : `/${rest}`
  return undefined
}

function isOurs(authority: string, request: IncomingMessage, authorities: readonly string[] = []): boolean {
  const { localAddress = '', localPort } = request.socket
  const tls = 'encrypted' in request.socket
  const address = localAddress.startsWith('::ffff:') ? localAddress.slice(7) : localAddress
  const own = [address.includes(':') ? `[${address}]` : address, 'localhost'].map(
    host => `${host}:${localPort}`,
  )
  return [...own, ...authorities].some(each => canonicalHost(each, tls)?.authority === authority)
}

/** What Node's parser refused, in the client's own protocol, and then the end of the connection. */
function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  endRaw(socket, codeOf(error))
}

function codeOf({ code = '' }: NodeJS.ErrnoException): ErrorCode {
  return parserCodes[code] ?? 'invalid-request'
}

function tell({ unreadable }: ServerOptions, socket: Socket, code: ErrorCode): void {
  unreadable?.(clientAt(socket), { code })
}

const parserCodes: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
}

function end(response: ServerResponse, code: ErrorCode): void {
  const { status, title } = errorKinds[code]
  const headers = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' }
  response.writeHead(
    status,
    response.req.httpVersionMajor === 1 ? { ...headers, Connection: 'close' } : headers,
  )
  response.end(document(code, status, title))
}

function endRaw(socket: Duplex, code: ErrorCode): void {
  const { status, title } = errorKinds[code]
  const body = document(code, status, title)
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}

function document(code: string, status: number, title: string): string {
  return `${JSON.stringify({ type: `https://sallyport.dev/errors/${code}`, status, title, code })}\n`
}
