import { chmod, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import type { LimitsConfig, ListenConfig } from '../config/listen.ts'
import { routeByAddress, routeToOne } from '../protocols/http/router.ts'
import { createHttpServer, type HttpServer } from '../protocols/http/server.ts'
import type { ConnectionTable } from './connections.ts'
import { findPage, type Handle, type Page } from './pages.ts'

/** A listener that takes clients. */
export interface Listening {
  /** `http://127.0.0.1:8080`, as clients reach it. */
  readonly url: string
  /** The one connection it serves, if it serves only one. */
  readonly connection?: string
  readonly server: HttpServer
}

export interface ListenOptions {
  readonly listen: ListenConfig
  readonly limits: LimitsConfig
  /** Directory that relative certificate paths start from. */
  readonly base: string
  readonly table: ConnectionTable
  /** `gw.example.com`: `datadog-prod.gw.example.com` then names the connection `datadog-prod`. */
  readonly domain: string | undefined
  readonly pages: readonly Page[]
  readonly authorities: readonly string[]
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
  const { limits, base } = options
  const tls =
    each.tls === undefined
      ? undefined
      : {
          cert: await readFile(resolve(base, each.tls.certificate), 'utf8'),
          key: await readFile(resolve(base, each.tls.key), 'utf8'),
        }
  const server = createHttpServer({
    ...(tls === undefined ? {} : { tls }),
    authorities: options.authorities,
    limits: {
      headers: limits.header_bytes,
      headersTimeout: limits.head_timeout,
      requestTimeout: limits.request_timeout,
      keepAliveTimeout: limits.keep_alive,
      connections: limits.connections,
    },
    route: routeOf(each, options),
  })
  const at = each.address.lastIndexOf(':')
  const host = each.address.slice(0, at).replace(/^\[|\]$/g, '')
  await new Promise<void>((done, failed) => {
    server.server.once('error', failed)
    server.server.listen(Number(each.address.slice(at + 1)), host, () => {
      server.server.off('error', failed)
      done()
    })
  })
  const { port } = server.server.address() as AddressInfo
  const url = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  return { url, server, ...(each.connection === undefined ? {} : { connection: each.connection }) }
}

function routeOf({ connection }: ListenConfig[number], { table, domain, pages }: ListenOptions) {
  if (connection !== undefined) return routeToOne(() => table.find(connection))
  return routeByAddress({
    find: name => table.find(name),
    domains: domain === undefined ? [] : [domain.toLowerCase()],
    otherwise: request => findPage(pages, request.url ?? '/'),
  })
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
