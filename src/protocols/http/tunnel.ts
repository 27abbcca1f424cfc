/**
 * A wire of another protocol inside HTTP (docs/adr/0020-a-port-without-a-password.md): `GET /c/<connection>` with
 * `Upgrade: sallyport-wire` and the token as a bearer. After the 101 the bytes are the connection's own protocol, whose
 * client need not say again who it is. `sallyport connect` is the other end.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { OpenConnection } from '../../gateway/protocol.ts'

export const tunnelName = 'sallyport-wire'

export type Wire = NonNullable<OpenConnection['wire']>

export function asksForTunnel(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === tunnelName
}

/** Hands the socket to the protocol, with the token, which the protocol checks. False: there is no token. */
export function openTunnel(
  wire: Wire,
  {
    request,
    socket,
    head,
  }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
): boolean {
  const token = /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) return false
  const { remoteAddress: ip = '', remotePort: port = 0 } = request.socket
  request.socket.setTimeout(0)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelName}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  wire(socket, { ip, port, token, secure: 'encrypted' in request.socket })
  return true
}
