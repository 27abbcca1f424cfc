import { chmod, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { CertificateConfig } from '../config/certificates.ts'
import type { LimitsConfig, ListenConfig } from '../config/listen.ts'
import { GatewayError } from '../errors.ts'
import { routeByAddress, routeToOne } from '../protocols/http/router.ts'
import type { RefusedRequests } from '../protocols/refused-requests.ts'
import { createHttpServer, type HttpServer, type Routed } from '../protocols/http/server.ts'
import { refusePage, wantsPage } from './browser/refuse-pages.ts'
import type { ConnectionTable } from './connections.ts'
import { findPage, type Handle, type Page } from './pages.ts'
import {
  type ClientTrust,
  type ListenerTls,
  readTrust,
  TlsStarter,
  tlsOptions,
  watchTrust,
} from './start-tls.ts'
import { createWireServer } from './wire-server.ts'

/** A listener that takes clients. */
export interface Listening {
  /** `http://127.0.0.1:8080`, as clients reach it; `tcp://127.0.0.1:5432` for a wire that is not HTTP. */
  readonly url: string
  /** The one connection it serves, if it serves only one. */
  readonly connection?: string
  readonly server: Pick<HttpServer, 'close'>
}

export interface ListenOptions {
  readonly listen: ListenConfig
  /** Whose certificates a listener may ask for. */
  readonly certificates: readonly CertificateConfig[]
  readonly limits: LimitsConfig
  /** Directory that relative certificate paths start from. */
  readonly base: string
  readonly table: ConnectionTable
  /** `gw.example.com`: `datadog-prod.gw.example.com` then names the connection `datadog-prod`. */
  readonly domain: string | undefined
  readonly pages: readonly Page[]
  readonly authorities: readonly string[]
  /** Takes note of what could not be read as a request. */
  readonly unreadable: RefusedRequests
}

/** Opens every listener, or none: if one fails, those before it are closed again. */
export async function openListeners(options: ListenOptions): Promise<Listening[]> {
  const open: Listening[] = []
  try {
    for (const each of options.listen) open.push(await openListener(each, options))
    return open
  } catch (error) {
    await Promise.all(open.map(({ server }) => server.close(0)))
    throw error
  }
}

async function openListener(each: ListenConfig[number], options: ListenOptions): Promise<Listening> {
  const { limits } = options
  const tls = each.tls && (await readTls(each.tls, options))
  const { host, port: wanted } = placeOf(each.address)
  const bracketed = host.includes(':') ? `[${host}]` : host
  if (each.connection !== undefined && options.table.find(each.connection)?.wire !== undefined) {
    const starter = tls && new TlsStarter(tls)
    const server = createWireServer({
      connection: each.connection,
      find: name => options.table.find(name),
      connections: limits.connections,
      ...(starter === undefined ? {} : { tls: starter.start }),
    })
    watchClients(each.tls, options, {
      server: server.server,
      renew: clients => starter?.renew({ ...tls!, clients }),
    })
    const port = await listenOn(server.server, wanted, host)
    options.table.reachedAt(each.connection, {
      host: publicHost(options) ?? host,
      port,
      secure: tls !== undefined,
    })
    return { url: `tcp://${bracketed}:${port}`, server, connection: each.connection }
  }
  const server = createHttpServer({
    ...(tls === undefined
      ? {}
      : { tls: { ...tlsOptions(tls), ...(tls.clients && { clientIssuer: tls.clients.issuer }) } }),
    authorities: options.authorities,
    unreadable: options.unreadable.note,
    limits: {
      headers: limits.header_bytes,
      headersTimeout: limits.head_timeout,
      requestTimeout: limits.request_timeout,
      keepAliveTimeout: limits.keep_alive,
      connections: limits.connections,
    },
    route: routeOf(each, options),
  })
  watchClients(each.tls, options, {
    server: server.server,
    renew: clients => server.renew(tlsOptions({ ...tls!, clients })),
  })
  const port = await listenOn(server.server, wanted, host)
  const url = `${tls === undefined ? 'http' : 'https'}://${bracketed}:${port}`
  return { url, server, ...(each.connection === undefined ? {} : { connection: each.connection }) }
}

type TlsConfig = NonNullable<ListenConfig[number]['tls']>

async function readTls(
  { certificate, key, clients }: TlsConfig,
  { base, certificates }: ListenOptions,
): Promise<ListenerTls> {
  const config = certificates.find(({ name }) => name === clients?.issuer)
  const [certificateFile, keyFile] = [resolve(base, certificate), resolve(base, key)]
  const pair = { cert: await readFile(certificateFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  try {
    createSecureContext(pair)
  } catch (cause) {
    const internal = `${certificateFile} and ${keyFile} are no certificate with its key: ${(cause as Error).message}`
    throw new GatewayError('internal', { internal, cause })
  }
  return {
    ...pair,
    ...(config === undefined
      ? {}
      : { clients: await readTrust(base, { config, require: clients!.require }) }),
  }
}

/** Takes up other authorities and revocations while the server is open. */
function watchClients(
  tls: TlsConfig | undefined,
  { base, certificates }: ListenOptions,
  of: { readonly server: NetServer; readonly renew: (clients: ClientTrust) => void },
): void {
  const config = certificates.find(({ name }) => name === tls?.clients?.issuer)
  if (config === undefined) return
  const unwatch = watchTrust(base, { config, require: tls!.clients!.require }, of.renew)
  of.server.once('close', unwatch)
}

/** What clients call the gateway, where that is configured. */
function publicHost({ authorities: [first] }: ListenOptions): string | undefined {
  return first === undefined ? undefined : new URL(`http://${first}`).hostname.replace(/^\[|\]$/g, '')
}

function placeOf(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) }
}

/** Resolves with the port once it listens. */
function listenOn(server: NetServer, port: number, host: string): Promise<number> {
  return new Promise((done, failed) => {
    server.once('error', failed)
    server.listen(port, host, () => {
      server.off('error', failed)
      done((server.address() as AddressInfo).port)
    })
  })
}

function routeOf({ connection }: ListenConfig[number], { table, domain, pages }: ListenOptions) {
  if (connection !== undefined) return routeToOne(() => table.find(connection))
  const route = routeByAddress({
    find: name => table.find(name),
    domains: domain === undefined ? [] : [domain.toLowerCase()],
    otherwise: request => findPage(pages, request.url ?? '/'),
  })
  return (request: IncomingMessage): Routed | undefined => {
    const routed = route(request)
    const shared = routed !== undefined && 'mount' in routed && routed.base !== ''
    return shared && wantsPage(request) ? { handle: refusePage } : routed
  }
}

/** Whether the system takes a socket of this name: 108 bytes with the closing zero on Linux, 104 elsewhere. */
export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= 103
}

/** The API on a socket that only this user can open; see `identifyLocally`. */
export async function openLocalSocket(path: string, handle: Handle): Promise<{ close(): Promise<void> }> {
  await rm(path, { force: true })
  const server: Server = createServer(handle)
  // The socket is made inside a directory of mode 0700, so there is no moment in which others could open it.
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(path, () => done())
  })
  await chmod(path, 0o600)
  return {
    close: () =>
      new Promise(done => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
