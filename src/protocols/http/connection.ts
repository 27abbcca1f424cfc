/**
 * A connection of the HTTP family: takes requests whose address named it, finds out who asks and for what, and has
 * the path perform it. What differs between APIs is in the Flavour.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ClientFacts } from '../../audit/audit.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { perform } from '../../gateway/perform.ts'
import type { HttpMount, OpenConnection } from '../../gateway/protocol.ts'
import type { Refusal } from '../../identity/authenticator.ts'
import type { Cause } from '../../identity/delegates.ts'
import { identifyShown } from '../../identity/certificates.ts'
import type { Connection } from '../../model/connection.ts'
import type { Subject } from '../../model/subject.ts'
import { HttpAction, type ReadBody } from './action.ts'
import { judgedBody, readWhole } from './body.ts'
import { dial } from './dial.ts'
import { clientOf, Downstream } from './downstream.ts'
import { HttpExchange } from './exchange.ts'
import { followApproval, isReserved } from './follow.ts'
import type { Flavour, HttpOperation } from './flavour.ts'
import type { KeptCall } from './kept-call.ts'
import { requestRules } from './headers.ts'
import { Holds } from './patience.ts'
import { endsConnection, faulted, sendRefused, unauthenticated } from './refusal.ts'
import { type RefusedIdentities, refusedIdentities } from '../refused-identities.ts'
import { type RefusedRequests, refusedRequests } from '../refused-requests.ts'
import { Running } from '../running.ts'
import { readHead, type RequestHead, type RequestPolicy } from './request.ts'
import { Upstream } from './upstream.ts'
import { WebSocketExchange } from './websocket.ts'

/** A client may send its token beside leftovers of its own; more candidates than this are not looked at. */
const maxCandidates = 4

export function createHttpConnection(of: {
  readonly connection: Connection
  readonly gateway: Gateway
  readonly flavour: Flavour
}): OpenConnection {
  return new HttpConnection(of.connection, of.gateway, of.flavour)
}

class HttpConnection implements OpenConnection {
  readonly connection: Connection
  readonly http: HttpMount
  readonly #gateway: Gateway
  readonly #flavour: Flavour
  readonly #policy: RequestPolicy
  readonly #upstream: Upstream
  readonly #refused: RefusedIdentities
  readonly #unreadable: RefusedRequests
  readonly #holds: Holds
  readonly #running = new Running<Downstream>()
  /** Of the gateway's address: what a token may be bound to. */
  readonly #path: string

  constructor(connection: Connection, gateway: Gateway, flavour: Flavour) {
    this.connection = connection
    this.#path = `/c/${connection.name}`
    this.#gateway = gateway
    this.#flavour = flavour
    const { settings, credentials, injects } = flavour
    this.#policy = {
      settings,
      places: credentials,
      rules: requestRules(settings, credentials, injects.headers),
      strippedQuery: new Set(
        [...credentials.query, ...injects.query, 'access_token'].map(n => n.toLowerCase()),
      ),
      keepsEscapes: flavour.keepsEscapes,
    }
    this.#upstream = new Upstream(settings)
    this.#holds = new Holds(settings.hold)
    this.#refused = refusedIdentities(gateway.audit, connection)
    this.#unreadable = refusedRequests(gateway.audit, connection)
    this.http = {
      request: (request, response, base) => {
        void this.#run(new Downstream(request, response), downstream => this.#serve(downstream, { base }))
      },
      upgrade: (...asked) => void this.#upgrade(...asked),
    }
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    const { timeouts } = this.#flavour.settings
    for (const upstream of this.#flavour.upstreams) {
      const problem = await dial(upstream, this.#upstream.trust, timeouts.connect)
      if (problem !== undefined) return { ok: false, detail: `${upstream.host}: ${problem}` }
    }
    return { ok: true, detail: `${this.#flavour.upstreams.map(each => each.host).join(', ')} can be reached` }
  }

  async close(graceMs: number): Promise<void> {
    await this.#running.close(graceMs)
    this.#refused.close()
    this.#unreadable.close()
    await this.#upstream.close()
  }

