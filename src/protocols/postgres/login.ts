/** The upstream's side of the start: TCP, TLS, and a login with the lease (PostgreSQL 18, "Start-up"). */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { GatewayError } from '../../errors.ts'
import { cstring, FrameError, int32, message, type Message, PayloadReader, requestCodes } from './codec.ts'
import { readReport } from './messages.ts'
import { md5Answer, type Scram, startScram } from './scram.ts'
import type { PostgresSettings } from './settings.ts'
import { Wire } from './wire.ts'

/** A logged-in session with the server, ready for its first message. */
export interface UpstreamSession {
  readonly wire: Wire
  readonly user: string
  readonly pid: number
  readonly secret: Buffer
  /** ParameterStatus messages of the login, as they came. */
  readonly statuses: readonly Message[]
  readonly parameters: Map<string, string>
}

type Secrets = Readonly<Record<string, string>>

/** Logs in. `parameters` go into the start-up packet. Throws `upstream-unreachable`, `upstream-timeout`, `upstream-invalid`. */
export async function login(
  settings: PostgresSettings,
  secrets: Secrets,
  parameters: readonly (readonly [string, string])[],
): Promise<UpstreamSession> {
  const user = secrets['user'] ?? settings.user
  if (user === undefined)
    throw new GatewayError('credential-unavailable', { detail: 'no user for the upstream' })
  const socket = await dial(settings, secrets)
  const wire = new Wire(socket, type =>
    type === 'D' || type === 'd' ? settings.limits.row : 1024 * 1024 * 16,
  )
  const timer = setTimeout(() => socket.destroy(), settings.timeouts.connect)
  try {
    const pairs = [['user', user] as const, ['database', settings.database] as const, ...parameters]
    const body = Buffer.concat([int32(196608), ...pairs.flat().map(cstring), Buffer.of(0)])
    wire.send(Buffer.concat([int32(body.length + 4), body]))
    return await authenticate(wire, { user, password: secrets['password'], socket })
  } catch (error) {
    socket.destroy()
    if (error instanceof FrameError) throw new GatewayError('upstream-invalid', { cause: error })
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Asks the server to end what this session runs. Best effort: the server answers nothing. */
export async function cancelUpstream(
  settings: PostgresSettings,
  secrets: Secrets,
  { pid, secret }: { readonly pid: number; readonly secret: Buffer },
): Promise<void> {
  const socket = await dial(settings, secrets)
  const body = Buffer.concat([int32(requestCodes.cancel), int32(pid), secret])
  socket.end(Buffer.concat([int32(body.length + 4), body]))
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => socket.destroy(), settings.timeouts.connect)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.resume()
  })
}

/** A connection to the server, within TLS where the settings say so. */
export async function dial(settings: PostgresSettings, secrets: Secrets): Promise<Socket | TLSSocket> {
  const { host, port, tls, timeouts } = settings
  const socket = connectTcp({ host, port, noDelay: true })
  const timer = setTimeout(() => socket.destroy(new Error('timeout')), timeouts.connect)
  try {
    await opened(socket, 'connect')
    if (tls.mode === 'disable') return settled(socket)
    socket.write(Buffer.concat([int32(8), int32(requestCodes.ssl)]))
    const answer = await firstByte(socket)
    if (answer !== 'S')
      throw new GatewayError('upstream-unreachable', { detail: 'the upstream offers no TLS' })
    const { client } = tls
    const secured = connectTls({
      socket,
      servername: tls.server_name ?? (/^[\d.]+$|:/.test(host) ? '' : host),
      host: tls.server_name ?? host,
      rejectUnauthorized: tls.mode === 'verify-full',
      minVersion: 'TLSv1.2',
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(client === undefined ? {} : { cert: secrets[client.certificate], key: secrets[client.key] }),
    })
    await opened(secured, 'secureConnect')
    return settled(secured)
  } catch (error) {
    socket.destroy()
    if (error instanceof GatewayError) throw error
    const timedOut = (error as Error).message === 'timeout'
    throw new GatewayError(timedOut ? 'upstream-timeout' : 'upstream-unreachable', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off('error', reject)
      resolve()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })
}

/** From here on a fault is seen as the end of the stream; an error without a listener would end the process. */
function settled<T extends Socket>(socket: T): T {
  socket.on('error', () => socket.destroy())
  return socket
}

