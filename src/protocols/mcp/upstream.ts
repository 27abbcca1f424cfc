/** A server reached by Streamable HTTP: which era it is of, its session where it has one, and its answers as they come. */
import { GatewayError } from '../../errors.ts'
import { writeTraceparent } from '../../model/trace.ts'
import { type UpstreamBase, upstreamBase } from '../http/flavour.ts'
import { fillTemplate } from '../http/inject.ts'
import { Call, type Upstream } from '../http/upstream.ts'
import { encodeHeaderValue, readMessage, writeMessage } from './codec.ts'
import { discovered, greeted, handshakeParams, invalid, paramsFor } from './handshake.ts'
import { credentialRefused, type Link, type LinkCall, ScopesLacking, type ServerFacts } from './link.ts'
import { codes, fieldsOf, type RpcMessage, type RpcRequest, type RpcResponse } from './rpc.ts'
import type { ServerSettings } from './settings.ts'
import { type SseEvent, SseReader } from './sse.ts'
import { type Era, latestLegacy, modernVersion } from './versions.ts'

/** What the links of one server share. */
export interface HttpServer {
  readonly settings: ServerSettings
  readonly upstream: Upstream
  readonly maxMessage: number
}

/** A reconnecting reader waits this long where the server does not say. */
const defaultRetryMs = 1000
const longestRetryMs = 30_000
const mostReconnects = 100

type Contact = Pick<LinkCall, 'client' | 'secrets' | 'signal' | 'errand' | 'starting'>

/**
 * Opens a conversation, in the client's own era where the server speaks it: `server/discover` tells one of 2026, an
 * answered handshake one of 2025. Throws GatewayError where it can't be reached or refuses the gateway.
 */
export async function openHttpLink(server: HttpServer, known: Era | 'auto', contact: Contact): Promise<Link> {
  const order: readonly Era[] =
    known !== 'auto' ? [known] : contact.client.era === 'modern' ? ['modern', 'legacy'] : ['legacy', 'modern']
  let refused: GatewayError | undefined
  for (const era of order) {
    const link = new HttpLink(server)
    try {
      if (era === 'legacy') await link.initialize(contact)
      else if (!(await link.discover(contact))) throw invalid('the server does not speak 2026-07-28')
      return link
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'upstream-invalid') throw error
      refused ??= error
    }
  }
  throw refused ?? invalid('the server speaks no era that is known')
}

class HttpLink implements Link {
  era: Era = 'modern'
  facts: ServerFacts = { capabilities: {}, info: undefined, instructions: undefined, version: modernVersion }
  ended = false
  readonly #server: HttpServer
  readonly #base: UpstreamBase
  readonly #path: string
  #session: string | undefined
  #ids = 0

  constructor(server: HttpServer) {
    this.#server = server
    const url = new URL(server.settings.url ?? '')
    this.#path = url.pathname + url.search
    url.search = ''
    this.#base = upstreamBase(url.href)
  }

  /** False where the server is not of 2026. */
  async discover(contact: Contact): Promise<boolean> {
    let answer: RpcResponse | undefined
    try {
      answer = await this.#send({ ...silent, ...quiet(contact), method: 'server/discover', params: {} })
    } catch (error) {
      if (error instanceof NoAnswer) return false
      throw error
    }
    const found = discovered(answer)
    if (found !== undefined && found !== 'unsaid') this.facts = found
    return found !== undefined
  }

  async initialize(contact: Contact): Promise<void> {
    this.era = 'legacy'
    this.facts = { ...this.facts, version: latestLegacy }
    const { client } = contact
    const answer = await this.call({
      ...silent,
      ...quiet(contact),
      method: 'initialize',
      params: handshakeParams(client),
    })
    this.facts = greeted(answer)
    await this.notify({ ...contact, method: 'notifications/initialized', params: {} })
  }