  async #run(downstream: Downstream, take: (downstream: Downstream) => Promise<void>): Promise<void> {
    await this.#running.during(downstream, () =>
      take(downstream).catch((error: unknown) => this.#fail(downstream, asGatewayError(error))),
    )
  }

  #fail(downstream: Downstream, fault: GatewayError): void {
    if (downstream.headSent) downstream.cut()
    else sendRefused(downstream, faulted(fault, undefined, this.#flavour), endsConnection(fault))
  }

  async #serve(downstream: Downstream, arrival: Arrival): Promise<void> {
    if (this.#running.closing) throw new GatewayError('shutting-down')
    const { request } = downstream
    const head = this.#readHead(request, arrival)
    const client = clientOf(request, head.agent)
    const shown = identifyShown(this.#gateway.authenticator, request.socket)
    const known = shown !== undefined && ('refusal' in shown || head.tokens.length === 0)
    const found = known ? shown : this.#identify(head)
    const identified = found instanceof Promise ? await found : found
    if ('refusal' in identified) {
      await this.#refused.note(client, identified.refusal)
      const refused = unauthenticated(
        head.tokens.length > 0,
        this.#flavour,
        this.#gateway.resourceMetadata?.(this.#path),
      )
      return sendRefused(downstream, refused, head.expectsContinue)
    }
    const { subject, cause } = identified
    if (!isReserved(head.judged))
      return await this.#perform(downstream, { head, client, arrival, subject, cause })
    const { connection } = this
    const [gateway, flavour, { base }] = [this.#gateway, this.#flavour, arrival]
    const kept = await followApproval({ connection, gateway, flavour, downstream, head, base, subject })
    if (kept === undefined) return
    const { call, id } = kept
    await this.#perform(downstream, { head: call.head, kept: call, client, arrival: { base }, subject })
    await gateway.deferrals?.release(id)
  }

  /** What can't be read is noted: nobody is known yet to whom an action could belong. */
  #readHead(request: IncomingMessage, { base, upgrade }: Arrival): RequestHead {
    try {
      if (upgrade !== undefined && !this.#flavour.settings.websocket)
        throw new GatewayError('invalid-request', { detail: 'this connection takes no WebSockets' })
      return readHead(request, base, this.#policy)
    } catch (error) {
      this.#unreadable.note(clientOf(request, undefined), asGatewayError(error))
      throw error
    }
  }

  async #perform(
    downstream: Downstream,
    of: {
      readonly head: RequestHead
      readonly client: ClientFacts
      readonly arrival: Arrival
      readonly subject: Subject
      readonly cause?: Cause | undefined
      /** The call to perform in place of the request. */
      readonly kept?: KeptCall
    },
  ): Promise<void> {
    const { connection } = this
    const { head } = of
    const resumed = this.#gateway.sessions.resume(of.subject, connection, of.client)
    const session = resumed instanceof Promise ? await resumed : resumed
    const { base, upgrade } = of.arrival
    const named = this.#flavour.operationOf({ method: head.method, path: head.judged })
    const operation = upgrade === undefined ? named : asWebSocket(named)
    const { kept } = of
    const read = kept ? kept.body : head.hasBody ? await this.#read(downstream, head, operation) : undefined
    const unread = read instanceof GatewayError ? read : undefined
    const body = read instanceof GatewayError ? undefined : read
    const parts = {
      connection,
      gateway: this.#gateway,
      flavour: this.#flavour,
      upstream: this.#upstream,
      downstream,
      head,
      base,
      operation,
      body,
      unread,
      holds: this.#holds,
      followed: kept !== undefined,
      action: new HttpAction(head, operation, { body, cause: of.cause }),
    }
    const exchange = upgrade === undefined ? new HttpExchange(parts) : new WebSocketExchange(parts, upgrade)
    await perform(this.#gateway, session, exchange)
  }

  /** Reads the body where a rule may need it; gives what prevented it, which the action then ends with. */
  async #read(
    downstream: Downstream,
    head: RequestHead,
    operation: HttpOperation,
  ): Promise<ReadBody | GatewayError | undefined> {
    if (!this.#gateway.policy.demands(this.connection, operation.operation).body) return undefined
    try {
      return await this.#readBody(downstream, head)
    } catch (error) {
      return asGatewayError(error)
    }
  }

  /** Before the intent: the digest of the action covers the body. */
  async #readBody(downstream: Downstream, head: RequestHead): Promise<ReadBody> {
    const { limits, timeouts } = this.#flavour.settings
    const limit = limits.judged_body
    if (head.contentLength !== undefined && head.contentLength > limit) {
      throw new GatewayError('body-too-large', {
        detail: `a rule must read this body, and it is over ${limit} bytes`,
      })
    }
    if (head.expectsContinue) downstream.writeContinue()
    const bytes = await readWhole(downstream.request, { limit, timeoutMs: timeouts.request_body })
    const judged = await judgedBody(bytes, { type: head.contentType, encodings: head.encodings, limit })
    return { bytes, judged }
  }

  /** The first candidate that is accepted; else why the first was not. Without waiting where the answer is known. */
  #identify(head: RequestHead): Found | Promise<Found> {
    const [token, ...others] = head.tokens
    if (token === undefined) return { refusal: { reason: 'credential-missing' } }
    const first = this.#ask(token, head)
    if (!(first instanceof Promise) && ('subject' in first || others.length === 0)) return first
    return this.#identifyNext(first, { ...head, tokens: others.slice(0, maxCandidates - 1) })
  }

  #ask(token: string, { traceparent }: RequestHead): Found | Promise<Found> {
    const came = traceparent === undefined ? {} : { traceparent }
    return this.#gateway.authenticator.identify({ token, path: this.#path, ...came })
  }

  async #identifyNext(first: Found | Promise<Found>, head: RequestHead): Promise<Found> {
    const refused = await first
    if ('subject' in refused) return refused
    for (const token of head.tokens) {
      const next = await this.#ask(token, head)
      if ('subject' in next) return next
    }
    return refused
  }

  async #upgrade(...[request, duplex, rest, base]: Parameters<HttpMount['upgrade']>): Promise<void> {
    // A response of our own, so that a refusal is an ordinary answer; a WebSocket takes the socket away from it.
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(duplex as Socket)
    response.on('finish', () => duplex.end())
    const take = (downstream: Downstream): Promise<void> =>
      this.#serve(downstream, { base, upgrade: { duplex, rest } })
    await this.#run(new Downstream(request, response), take)
  }
}

/** How a request came: under which prefix, and for an upgrade with which socket. */
interface Arrival {
  readonly base: string
  readonly upgrade?: { readonly duplex: Duplex; readonly rest: Buffer }
}

type Found = { readonly subject: Subject; readonly cause?: Cause } | { readonly refusal: Refusal }

/** What will be said over a WebSocket is not known at its handshake, so it counts as a write at least. */
function asWebSocket(operation: HttpOperation): HttpOperation {
  const risk = operation.risk === 'read' ? 'write' : operation.risk
  return { ...operation, risk, facts: { ...operation.facts, upgrade: 'websocket' } }
}
