/** A connection: takes clients from its listener, finds out who they are, logs in for them, and lets them talk. */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { ClientFacts } from '../../audit/audit.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { ClientPlace, OpenConnection, WireClient } from '../../gateway/protocol.ts'
import type { Session } from '../../gateway/session.ts'
import type { Identified } from '../../identity/authenticator.ts'
import { identifyShown } from '../../identity/certificates.ts'
import type { Connection } from '../../model/connection.ts'
import { type RefusedIdentities, refusedIdentities } from '../refused-identities.ts'
import { SessionOver } from './aftermath.ts'
import { Catalogue } from './catalogue.ts'
import { Conversation } from './conversation.ts'
import { FrameError, PayloadReader } from './codec.ts'
import { type Opening, OpeningError, readOpening, turnAway } from './downstream.ts'
import { cancelled } from './exchange.ts'
import { Host } from './host.ts'
import { loadParser } from './judge.ts'
import { cancelUpstream, login, type UpstreamSession } from './login.ts'
import {
  authenticationCleartext,
  authenticationOk,
  backendKeyData,
  errorResponse,
  readyForQuery,
  terminate,
} from './messages.ts'
import { faulted, sqlStates } from './refusal.ts'
import type { PostgresSettings } from './settings.ts'
import { readStartup, type Startup } from './startup.ts'
import { Wire } from './wire.ts'

interface Running {
  readonly host: Host
  readonly upstream: UpstreamSession
  readonly ended: Promise<void>
}

type Hello = Extract<Opening, { kind: 'session' }>

export class PostgresConnection implements OpenConnection {
  readonly connection: Connection
  readonly #gateway: Gateway
  readonly #settings: PostgresSettings
  readonly #refused: RefusedIdentities
  readonly #catalogue: Catalogue
  /** By the key that a cancel request names: our own process id and secret. */
  readonly #running = new Map<string, Running>()
  readonly #opening = new Set<Duplex>()
  readonly #unlisten: (() => void) | undefined
  #pids = 0
  #closing = false

