/**
 * A connection of the HTTP family: takes requests whose address named it, finds out who asks and for what, and has
 * the path perform it. What differs between APIs is in the Flavour.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ClientFacts } from '../../audit/audit.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { perform } from '../../gateway/perform.ts'
import type { HttpMount, OpenConnection } from '../../gateway/protocol.ts'
import type { Refusal } from '../../identity/authenticator.ts'
import type { Connection } from '../../model/connection.ts'
import type { Subject } from '../../model/subject.ts'
import { HttpAction, type ReadBody } from './action.ts'
import { judgedBody, readWhole } from './body.ts'
import { clientOf, Downstream } from './downstream.ts'
import { HttpExchange } from './exchange.ts'
import type { Flavour, HttpOperation, UpstreamBase } from './flavour.ts'
import { requestRules } from './headers.ts'
import { faulted, sendRefused, unauthenticated } from './refusal.ts'
import { type RefusedIdentities, refusedIdentities } from './refused-identities.ts'
import { readHead, type RequestHead, type RequestPolicy } from './request.ts'
import { Upstream } from './upstream.ts'

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
  readonly #running = new Set<Downstream>()
  #closing = false
  #idle: (() => void) | undefined

  constructor(connection: Connection, gateway: Gateway, flavour: Flavour) {
    this.connection = connection
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
    }
    this.#upstream = new Upstream(settings)
    this.#refused = refusedIdentities(gateway.audit, connection)
    this.http = {
      request: (request, response, base) => void this.#request(request, response, base),
      upgrade: (...asked) => void this.#upgrade(...asked),
    }
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    const { tls, timeouts } = this.#flavour.settings
    for (const upstream of this.#flavour.upstreams) {
      const problem = await dial(upstream, { name: tls.server_name, timeoutMs: timeouts.connect })
      if (problem !== undefined) return { ok: false, detail: `${upstream.host}: ${problem}` }
    }
    return { ok: true, detail: `${this.#flavour.upstreams.map(each => each.host).join(', ')} can be reached` }
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true
    if (this.#running.size > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, graceMs)
        this.#idle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    for (const downstream of this.#running) downstream.cut()
    this.#refused.close()
    await this.#upstream.close()
  }

  async #request(request: IncomingMessage, response: ServerResponse, base: string): Promise<void> {
    const downstream = new Downstream(request, response)
    this.#running.add(downstream)
    try {
      await this.#serve(downstream, base)
    } catch (error) {
      const fault = asGatewayError(error)
      if (downstream.headSent) downstream.cut()
      else sendRefused(downstream, faulted(fault, undefined, this.#flavour), endsConnection(fault))
    } finally {
      this.#running.delete(downstream)
      if (this.#running.size === 0) this.#idle?.()
    }
  }

  async #serve(downstream: Downstream, base: string): Promise<void> {
    if (this.#closing) throw new GatewayError('shutting-down')
    const { request } = downstream
    const head = readHead(request, base, this.#policy)
    const client = clientOf(request, head.agent)
    const found = this.#identify(head.tokens)
    const identified = found instanceof Promise ? await found : found
    if ('refusal' in identified) {
      await this.#refused.note(client, identified.refusal)
      const refused = unauthenticated(head.tokens.length > 0, this.#flavour)
      return sendRefused(downstream, refused, head.expectsContinue)
    }
    await this.#perform(downstream, { head, client, base, subject: identified.subject })
  }

  async #perform(
    downstream: Downstream,
    of: {
      readonly head: RequestHead
      readonly client: ClientFacts
      readonly base: string
      readonly subject: Subject
    },
  ): Promise<void> {
    const { connection } = this
    const { head } = of
    const resumed = this.#gateway.sessions.resume(of.subject, connection, of.client)
    const session = resumed instanceof Promise ? await resumed : resumed
    const operation = this.#flavour.operationOf({ method: head.method, path: head.judged })
    const body = head.hasBody ? await this.#read(downstream, head, operation) : undefined
    const exchange = new HttpExchange({
      connection,
      gateway: this.#gateway,
      flavour: this.#flavour,
      upstream: this.#upstream,
      downstream,
      head,
      base: of.base,
      operation,
      body,
      action: new HttpAction(head, operation, body),
    })
    await perform(this.#gateway, session, exchange)
  }

  /** Reads the body where a rule may need it. Before the intent: the digest of the action covers it. */
  async #read(
    downstream: Downstream,
    head: RequestHead,
    operation: HttpOperation,
  ): Promise<ReadBody | undefined> {
    if (!this.#gateway.policy.demands(this.connection, operation.operation).body) return undefined
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
  #identify(tokens: readonly string[]): Found | Promise<Found> {
    if (tokens.length === 0) return { refusal: { reason: 'credential-missing' } }
    const first = this.#gateway.authenticator.identify({ token: tokens[0]! })
    if (!(first instanceof Promise) && ('subject' in first || tokens.length === 1)) return first
    return this.#identifyNext(first, tokens.slice(1, maxCandidates))
  }

  async #identifyNext(first: Found | Promise<Found>, others: readonly string[]): Promise<Found> {
    const refused = await first
    if ('subject' in refused) return refused
    for (const token of others) {
      const next = await this.#gateway.authenticator.identify({ token })
      if ('subject' in next) return next
    }
    return refused
  }

  async #upgrade(...[, socket]: Parameters<HttpMount['upgrade']>): Promise<void> {
    socket.destroy()
  }
}

type Found = { readonly subject: Subject } | { readonly refusal: Refusal }

/** After a head that can't be trusted, or a body that was not read, nobody knows where the next request begins. */
function endsConnection(fault: GatewayError): boolean {
  return fault.code === 'shutting-down' || [400, 408, 413, 414, 415, 431].includes(fault.status)
}

/** Connects and hangs up. Resolves with what went wrong, or undefined. */
function dial(
  to: UpstreamBase,
  how: { readonly name: string | undefined; readonly timeoutMs: number },
): Promise<string | undefined> {
  const url = new URL(to.origin)
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (secure ? 443 : 80))
  return new Promise(resolve => {
    // The handshake's certificate is checked when it counts, by the first call; this only asks whether anyone is there.
    const socket = secure
      ? connectTls({ host, port, servername: how.name ?? host, rejectUnauthorized: false })
      : connectTcp({ host, port })
    const done = (problem?: string): void => {
      socket.destroy()
      resolve(problem)
    }
    socket.setTimeout(how.timeoutMs, () => done('no answer in time'))
    socket.once(secure ? 'secureConnect' : 'connect', () => done())
    socket.once('error', error => done((error as { code?: string }).code ?? 'failed'))
  })
}
