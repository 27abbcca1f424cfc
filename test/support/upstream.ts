import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server that a test answers for. */
export interface TestUpstream extends AsyncDisposable {
  /** Base URL, without a trailing slash. */
  readonly url: string
  readonly server: Server
  /** Every request that arrived, `METHOD /target`, in order. */
  readonly seen: readonly string[]
  /** Waits until everything is closed; cuts what still runs. */
  close(): Promise<void>
}

/** Starts on loopback, on a free port. */
export async function startUpstream(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<TestUpstream> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  server.on('upgrade', request => seen.push(`${request.method} ${request.url}`))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const upstream: TestUpstream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    seen,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
    [Symbol.asyncDispose]: () => upstream.close(),
  }
  return upstream
}