  async call(call: LinkCall): Promise<RpcResponse> {
    try {
      return await this.#send(call)
    } catch (error) {
      if (error instanceof NoAnswer) throw invalid(error.message)
      throw error
    }
  }

  async notify(call: Parameters<Link['notify']>[0]): Promise<void> {
    await this.#post(writeMessage({ kind: 'notification', method: call.method, params: call.params }), {
      ...silent,
      ...call,
    })
  }

  async listen(call: LinkCall): Promise<void> {
    if (this.era === 'modern') {
      await this.#send({ ...call, method: 'subscriptions/listen' })
      return
    }
    const reader = new SseReader(this.#server.maxMessage)
    for (let tries = 0; tries < mostReconnects && !call.signal.aborted; tries++) {
      const request = await this.#request(
        { ...call, starting: tries === 0 ? call.starting : nothing },
        reader.lastId,
      )
      // A server may have no such stream; then there is nothing to hear.
      if (request.status !== 200) {
        this.ended ||= request.status === 404 && this.#session !== undefined
        request.cancel(gone)
        return
      }
      await this.#events(request, reader, { call, id: undefined })
      await pause(reader.retryMs ?? defaultRetryMs, call.signal)
    }
  }

  async close(): Promise<void> {
    this.ended = true
  }

  async #send(call: LinkCall): Promise<RpcResponse> {
    const id = ++this.#ids
    const token = fieldsOf(call.params['_meta'])['progressToken']
    const message: RpcRequest = {
      kind: 'request',
      id,
      method: call.method,
      params: paramsFor(call, this.era, id),
    }
    const routed: LinkCall = {
      ...call,
      headers: [...call.headers, 'traceparent', writeTraceparent(call.errand.trace)],
      onNotification: each =>
        call.onNotification(
          each.method === 'notifications/progress'
            ? { ...each, params: { ...each.params, progressToken: token } }
            : each,
        ),
    }
    try {
      return await this.#answer(await this.#post(writeMessage(message), routed), routed, id)
    } catch (error) {
      if (call.signal.aborted && this.era === 'legacy') this.#cancelled(call, id)
      throw error
    }
  }

  /** A server of 2026 takes the closed stream for it; one of 2025 must be told. */
  #cancelled(call: LinkCall, requestId: number): void {
    const { client, secrets } = call
    const signal = AbortSignal.timeout(5000)
    const params = { requestId, reason: 'cancelled' }
    this.notify({ method: 'notifications/cancelled', params, client, secrets, signal }).catch(nothing)
  }

  async #answer(request: Call, call: LinkCall, id: number): Promise<RpcResponse> {
    const type = headerOf(request, 'content-type')?.split(';', 1)[0]!.trim().toLowerCase() ?? ''
    if (request.status === 401 || request.status === 403) {
      const wanted = request.status === 403 ? scopesWanted(headerOf(request, 'www-authenticate')) : undefined
      request.cancel(gone)
      throw new GatewayError('upstream-invalid', {
        detail:
          wanted === undefined
            ? `the server refused the gateway's credential (${request.status})`
            : `the server wants scopes that the gateway's credential lacks: ${wanted}`,
        ...(request.status === 401 ? { cause: credentialRefused } : {}),
        ...(wanted === undefined
          ? {}
          : { cause: new ScopesLacking(wanted.split(' ').filter(Boolean), this.#sent()) }),
      })
    }
    this.#session ??= call.method === 'initialize' ? headerOf(request, 'mcp-session-id') : undefined
    if (request.status === 404 && this.#session !== undefined && this.era === 'legacy') {
      this.ended = true
      request.cancel(gone)
      throw new NoAnswer('the server has ended its session')
    }
    if (type === 'text/event-stream' && request.status === 200) {
      const reader = new SseReader(this.#server.maxMessage)
      call.onStream?.(false)
      const found = await this.#events(request, reader, { call, id })
      if (found !== undefined) return found
      if (reader.lastId !== undefined) call.onStream?.(true)
      return await this.#resume(reader, call, id)
    }
    if (type === 'application/json' && call.method === 'subscriptions/listen')
      return await this.#lines(request, call, id)
    const bytes = await this.#whole(request)
    const message = type === 'application/json' ? readUpstream(bytes) : undefined
    if (message?.kind === 'response' && (message.id === id || message.id === null)) return message
    throw new NoAnswer(`HTTP ${request.status} without an answer`)
  }

  /** Reads a stream to its end, or to the answer to `id`. */
  async #events(
    request: Call,
    reader: SseReader,
    of: { readonly call: LinkCall; readonly id: number | undefined },
  ): Promise<RpcResponse | undefined> {
    for await (const chunk of request.body()) {
      for (const event of reader.push(chunk)) {
        const answer = await this.#take(event, of.call, of.id)
        if (answer !== undefined) return answer
      }
    }
    return undefined
  }

  async #take(
    event: Pick<SseEvent, 'data'>,
    call: LinkCall,
    id: number | undefined,
  ): Promise<RpcResponse | undefined> {
    if (event.data.trim() === '') return undefined
    const message = readUpstream(Buffer.from(event.data))
    if (message.kind === 'response') return message.id === id && id !== undefined ? message : undefined
    if (message.kind === 'notification') await call.onNotification(message)
    else if (this.era === 'legacy') void this.#serve(message, call).catch(nothing)
    return undefined
  }

  /** Answers what a server of 2025 asks of the client. */
  async #serve(asked: RpcRequest, call: LinkCall): Promise<void> {
    const response = await call.onRequest({ method: asked.method, params: asked.params }).then(
      result => ({ result }),
      (error: unknown) => ({ error: { code: codeOf(error), message: messageOf(error) } }),
    )
    const text = writeMessage({ kind: 'response', id: asked.id, ...response })
    const request = await this.#post(text, { ...call, starting: nothing })
    await this.#whole(request).catch(nothing)
  }

  /** 2025-11-25, "Resumability": a stream may end before its answer, and goes on where it left off. */
  async #resume(reader: SseReader, call: LinkCall, id: number): Promise<RpcResponse> {
    for (
      let tries = 0;
      tries < mostReconnects && reader.lastId !== undefined && this.era === 'legacy';
      tries++
    ) {
      await pause(reader.retryMs ?? defaultRetryMs, call.signal)
      const request = await this.#request({ ...call, starting: nothing }, reader.lastId)
      if (request.status !== 200) break
      const found = await this.#events(request, reader, { call, id })
      if (found !== undefined) return found
    }
    throw new NoAnswer('the stream ended before its answer')
  }

  /** Some servers answer a subscription with one JSON message a line. */
  async #lines(request: Call, call: LinkCall, id: number): Promise<RpcResponse> {
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of request.body()) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
        const answer = await this.#take({ data: rest.toString('utf8', 0, end) }, call, id)
        if (answer !== undefined) return answer
        rest = rest.subarray(end + 1)
      }
      if (rest.length > this.#server.maxMessage) throw invalid('a message is too large')
    }
    const answer = await this.#take({ data: rest.toString('utf8') }, call, id)
    if (answer === undefined) throw new NoAnswer('the stream ended before its answer')
    return answer
  }

  async #post(text: string, call: Omit<LinkCall, 'errand'>): Promise<Call> {
    const headers = [
      ...this.#headers(call),
      'Content-Type',
      'application/json',
      'Accept',
      'application/json, text/event-stream',
      ...(this.era === 'modern' ? modernHeaders(call) : []),
      ...call.headers,
    ]
    return await this.#dispatch({ method: 'POST', headers, body: Buffer.from(text) }, call)
  }

  async #request(call: LinkCall, lastId: string | undefined): Promise<Call> {
    const headers = [...this.#headers(call), 'Accept', 'text/event-stream']
    if (lastId !== undefined) headers.push('Last-Event-ID', lastId)
    return await this.#dispatch({ method: 'GET', headers, body: undefined }, call)
  }

  #headers({ secrets, method }: Pick<LinkCall, 'secrets' | 'method'>): string[] {
    const headers = ['User-Agent', 'sallyport', 'Accept-Encoding', 'identity']
    if (method !== 'initialize') headers.push('MCP-Protocol-Version', this.facts.version)
    if (this.#session !== undefined) headers.push('Mcp-Session-Id', this.#session)
    for (const { header, value } of this.#server.settings.headers)
      headers.push(header, fillTemplate(value, secrets))
    return headers
  }

  /** The names of the credentials that go along with each request. */
  #sent(): string[] {
    const values = this.#server.settings.headers.map(({ value }) => value)
    return values.flatMap(value => [...value.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => name!))
  }

  async #dispatch(
    request: { readonly method: string; readonly headers: string[]; readonly body: Buffer | undefined },
    { signal, secrets, starting }: Pick<LinkCall, 'signal' | 'secrets' | 'starting'>,
  ): Promise<Call> {
    const call = new Call(starting)
    const abort = (): void => call.cancel(reasonOf(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    try {
      await this.#server.upstream.call(this.#base, { ...request, path: this.#path }, { secrets, call })
    } catch (error) {
      signal.removeEventListener('abort', abort)
      throw error
    }
    return call
  }

  async #whole(request: Call): Promise<Buffer> {
    const there = request.whole()
    if (there !== undefined && there.length <= this.#server.maxMessage) return there
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of request.body()) {
      size += chunk.length
      if (size > this.#server.maxMessage) throw invalid(`a message is over ${this.#server.maxMessage} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }
}

/** The server was reached and gave no JSON-RPC answer. */
class NoAnswer extends Error {}

const gone = new GatewayError('client-gone')

const silent = {
  headers: [],
  starting: nothing,
  onNotification: nothing,
  onRequest: () => Promise.reject(new Error('nobody to ask')),
}

/** Of a challenge of RFC 6750 section 3.1, as far as its scopes are written as scopes are. */
function scopesWanted(challenge: string | undefined): string | undefined {
  if (challenge === undefined || !/\berror="insufficient_scope"/.test(challenge)) return undefined
  return /\bscope="([\x21\x23-\x5b\x5d-\x7e ]{1,256})"/.exec(challenge)?.[1]
}

/** The form of a handshake's answer is no concern of the client's. */
function quiet({ client, secrets, signal, errand, starting }: Contact): Contact {
  return { client, secrets, signal, errand, starting }
}

function modernHeaders({ method, params }: Pick<LinkCall, 'method' | 'params'>): string[] {
  const headers = ['Mcp-Method', method]
  const name = params['name'] ?? params['uri'] ?? params['taskId']
  if (typeof name === 'string' && method !== 'completion/complete')
    headers.push('Mcp-Name', encodeHeaderValue(name))
  return headers
}

function headerOf(call: Call, name: string): string | undefined {
  for (let i = 0; i < call.headers.length; i += 2)
    if (call.headers[i]!.toLowerCase() === name) return call.headers[i + 1]
  return undefined
}

/** What a server sent as a message; anything else is its fault. */
function readUpstream(bytes: Buffer): RpcMessage {
  try {
    return readMessage(bytes)
  } catch (cause) {
    throw new GatewayError('upstream-invalid', { detail: 'not a JSON-RPC message', cause })
  }
}

function codeOf(error: unknown): number {
  return error instanceof Error && 'code' in error && typeof error.code === 'number'
    ? error.code
    : codes.internal
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : 'refused'
}

function reasonOf(signal: AbortSignal): GatewayError {
  return signal.reason instanceof GatewayError ? signal.reason : new GatewayError('client-gone')
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, Math.min(ms, longestRetryMs))
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}

function nothing(): void {}
