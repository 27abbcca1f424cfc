/** A connection that speaks MCP: takes what clients of both eras send to its one address. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError, asGatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { HttpMount, OpenConnection } from '../../gateway/protocol.ts'
import type { Identified } from '../../identity/authenticator.ts'
import { identifyShown } from '../../identity/certificates.ts'
import type { Session } from '../../gateway/session.ts'
import type { Connection } from '../../model/connection.ts'
import { type Subject, subjectKey } from '../../model/subject.ts'
import { readWhole } from '../http/body.ts'
import { dial } from '../http/dial.ts'
import { clientOf, Downstream } from '../http/downstream.ts'
import { upstreamBase } from '../http/flavour.ts'
import { requestRules } from '../http/headers.ts'
import { endsConnection, faulted as problem, sendRefused, unauthenticated } from '../http/refusal.ts'
import { readHead, type RequestHead, type RequestPolicy } from '../http/request.ts'
import { type CommonSettings, parseCommonSettings } from '../http/settings.ts'
import { Upstream } from '../http/upstream.ts'
import { type RefusedIdentities, refusedIdentities } from '../refused-identities.ts'
import { type RefusedRequests, refusedRequests } from '../refused-requests.ts'
import { Running } from '../running.ts'
import type { Origin } from '../story.ts'
import type { Caller, Parts } from './caller.ts'
import { ClientSession, ClientSessions } from './client-sessions.ts'
import { readMessage, writeMessage } from './codec.ts'
import { ConnectionPins } from './connection-pins.ts'
import { Answer } from './downstream.ts'
import {
  bareClient,
  checkContentType,
  type ClientProfile,
  eraOf,
  headerValues,
  type HeaderValues,
  modernProfile,
} from './envelope.ts'
import { Holds } from './holds.ts'
import { isKnownHost, isKnownOrigin } from './hosts.ts'
import { openHttpLink } from './upstream.ts'
import { ProcessDiary } from './process-diary.ts'
import { Replay, ReplayStore } from './replay.ts'
import { Requests } from './requests.ts'
import {
  codes,
  fieldsOf,
  isFields,
  type RequestId,
  RpcError,
  type RpcMessage,
  type RpcRequest,
} from './rpc.ts'
import { SealedStates } from './sealed-state.ts'
import { Server } from './server.ts'
import type { McpSettings, ServerSettings } from './settings.ts'
import { StdioPool } from './stdio-pool.ts'
import { negotiated, primedSince } from './versions.ts'
import { VirtualServer } from './virtual-server.ts'

const sweepMs = 60_000

export class McpConnection implements OpenConnection {
  readonly connection: Connection
  readonly http: HttpMount
  readonly #gateway: Gateway
  readonly #parts: Parts
  readonly #policy: RequestPolicy
  readonly #upstream: Upstream
  readonly #refused: RefusedIdentities
  readonly #unreadable: RefusedRequests
  readonly #requests: Requests
  readonly #sessions: ClientSessions
  readonly #replays: ReplayStore
  readonly #running = new Running<Downstream>()
  readonly #pools: (StdioPool | undefined)[] = []
  readonly #sweeper: NodeJS.Timeout
  readonly #forgetEnded: (() => void) | undefined

  constructor(connection: Connection, gateway: Gateway) {
    const settings = connection.settings as McpSettings
    const common = commonOf(settings)
    const places = { headers: ['authorization'], query: [] }
    this.connection = connection
    this.#policy = {
      settings: common,
      places,
      rules: requestRules(common, places, []),
      strippedQuery: new Set(['access_token']),
    }
    this.#upstream = new Upstream(common)
    this.#refused = refusedIdentities(gateway.audit, connection)
    this.#unreadable = refusedRequests(gateway.audit, connection)
    this.#gateway = gateway
    const virtual = new VirtualServer(this.#servers(settings), settings.timeouts.list)
    const states = new SealedStates(gateway.carryKey?.(`mcp ${connection.name}`))
    const pins = new ConnectionPins(gateway.pins, connection.name, settings.pins)
    this.#parts = { gateway, connection, settings, virtual, states, pins }
    this.#requests = new Requests(this.#parts, new Holds(settings.hold))
    this.#replays = new ReplayStore({ most: settings.limits.replay, keptMs: settings.timeouts.resume })
    this.#sessions = new ClientSessions({
      most: settings.limits.sessions,
      idleMs: settings.timeouts.session,
      onEnd: (session, reason) => this.#sessionEnded(session, reason),
    })
    this.#sweeper = setInterval(() => this.#sessions.sweep(), sweepMs)
    this.#sweeper.unref()
    this.#forgetEnded = gateway.sessions.onEnd?.(session => this.#sessions.ended(session.id))
    this.http = {
      request: (request, response, base) => void this.#run(request, response, base),
      upgrade: (_request, socket) => void socket.destroy(),
    }
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    const { settings } = this.#parts
    for (const [i, { name, url }] of settings.servers.entries()) {
      if (url === undefined) {
        const trouble = this.#pools[i]?.trouble
        if (trouble !== undefined) return { ok: false, detail: `${name}: ${trouble}` }
        continue
      }
      const target = new URL(url)
      target.search = ''
      const failed = await dial(upstreamBase(target.href), this.#upstream.trust, settings.timeouts.connect)
      if (failed !== undefined) return { ok: false, detail: `${name}: ${target.host}: ${failed}` }
    }
    const troubled = this.#parts.virtual.servers.find(({ trouble }) => trouble !== undefined)
    if (troubled !== undefined) return { ok: false, detail: `${troubled.name}: ${troubled.trouble}` }
    return { ok: true, detail: `${settings.servers.map(({ name }) => name).join(', ')} can be reached` }
  }

  async close(graceMs: number): Promise<void> {
    await Promise.all([this.#running.close(graceMs), this.#requests.finish(graceMs)])
    clearInterval(this.#sweeper)
    this.#forgetEnded?.()
    this.#requests.close()
    this.#sessions.closeAll('closed')
    this.#refused.close()
    this.#unreadable.close()
    await Promise.all(this.#parts.virtual.servers.map(server => server.close()))
    await this.#upstream.close()
  }

  #servers(settings: McpSettings): Server[] {
    const several = settings.servers.length > 1
    const maxMessage = settings.limits.message
    return settings.servers.map((server, i) => {
      const shared = { settings: server, upstream: this.#upstream, maxMessage }
      const pool = server.command === undefined ? undefined : this.#pool(server, settings)
      if (pool !== undefined) this.#pools[i] = pool
      return new Server(server, {
        open: (known, contact) => pool?.open(known, contact) ?? openHttpLink(shared, known, contact),
        separate: pool !== undefined,
        onTrouble: trouble => this.#tell(server.name, trouble),
        ...(pool === undefined
          ? {}
          : { close: () => pool.close(), alsoSecret: contact => pool.alsoSecret(contact) }),
        prefix: server.prefix ?? (several ? `${server.name}_` : ''),
        mostItems: settings.limits.catalogue,
        mostLinks: settings.limits.sessions,
        idleMs: settings.timeouts.session,
      })
    })
  }

  #tell(server: string, trouble: string | undefined): void {
    const { logger } = this.#gateway
    const of = { connection: this.connection.name, server }
    if (trouble === undefined) logger?.info('a server can be used again', of)
    else logger?.warn('a server can not be used', { ...of, why: trouble })
  }

  #pool(settings: ServerSettings, { limits, timeouts }: McpSettings): StdioPool {
    const { gateway, connection } = { gateway: this.#gateway, connection: this.connection }
    const { name: server, connections: reaches } = settings
    const diary = new ProcessDiary(gateway, connection, settings)
    return new StdioPool({
      settings,
      maxMessage: limits.message,
      answerMs: timeouts.headers,
      onStderr: (...said) => diary.said(...said),
      onStart: of => diary.started(of),
      onEnd: of => diary.ended(of),
      admit: (token, errands) => {
        const delegate = { connection: connection.name, server, reaches, errands }
        return gateway.delegates?.admit(token, delegate) ?? (() => undefined)
      },
    })
  }

  async #run(request: IncomingMessage, response: ServerResponse, base: string): Promise<void> {
    const downstream = new Downstream(request, response)
    await this.#running.during(downstream, () =>
      this.#serve(downstream, base).catch((error: unknown) => {
        const fault = asGatewayError(error)
        if (downstream.headSent) downstream.cut()
        else sendRefused(downstream, problem(fault, undefined, undefined), endsConnection(fault))
      }),
    )
  }

  async #serve(downstream: Downstream, base: string): Promise<void> {
    if (this.#running.closing) throw new GatewayError('shutting-down')
    const { request } = downstream
    const unread = clientOf(request, undefined)
    const head = this.#unreadable.noting(unread, () => readHead(request, base, this.#policy))
    if (head.judged !== '/' && head.judged !== '/mcp') throw new GatewayError('not-found')
    const headers = headerValues(request.rawHeaders)
    const here = { gateway: this.#parts.gateway, connection: this.connection, settings: this.#parts.settings }
    if (!isKnownHost(head.authority, here) || !isKnownOrigin(headers.get('origin'), here))
      return this.#tellError(this.#answer(downstream, head), undefined, badOrigin)
    const found = await this.#identify(downstream, head)
    if (found === undefined) return
    const origin = { cause: found.cause, traceparent: head.traceparent }
    const arrival: Arrival = { downstream, head, headers, subject: found.subject, origin }
    if (head.method === 'POST') return await this.#post(arrival)
    if (head.method === 'GET') return await this.#stream(arrival)
    if (head.method === 'DELETE') return this.#endSession(arrival)
    this.#answer(downstream, head).empty(405, ['Allow', 'GET, POST, DELETE'])
  }

  /** The first token that is accepted; else the client has its 401. */
  async #identify(
    downstream: Downstream,
    head: RequestHead,
  ): Promise<Extract<Identified, { subject: Subject }> | undefined> {
    const { gateway } = this.#parts
    const path = `/c/${this.connection.name}`
    const [token] = head.tokens
    const { traceparent } = head
    const came = traceparent === undefined ? {} : { traceparent }
    const shown = identifyShown(gateway.authenticator, downstream.request.socket)
    const known = token === undefined || (shown !== undefined && 'refusal' in shown)
    const found = known ? shown : await gateway.authenticator.identify({ token, path, ...came })
    if (found !== undefined && 'subject' in found) return found
    const refusal = found?.refusal ?? { reason: 'credential-missing' as const }
    await this.#refused.note(clientOf(downstream.request, head.agent), refusal)
    const refused = unauthenticated(token !== undefined, undefined, gateway.resourceMetadata?.(path))
    sendRefused(downstream, refused, head.expectsContinue)
    return undefined
  }

  async #post(arrival: Arrival): Promise<void> {
    const { downstream, head } = arrival
    const { limits, timeouts } = this.#parts.settings
    if (head.encodings.length > 0) throw new GatewayError('unsupported-encoding')
    if (head.expectsContinue) downstream.writeContinue()
    const bytes = await readWhole(downstream.request, {
      limit: limits.message,
      timeoutMs: timeouts.request_body,
    })
    let message: RpcMessage | undefined
    try {
      checkContentType(arrival.headers)
      message = readMessage(bytes)
      await this.#take(arrival, message)
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      const answer = this.#answer(downstream, head)
      const id = message?.kind === 'request' ? message.id : undefined
      this.#tellError(
        answer,
        id,
        message === undefined && error.status < 400 ? withStatus(error, 400) : error,
      )
    }
  }

  async #take(arrival: Arrival, message: RpcMessage): Promise<void> {
    const { headers } = arrival
    const era = eraOf(message, headers)
    if (message.kind === 'request' && era === 'modern') {
      const client = modernProfile(message, headers)
      return await this.#perform(arrival, { message, client, session: undefined })
    }
    if (era === 'modern') {
      // The one notification of 2026 belongs to stdio, and answers are part of a request there.
      if (message.kind === 'response')
        throw new RpcError(codes.invalidRequest, 'Invalid request: a response', { status: 400 })
      return this.#answer(arrival.downstream, arrival.head).empty(202)
    }
    if (message.kind === 'request' && message.method === 'initialize')
      return await this.#initialize(arrival, message)
    const session = this.#sessionOf(arrival)
    if (message.kind === 'request') {
      const client = session?.profile ?? bareClient(headers)
      return await this.#perform(arrival, { message, client, session })
    }
    if (message.kind === 'response') session?.settle(message)
    else if (message.method === 'notifications/cancelled') session?.cancel(message.params['requestId'])
    this.#answer(arrival.downstream, arrival.head).empty(202)
  }

  /** Throws 404 for a session that is not (or no longer) this identity's. */
  #sessionOf({ headers, subject }: Arrival): ClientSession | undefined {
    const id = headers.get('mcp-session-id')
    if (id === undefined) return undefined
    const found = this.#sessions.find(id, subjectKey(subject))
    if (found === undefined) throw new RpcError(codes.invalidRequest, 'Session not found', { status: 404 })
    return found
  }

  async #initialize(arrival: Arrival, message: RpcRequest): Promise<void> {
    const { params } = message
    const capabilities = fieldsOf(params['capabilities'])
    const info = isFields(params['clientInfo']) ? params['clientInfo'] : undefined
    const client: ClientProfile = {
      era: 'legacy',
      version: negotiated(params['protocolVersion']),
      capabilities,
      info,
    }
    const { gateway } = this.#parts
    const facts = clientOf(arrival.downstream.request, arrival.head.agent)
    const opened = await gateway.sessions.open(arrival.subject, this.connection, facts)
    const session = new ClientSession(opened, subjectKey(arrival.subject), client)
    this.#sessions.add(session)
    await this.#perform(arrival, { message, client, session })
  }

  async #perform(
    arrival: Arrival,
    of: {
      readonly message: RpcRequest
      readonly client: ClientProfile
      readonly session: ClientSession | undefined
    },
  ): Promise<void> {
    const { message, client, session } = of
    const { id, method, params } = message
    const asked = {
      id,
      method,
      params,
      client,
      origin: arrival.origin,
      ...(session === undefined ? {} : { session: session.session.id }),
    }
    const caller: Caller = {
      session: session === undefined ? await this.#resume(arrival) : sessionOfNow(session, arrival),
      asked,
      headers: arrival.headers,
      answer: this.#answer(arrival.downstream, arrival.head, { session }),
      client: session,
    }
    await this.#requests.take(caller)
  }

  async #resume({ downstream, head, subject }: Arrival): Promise<Session> {
    return await this.#parts.gateway.sessions.resume(
      subject,
      this.connection,
      clientOf(downstream.request, head.agent),
    )
  }

  async #stream(arrival: Arrival): Promise<void> {
    const { downstream, head, headers } = arrival
    let session: ClientSession | undefined
    try {
      session = this.#sessionOf(arrival)
    } catch (error) {
      return this.#tellError(this.#answer(downstream, head), undefined, error as RpcError)
    }
    const accepts = headers.get('accept') ?? ''
    // Of 2025 alone, and of a session; the answer of 2026 is 405.
    if (session === undefined || !accepts.includes('text/event-stream'))
      return this.#answer(downstream, head).empty(405, ['Allow', 'POST'])
    const lastId = headers.get('last-event-id')
    if (lastId !== undefined && (await this.#comeBack(arrival, session, lastId))) return
    session.streams.listensAnew()
    const answer = this.#answer(downstream, head, { session, quiet: true })
    answer.open()
    const asked = {
      id: 'stream',
      method: 'subscriptions/listen',
      params: {},
      client: session.profile,
      session: session.session.id,
    }
    const own = sessionOfNow(session, arrival)
    await this.#requests.stream({ session: own, asked, headers, answer, client: session })
  }

  /**
   * A client that lost a stream gets the rest of it. Resolves when this connection has ended; with false, and nothing
   * sent, where the client only listened and can just as well listen anew.
   */
  async #comeBack(arrival: Arrival, session: ClientSession, lastId: string): Promise<boolean> {
    const { downstream, head } = arrival
    const found = session.streams.find(lastId)
    if (found === 'past') return false
    const ended = new Promise(resolve => downstream.response.once('close', resolve))
    const resumed = found?.answer.resume(arrival, found.after) ?? 'gone'
    if (resumed === 'resumed') await ended
    else if (found?.answer.quiet === true) {
      if (found.answer.waiting) found.answer.abandon()
      return false
    } else {
      // Not 404, which would say that the session has gone.
      const error = resumed === 'denied' ? notForYou : notKept
      this.#tellError(this.#answer(downstream, head), undefined, error)
    }
    return true
  }

  #endSession(arrival: Arrival): void {
    const { downstream, head } = arrival
    let session: ClientSession | undefined
    try {
      session = this.#sessionOf(arrival)
    } catch (error) {
      return this.#tellError(this.#answer(downstream, head), undefined, error as RpcError)
    }
    const answer = this.#answer(downstream, head)
    if (session === undefined) return answer.empty(405, ['Allow', 'POST'])
    this.#sessions.end(session, 'closed')
    answer.empty(200)
  }

  #sessionEnded(session: ClientSession, reason: string): void {
    const { gateway, virtual } = this.#parts
    void gateway.sessions.close(session.session, reason).catch(() => undefined)
    for (const server of virtual.servers) void server.end(session.id).catch(() => undefined)
  }

  #answer(
    downstream: Downstream,
    head: RequestHead,
    of: { readonly session?: ClientSession | undefined; readonly quiet?: boolean } = {},
  ): Answer {
    const { session, quiet = false } = of
    const accepts =
      head.headers.findLast((_, i) => i % 2 === 1 && head.headers[i - 1]!.toLowerCase() === 'accept') ?? '*/*'
    return new Answer(downstream, {
      headers: session === undefined ? [] : ['Mcp-Session-Id', session.id],
      keepAliveMs: this.#parts.settings.timeouts.keep_alive,
      mayStream: quiet || /text\/event-stream|\*\/\*|text\/\*/.test(accepts),
      quiet,
      replay:
        session === undefined || this.#replays.keptMs === 0
          ? undefined
          : new Replay(this.#replays, session.streams, {
              primes: session.profile.version >= primedSince,
              kind: quiet ? 'listening' : 'answering',
            }),
    })
  }

  #tellError(answer: Answer, id: RequestId | undefined, error: RpcError): void {
    answer.finish(writeMessage({ kind: 'response', id: id ?? null, error: error.body }), error.status)
  }
}