  constructor(connection: Connection, gateway: Gateway) {
    this.connection = connection
    this.#gateway = gateway
    this.#settings = connection.settings as PostgresSettings
    this.#refused = refusedIdentities(gateway.audit, connection)
    this.#catalogue = new Catalogue(this.#settings)
    this.#unlisten = gateway.sessions.onEnd?.(session => {
      // One that parts by itself is no longer to be told.
      for (const { host } of this.#running.values())
        if (host.session === session && !host.parting) leave(host, 'the session was ended')
    })
  }

  readonly wire = (socket: Duplex, client: WireClient): void => {
    socket.on('error', () => socket.destroy())
    if (this.#closing || this.#running.size + this.#opening.size >= this.#settings.limits.sessions) {
      const [code, message] = this.#closing
        ? ['57P03', 'the gateway is stopping']
        : ['53300', 'too many clients']
      return turnAway(socket, { severity: 'FATAL', code: code!, message: message! })
    }
    this.#opening.add(socket)
    void this.#meet(socket, client).finally(() => this.#opening.delete(socket))
  }

  addressAt({ host, port, secure }: ClientPlace): string {
    const place = host.includes(':') ? `[${host}]` : host
    return `postgresql://${place}:${port}/${this.connection.name}${secure ? '?sslmode=verify-full' : ''}`
  }

  async check(): Promise<{ ok: boolean; detail: string }> {
    const { host, port } = this.#settings
    try {
      const session = { target: this.connection } as Session
      await using lease = await this.#gateway.credentials.lease(session)
      const { wire, parameters } = await login(this.#settings, lease.secrets, [])
      wire.send(terminate)
      wire.end()
      return {
        ok: true,
        detail: `${host}:${port} takes the login, server ${parameters.get('server_version') ?? '?'}`,
      }
    } catch (error) {
      const { title, detail } = asGatewayError(error)
      return { ok: false, detail: `${host}:${port}: ${detail ?? title}` }
    }
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true
    this.#unlisten?.()
    for (const socket of this.#opening) socket.destroy()
    const all = [...this.#running.values()]
    // Who is in no transaction and waits for nothing has nothing to finish.
    for (const { host } of all)
      if (host.transaction === 'I' && !host.busy) leave(host, 'the gateway is stopping')
    if (all.length > 0) {
      let timer: NodeJS.Timeout | undefined
      const over = new Promise<void>(resolve => (timer = setTimeout(resolve, graceMs)))
      await Promise.race([Promise.all(all.map(each => each.ended)), over])
      clearTimeout(timer)
    }
    for (const { host } of this.#running.values()) leave(host, 'the gateway is stopping')
    await Promise.all([...this.#running.values()].map(each => each.ended))
    this.#refused.close()
  }

  async #meet(socket: Duplex, client: WireClient): Promise<void> {
    const timer = setTimeout(() => socket.destroy(), this.#settings.timeouts.login)
    try {
      const opening = await readOpening(socket, client.tls)
      if (opening.kind === 'cancel') {
        clearTimeout(timer)
        await this.#cancel(opening)
        socket.end()
        return
      }
      await this.#greet(opening, client, () => clearTimeout(timer))
    } catch (error) {
      if (error instanceof OpeningError) turnAway(socket, error.report)
      else socket.destroy()
    } finally {
      clearTimeout(timer)
    }
  }

  async #greet(hello: Hello, client: WireClient, arrived: () => void): Promise<void> {
    const { socket } = hello
    const secure = hello.secure || client.secure === true
    const { limits } = this.#settings
    // Nobody sends much before they are known.
    let known = false
    const cap = (type: string): number => (known && 'QPBdF'.includes(type) ? limits.message : 64 * 1024)
    const wire = new Wire(socket, cap, hello.early)
    const facts: ClientFacts = { ip: client.ip, port: client.port, ...agentOf(hello) }
    try {
      if (!secure && (this.#settings.require_tls || !isLoopback(client.ip)))
        throw new OpeningError(
          sqlStates.badAuthorization,
          'this connection is taken over TLS only',
          'Use sslmode=require.',
        )
      const startup = readStartup(hello.parameters, {
        connection: this.connection.name,
        settings: this.#settings,
      })
      const { session, identify } = await this.#identify(wire, { facts, hello, token: client.token })
      arrived()
      known = true
      await this.#serve(wire, { hello, startup, session, facts, identify })
    } catch (error) {
      if (error instanceof OpeningError) return turnAway(socket, error.report)
      if (error instanceof SessionOver) return turnAway(socket, error.report)
      if (error instanceof FrameError)
        return turnAway(socket, {
          severity: 'FATAL',
          code: error.tooLong ? sqlStates.tooLong : sqlStates.protocol,
          message: `protocol violation: ${error.message}`,
        })
      turnAway(socket, faulted(asGatewayError(error)))
    }
  }

  /**
   * Opens a session for whom the token names: that of the way here, or the password that is asked for. A client that has
   * shown a certificate is asked for nothing.
   */
  async #identify(
    wire: Wire,
    of: { readonly facts: ClientFacts; readonly hello: Hello; readonly token: string | undefined },
  ): Promise<{ session: Session; identify: () => Identified | Promise<Identified> }> {
    const { authenticator } = this.#gateway
    const shown = identifyShown(authenticator, of.hello.socket)
    const byCertificate = shown !== undefined && ('refusal' in shown || of.token === undefined)
    const token = byCertificate ? '' : (of.token ?? (await passwordOf(wire)))
    const identify = (): Identified | Promise<Identified> => {
      if (byCertificate) return identifyShown(authenticator, of.hello.socket)!
      return token === '' ? { refusal: { reason: 'credential-missing' } } : authenticator.identify({ token })
    }
    const found = await identify()
    if ('subject' in found)
      return {
        session: await this.#gateway.sessions.open(found.subject, this.connection, of.facts),
        identify,
      }
    await this.#refused.note(of.facts, found.refusal)
    if (byCertificate)
      throw new OpeningError(
        sqlStates.badAuthorization,
        'the client certificate was not accepted',
        'Without one (sslcertmode=disable) the password is a token of the gateway.',
      )
    throw new OpeningError(
      sqlStates.badPassword,
      'the token was not accepted',
      'The password is a token of the gateway: sallyport token.',
    )
  }

  async #serve(
    wire: Wire,
    of: {
      readonly hello: Hello
      readonly startup: Startup
      readonly session: Session
      readonly facts: ClientFacts
      readonly identify: () => Identified | Promise<Identified>
    },
  ): Promise<void> {
    const { session, startup, hello } = of
    const done = Promise.withResolvers<void>()
    let key: string | undefined
    let upstream: UpstreamSession | undefined
    try {
      await loadParser()
      const login = await this.#login(session, startup)
      upstream = login
      const pid = (this.#pids = (this.#pids % 0x7ffffffe) + 1)
      const secret = randomBytes(hello.minor === 2 ? 32 : 4)
      key = keyOf(pid, secret)
      const host = new Host({
        gateway: this.#gateway,
        session,
        settings: this.#settings,
        client: wire,
        facts: of.facts,
        upstream: login,
        catalogue: this.#catalogue,
        cancelUpstream: () => this.#cancelAt(login),
        identify: of.identify,
        changed: startup.changed,
      })
      this.#running.set(key, { host, upstream: login, ended: done.promise })
      wire.onEnd(() => {
        host.abort.abort(new GatewayError('client-gone'))
        // Who waits for the server's answer sees that nobody waits for it any more, and ends what runs there.
        login.wire.wake()
      })
      wire.send(authenticationOk)
      for (const each of login.statuses) wire.send(each.bytes)
      wire.send(backendKeyData(pid, secret))
      wire.send(readyForQuery('I'))
      await new Conversation(host).run()
    } finally {
      await this.#part(session, upstream, key === undefined ? undefined : this.#running.get(key)?.host)
      if (key !== undefined) this.#running.delete(key)
      done.resolve()
    }
    wire.end()
  }

  async #login(session: Session, startup: Startup): Promise<UpstreamSession> {
    await using lease = await this.#gateway.credentials.lease(session)
    const parameters: (readonly [string, string])[] = [
      ...startup.parameters,
      ['client_encoding', 'UTF8'],
      ['application_name', session.id],
    ]
    if (this.#settings.read_only) parameters.push(['default_transaction_read_only', 'on'])
    return await login(this.#settings, lease.secrets, parameters)
  }

  /** Ends the server's side too: what still runs there is cancelled, so that no session is left behind. */
  async #part(
    session: Session,
    upstream: UpstreamSession | undefined,
    host: Host | undefined,
  ): Promise<void> {
    if (host !== undefined) host.parting = true
    if (upstream !== undefined && !upstream.wire.ended) {
      if (host?.forwarded === true) {
        await this.#cancelAt(upstream).catch(() => undefined)
        upstream.wire.destroy()
      } else {
        upstream.wire.send(terminate)
        upstream.wire.end()
      }
    }
    await this.#gateway.sessions.close(session, 'closed')
  }

  async #cancel({ pid, secret }: Extract<Opening, { kind: 'cancel' }>): Promise<void> {
    const running = this.#running.get(keyOf(pid, secret))
    if (running === undefined) return
    running.host.abort.abort(cancelled)
    if (running.host.forwarded) await this.#cancelAt(running.upstream).catch(() => undefined)
  }

  async #cancelAt(upstream: UpstreamSession): Promise<void> {
    await using lease = await this.#gateway.credentials.lease({ target: this.connection } as Session)
    await cancelUpstream(this.#settings, lease.secrets, upstream)
  }
}

function keyOf(pid: number, secret: Buffer): string {
  return `${pid}:${secret.toString('hex')}`
}

/** What the client calls itself: a claim. */
function agentOf({ parameters }: Hello): { agent?: string } {
  const name = parameters.get('application_name')
  return name === undefined || name === '' ? {} : { agent: name.slice(0, 200) }
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || /^(?:::ffff:)?127\./.test(ip)
}

function leave(host: Host, message: string): void {
  host.client.send(errorResponse({ severity: 'FATAL', code: '57P01', message }))
  host.client.end()
  host.client.destroy()
}

async function passwordOf(wire: Wire): Promise<string> {
  wire.send(authenticationCleartext)
  const answer = await nextOf(wire)
  if (answer.type !== 'p') throw new FrameError('a password was asked for')
  const reader = new PayloadReader(answer.bytes)
  const password = reader.text()
  reader.end()
  return password
}

async function nextOf(wire: Wire) {
  for (;;) {
    const found = wire.take()
    if (found !== undefined) return found
    if (wire.ended) throw new GatewayError('client-gone')
    await wire.flush()
    await wire.readable()
  }
}