/** The one byte that answers SSLRequest. More than that before the handshake could be injected (CVE-2021-23222). */
function firstByte(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', (chunk: Buffer) => {
      socket.pause()
      if (chunk.length > 1)
        reject(new GatewayError('upstream-invalid', { detail: 'bytes before the TLS handshake' }))
      else resolve(chunk.toString('latin1'))
    })
  })
}

interface Identity {
  readonly user: string
  readonly password: string | undefined
  readonly socket: Socket | TLSSocket
}

async function authenticate(wire: Wire, identity: Identity): Promise<UpstreamSession> {
  const statuses: Message[] = []
  const parameters = new Map<string, string>()
  let scram: Scram | undefined
  let key = { pid: 0, secret: Buffer.alloc(4) }
  for (;;) {
    const each = await nextOf(wire)
    const reader = new PayloadReader(each.bytes)
    switch (each.type) {
      case 'R':
        scram = await answer(wire, reader, { ...identity, scram })
        break
      case 'S':
        statuses.push(copyOf(each))
        parameters.set(reader.text(), reader.text())
        break
      case 'K':
        key = { pid: reader.int32(), secret: Buffer.from(reader.rest()) }
        break
      case 'E':
        throw refusedLogin(readReport(each.bytes))
      case 'Z':
        return { wire, user: identity.user, ...key, statuses, parameters }
      case 'N':
        break
      default:
        throw new GatewayError('upstream-invalid', {
          detail: `login to the upstream: a message of type ${each.type}`,
        })
    }
  }
}

/** A copy: the bytes of the chunk that it stands in can go. */
function copyOf(each: Message): Message {
  return { type: each.type, bytes: Buffer.from(each.bytes) }
}

async function answer(
  wire: Wire,
  reader: PayloadReader,
  of: Identity & { readonly scram: Scram | undefined },
): Promise<Scram | undefined> {
  const code = reader.int32()
  const password = (): string => {
    if (of.password === undefined)
      throw new GatewayError('credential-unavailable', {
        detail: 'the upstream asks for a password and there is none',
      })
    return of.password
  }
  switch (code) {
    case 0:
      return undefined
    case 3:
      if (!('encrypted' in of.socket))
        throw new GatewayError('upstream-invalid', {
          detail: 'the upstream asks for the password in clear, without TLS',
        })
      wire.send(message('p', cstring(password())))
      return undefined
    case 5:
      wire.send(message('p', cstring(md5Answer(of.user, password(), reader.bytes(4)))))
      return undefined
    case 10: {
      const offered: string[] = []
      while (reader.remaining > 1) offered.push(reader.text())
      const certificate =
        'encrypted' in of.socket ? (of.socket as TLSSocket).getPeerCertificate(false).raw : undefined
      const scram = startScram(offered, { password: password(), ...(certificate && { certificate }) })
      const first = Buffer.from(scram.first)
      wire.send(message('p', cstring(scram.mechanism), int32(first.length), first))
      return scram
    }
    case 11:
      wire.send(message('p', Buffer.from(await asked(of.scram).answer(reader.rest().toString('utf8')))))
      return of.scram
    case 12:
      asked(of.scram).verify(reader.rest().toString('utf8'))
      return of.scram
    default:
      throw new GatewayError('upstream-invalid', {
        detail: `login to the upstream: method ${code} is not supported`,
      })
  }
}

function asked(scram: Scram | undefined): Scram {
  if (scram === undefined) throw new GatewayError('upstream-invalid', { detail: 'SASL out of turn' })
  return scram
}

/** SQLSTATE alone: the words may name roles and addresses that are not the client's business. */
function refusedLogin(fields: ReadonlyMap<string, string>): GatewayError {
  return new GatewayError('upstream-unreachable', {
    detail: `the upstream refused the login (SQLSTATE ${fields.get('C') ?? '?'})`,
    internal: fields.get('M') ?? '',
  })
}

async function nextOf(wire: Wire): Promise<Message> {
  for (;;) {
    const found = wire.take()
    if (found !== undefined) return found
    if (wire.ended)
      throw new GatewayError('upstream-unreachable', { detail: 'the upstream closed during the login' })
    await wire.flush()
    await wire.readable()
  }
}
