/**
 * A practice MCP server that speaks both eras at one address: 2026-07-28 without sessions, and 2025 with them. It has
 * what the conformance suite asks of a server, tasks included.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  localhostHostValidation,
  localhostOriginValidation,
  type NodeIncomingMessageLike,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
} from '@modelcontextprotocol/node'
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  type McpServer,
} from '@modelcontextprotocol/server'
import { createEventStore } from './event-store.ts'
import { buildServer } from './fixture/build-server.ts'
import { TaskFront } from './tasks/task-front.ts'

export interface PracticeMcp extends AsyncDisposable {
  /** Its one address. */
  readonly url: string
  /** The heads of the requests that arrived, newest last, at most 1000. */
  readonly heads: readonly Readonly<Record<string, string | string[] | undefined>>[]
  close(): Promise<void>
}

export interface PracticeMcpOptions {
  readonly port?: number
  /** Which eras it speaks; default both. */
  readonly eras?: readonly ('legacy' | 'modern')[]
  /** Asked first: false, and the request has been answered. */
  readonly admit?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Adds to each server that is built. */
  readonly extend?: (server: McpServer) => void
}

interface Session {
  readonly transport: NodeStreamableHTTPServerTransport
  readonly server: McpServer
}

export async function startPracticeMcp(options: PracticeMcpOptions = {}): Promise<PracticeMcp> {
  const practice = new Practice(options)
  const server = createServer((request, response) => {
    practice.handle(request, response).catch((error: Error) => {
      if (!response.headersSent) fail(response, 500, { code: -32603, message: error.message })
      else response.destroy()
    })
  })
  await new Promise<void>(done => server.listen(options.port ?? 0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  async function close() {
    await practice.close()
    server.closeAllConnections()
    await new Promise(done => server.close(done))
  }
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    heads: practice.heads,
    close,
    [Symbol.asyncDispose]: close,
  }
}

class Practice {
  readonly heads: IncomingMessage['headers'][] = []
  readonly #eras: readonly string[]
  readonly #options: PracticeMcpOptions
  readonly #tasks = new TaskFront()
  readonly #sessions = new Map<string, Session>()
  readonly #host = localhostHostValidation()
  readonly #origin = localhostOriginValidation()
  readonly #modern = createMcpHandler(() => this.#build(), { legacy: 'reject' })
  readonly #modernNode = toNodeHandler(this.#modern)

  constructor(options: PracticeMcpOptions) {
    this.#options = options
    this.#eras = options.eras ?? ['legacy', 'modern']
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#host(request, response) || !this.#origin(request, response)) return
    if (this.#options.admit?.(request, response) === false) return
    this.heads.push(request.headers)
    if (this.heads.length > 1000) this.heads.shift()
    if (request.url?.split('?', 1)[0] !== '/mcp') return void response.writeHead(404).end()
    const body = request.method === 'POST' ? await readJson(request) : undefined
    if (body === invalid) return fail(response, 400, { code: -32700, message: 'not JSON' })
    if (this.#eras.includes('modern') && (isModern(request, body) || !this.#eras.includes('legacy')))
      return this.#handleModern(request, response, body)
    await this.#handleLegacy(request, response, body)
  }

  async close(): Promise<void> {
    this.#tasks.close()
    await this.#modern.close()
    await Promise.all([...this.#sessions.values()].map(({ server }) => server.close()))
  }

  #build(): McpServer {
    const server = buildServer({
      notify: this.#modern.notify,
      breakStream: (session, call) => this.#sessions.get(session ?? '')?.transport.closeSSEStream(call),
    })
    this.#options.extend?.(server)
    return server
  }

  async #handleModern(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const message = (body ?? {}) as {
      id?: string | number
      method?: string
      params?: Record<string, unknown>
    }
    if (message.id !== undefined && message.method !== undefined) {
      const { id, method, params = {} } = message
      const header = (name: string) => [request.headers[name]].flat()[0]
      const answer = this.#tasks.answer({ id, method, params, header })
      if (answer !== undefined) return send(response, answer.status, answer.body)
    }
    await this.#modernNode(request as NodeIncomingMessageLike, response, body)
  }

  async #handleLegacy(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers['mcp-session-id']
    const session = typeof id === 'string' ? this.#sessions.get(id) : await this.#open(body)
    if (session === undefined)
      return id === undefined
        ? fail(response, 400, { code: -32000, message: 'a session id is needed' })
        : fail(response, 404, { code: -32001, message: 'no such session' })
    await session.transport.handleRequest(request, response, body)
  }

  async #open(body: unknown): Promise<Session | undefined> {
    if (!isInitializeRequest(body)) return undefined
    const server = this.#build()
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 500,
      onsessioninitialized: id => void this.#sessions.set(id, { transport, server }),
      onsessionclosed: id => void this.#sessions.delete(id),
    })
    await server.connect(transport)
    return { transport, server }
  }
}

function isModern(request: IncomingMessage, body: unknown): boolean {
  const version = [request.headers['mcp-protocol-version']].flat()[0]
  const method = [request.headers['mcp-method']].flat()[0]
  return (
    classifyInboundRequest({
      httpMethod: request.method ?? 'GET',
      ...(version === undefined ? {} : { protocolVersionHeader: version }),
      ...(method === undefined ? {} : { mcpMethodHeader: method }),
      body,
    }).kind !== 'legacy'
  )
}

const invalid = Symbol('invalid')

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > 4 * 1024 * 1024) return invalid
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown
  } catch {
    return invalid
  }
}

function fail(response: ServerResponse, status: number, error: object): void {
  send(response, status, { jsonrpc: '2.0', id: null, error })
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
