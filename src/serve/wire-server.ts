import { createServer, type Server, type Socket } from 'node:net'
import type { OpenConnection, StartTls } from '../gateway/protocol.ts'

export interface WireServer {
  /** Not yet listening. */
  readonly server: Server
  /** Takes no more clients, gives those that there are `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

/**
 * A listener for one connection whose clients speak no HTTP: each accepted socket goes to the connection as it is
 * then configured, with the listener's TLS for a protocol that begins TLS by itself.
 */
export function createWireServer(options: {
  readonly connection: string
  readonly find: (name: string) => OpenConnection | undefined
  /** Most clients at once; more are closed at once. */
  readonly connections: number
  readonly tls?: StartTls
}): WireServer {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, pauseOnConnect: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const wire = options.find(options.connection)?.wire
    if (wire === undefined) return void socket.destroy()
    const { remoteAddress: ip = '', remotePort: port = 0 } = socket
    wire(socket, { ip, port, ...(options.tls === undefined ? {} : { tls: options.tls }) })
  })
  server.maxConnections = options.connections
  return {
    server,
    async close(graceMs) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
    },
  }
}
