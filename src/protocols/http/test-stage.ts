/** The stage of this folder's tests: a real upstream, the protocol, a real listener and raw clients. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { OpenConnection } from '../../gateway/protocol.ts'
import type { Connection } from '../../model/connection.ts'
import { type FakeGateway, fakeGateway, goodToken } from './fake-gateway.ts'
import { httpProtocol, httpSettings } from './index.ts'
import { refusedRequests } from '../refused-requests.ts'
import { createHttpServer, type ServerOptions } from './server.ts'

export interface Stage {
  readonly gateway: FakeGateway
  readonly port: number
  readonly upstreamPort: number
  readonly open: OpenConnection
  /** Heads that the upstream saw. */
  readonly seen: { method: string; url: string; rawHeaders: string[]; body: string }[]
  readonly server: ReturnType<typeof createHttpServer>
}

export interface StageOptions {
  readonly settings?: Readonly<Record<string, unknown>>
  readonly base?: string
  readonly server?: Partial<ServerOptions>
  readonly gateway?: FakeGateway
  /** Address of an upstream of the test's own. */
  readonly url?: string
}

/** Default upstream: answers with what it got, as JSON. */
export function echo(request: IncomingMessage, body: string): string {
  return JSON.stringify({ method: request.method, url: request.url, body })
}

export async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  return (server.address() as AddressInfo).port
}

export async function stage(
  t: TestContext,
  upstream: RequestListener | undefined,
  options: StageOptions = {},
): Promise<Stage> {
  const seen: Stage['seen'] = []
  const gateway = options.gateway ?? fakeGateway()
  const server = createServer((request, response) => {
    gateway.diary.push('upstream.request')
    let body = ''
    const entry = { method: request.method!, url: request.url!, rawHeaders: request.rawHeaders, body }
    seen.push(entry)
    if (upstream !== undefined) return upstream(request, response)
    request.setEncoding('latin1')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      entry.body = body
      response.setHeader('content-type', 'application/json')
      response.end(echo(request, body))
    })
  })
  const upstreamPort = await listen(server)
  const connection: Connection = {
    name: 'demo',
    protocol: 'http',
    sensitivity: 'medium',
    labels: {},
    credential: {},
    settings: httpSettings.parse({
      url: options.url ?? `http://127.0.0.1:${upstreamPort}`,
      inject: [{ header: 'Authorization', value: 'Bearer ${api_token}' }],
      ...options.settings,
    }),
  }
  const open = httpProtocol.open(connection, gateway)
  const base = options.base ?? ''
  const unreadable = refusedRequests(gateway.audit)
  const front = createHttpServer({
    unreadable: unreadable.note,
    route: request => ((request.url ?? '').startsWith(base) ? { mount: open.http!, base } : undefined),
    ...options.server,
  })
  const port = await listen(front.server as Server)
  t.after(async () => {
    await Promise.all([open.close(0), front.close(0)])
    unreadable.close()
    server.closeAllConnections()
    server.close()
  })
  return { gateway, port, upstreamPort, open, seen, server: front }
}

/** Sends bytes as they are and resolves with all that came back until `until` matches or the connection ends. */
export function raw(port: number, bytes: string, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')))
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      got += chunk
      if (until?.test(got) === true) socket.destroy()
    })
    socket.on('close', () => resolve(got))
    socket.on('error', error =>
      (error as { code?: string }).code === 'ECONNRESET' ? resolve(got) : reject(error),
    )
  })
}

/** A raw client that talks step by step. */
export async function dialogue(port: number): Promise<{
  readonly socket: Socket
  write(text: string): void
  /** Resolves when what came so far matches, or with everything at the end. */
  until(pattern: RegExp): Promise<string>
  readonly closed: Promise<string>
}> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  await new Promise(resolve => socket.once('connect', resolve))
  let got = ''
  let check = (): void => {}
  socket.on('data', (chunk: string) => {
    got += chunk
    check()
  })
  socket.on('error', () => {})
  const closed = new Promise<string>(resolve => socket.on('close', () => resolve(got)))
  return {
    socket,
    closed,
    write: text => void socket.write(Buffer.from(text, 'latin1')),
    until: pattern =>
      new Promise(resolve => {
        check = () => {
          if (pattern.test(got)) resolve(got)
        }
        check()
        void closed.then(resolve)
      }),
  }
}

/** A request's text, with our token unless told otherwise. */
export function requestText(line: string, headers: readonly string[] = [], body = ''): string {
  const own = headers.some(header => /^host:/i.test(header)) ? [] : ['Host: gw.example.com']
  const auth = headers.some(header => /^authorization:/i.test(header))
    ? []
    : [`Authorization: Bearer ${goodToken}`]
  return `${[`${line} HTTP/1.1`, ...own, ...auth, ...headers].join('\r\n')}\r\n\r\n${body}`
}