/** One request as it came. */
interface Arrival {
  readonly downstream: Downstream
  readonly head: RequestHead
  readonly headers: HeaderValues
  readonly subject: Subject
  readonly origin: Origin
}

const badOrigin = new RpcError(codes.invalidRequest, 'Forbidden: not a host or origin of this connection', {
  status: 403,
})

const notKept = new RpcError(codes.invalidRequest, 'This event is not kept any more', { status: 400 })
const notForYou = new RpcError(codes.invalidRequest, 'Policy does not give you the rest of this stream', {
  status: 403,
})

/** Who is judged and recorded is who asks now: a newer token may bring other groups and scopes. */
function sessionOfNow({ session }: ClientSession, { subject }: Arrival): Session {
  return { ...session, subject }
}

function withStatus(error: RpcError, status: number): RpcError {
  return new RpcError(error.code, error.message, { status, data: error.data })
}

/** The options of the HTTP side that this protocol shares. */
function commonOf(settings: McpSettings): CommonSettings {
  const base = parseCommonSettings({})
  const { limits, timeouts, tls, pool } = settings
  const { url_length, headers, header_count } = limits
  return {
    ...base,
    tls,
    pool,
    timeouts: {
      connect: timeouts.connect,
      headers: timeouts.headers,
      idle: timeouts.idle,
      request_body: timeouts.request_body,
    },
    limits: { ...base.limits, url_length, headers, header_count, body: limits.message },
  }
}
