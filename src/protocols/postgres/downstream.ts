/** The client's side of the start: TLS or not, what it asks for, and the password in which its token comes. */
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { StartTls } from '../../gateway/protocol.ts'
import { FrameError, PayloadReader, requestCodes, takeStartupPacket } from './codec.ts'
import { errorResponse, negotiateProtocolVersion, type Report } from './messages.ts'
import { sqlStates } from './refusal.ts'

/** What a client said in its first packets. */
export type Opening =
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | {
      readonly kind: 'session'
      readonly socket: Duplex
      readonly secure: boolean
      readonly parameters: ReadonlyMap<string, string>
      /** Minor protocol version that is spoken: 0 or 2. */
      readonly minor: number
      /** Bytes that came behind the start-up packet. */
      readonly early: Buffer
    }

/** A client that can't be served: what it is told (if anything) before the socket ends. */
export class OpeningError extends Error {
  readonly report: Report
  constructor(code: string, text: string, hint?: string) {
    super(text)
    this.report = { severity: 'FATAL', code, message: text, ...(hint === undefined ? {} : { hint }) }
  }
}

/** The first byte of a TLS record that holds a handshake: direct TLS, without SSLRequest. */
const tlsHandshake = 0x16

/** Reads until the start-up packet or cancel request. Throws OpeningError, FrameError, or 'closed'. */
export async function readOpening(socket: Duplex, tls: StartTls | undefined): Promise<Opening> {
  let current = socket
  let secure = false
  let bytes = await moreOf(current)
  if (bytes[0] === tlsHandshake) {
    if (tls === undefined) throw new FrameError('direct TLS without a certificate')
    current = await secured(current, { tls, early: bytes, direct: true })
    secure = true
    bytes = Buffer.alloc(0)
  }
  // SSLRequest and GSSENCRequest once each, then the start-up.
  for (let requests = 0; requests < 3; requests++) {
    let taken = takeStartupPacket(bytes)
    while (taken === undefined) {
      bytes = Buffer.concat([bytes, await moreOf(current)])
      taken = takeStartupPacket(bytes)
    }
    const reader = new PayloadReader(taken.packet, 0)
    const code = reader.uint32()
    bytes = taken.rest
    if (code === requestCodes.cancel)
      return { kind: 'cancel', pid: reader.int32(), secret: Buffer.from(reader.rest()) }
    if (code === requestCodes.gssEncryption) current.write('N')
    else if (code === requestCodes.ssl) {
      // What came along in clear must not be taken for what was said inside TLS (CVE-2021-23214).
      if (bytes.length > 0) throw new FrameError('bytes before the TLS handshake')
      if (tls === undefined || secure) current.write('N')
      else {
        current.write('S')
        current = await secured(current, { tls, early: bytes, direct: false })
        secure = true
      }
    } else return startup(code, reader, { socket: current, secure, early: bytes })
  }
  throw new FrameError('too many requests before the start-up')
}

function startup(
  code: number,
  reader: PayloadReader,
  of: { readonly socket: Duplex; readonly secure: boolean; readonly early: Buffer },
): Opening {
  const major = code >>> 16
  const minor = code & 0xffff
  if (major !== 3)
    throw new OpeningError(sqlStates.unsupported, `unsupported frontend protocol ${major}.${minor}`)
  const parameters = new Map<string, string>()
  for (;;) {
    const name = reader.text()
    if (name === '') break
    parameters.set(name, reader.text())
  }
  reader.end()
  const options = [...parameters.keys()].filter(name => name.startsWith('_pq_.'))
  for (const name of options) parameters.delete(name)
  const spoken = minor >= 2 ? 2 : 0
  if (minor > 2 || minor === 1 || options.length > 0)
    of.socket.write(negotiateProtocolVersion(spoken, options))
  return { kind: 'session', ...of, parameters, minor: spoken }
}

async function secured(
  socket: Duplex,
  of: { readonly tls: StartTls; readonly early: Buffer; readonly direct: boolean },
): Promise<TLSSocket> {
  if (of.early.length > 0) socket.unshift(of.early)
  const inside = await of.tls(socket, ['postgresql'])
  inside.on('error', () => inside.destroy())
  // Direct TLS must be meant for this protocol, else a request of another could be replayed here.
  if (of.direct && inside.alpnProtocol !== 'postgresql') throw new FrameError('direct TLS without ALPN')
  return inside
}

/** The next chunk, and the socket paused again. Rejects when it ends. */
function moreOf(socket: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const off = (): void => {
      socket.pause()
      socket.off('data', data)
      socket.off('end', end)
      socket.off('close', end)
      socket.off('error', end)
    }
    const data = (chunk: Buffer): void => {
      off()
      resolve(chunk)
    }
    const end = (): void => {
      off()
      reject(new Error('closed'))
    }
    socket.on('data', data)
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
    socket.resume()
  })
}

/** Says why, and ends. */
export function turnAway(socket: Duplex, report: Report): void {
  if (socket.destroyed) return
  socket.end(errorResponse({ ...report, severity: 'FATAL' }), () => socket.destroy())
}
