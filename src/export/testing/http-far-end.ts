/** A far end on HTTP with the faults of a real network, for sinks that have no practice server of their own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Fault } from '../contract.ts'

export interface Taken {
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface HttpFarEnd {
  readonly url: string
  /** What was taken, in order. */
  readonly taken: readonly Taken[]
  fault: Fault | undefined
  close(): Promise<void>
}

/** `countOf` gives the number of events in a body, for the fault `small`. */
export async function startHttpFarEnd(countOf: (body: Buffer) => number): Promise<HttpFarEnd> {
  const taken: Taken[] = []
  const slow = new Set<NodeJS.Timeout>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    answer(request, response, Buffer.concat(chunks))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const far: HttpFarEnd = {
    url: `http://127.0.0.1:${port}/`,
    taken,
    fault: undefined,
    async close() {
      for (const timer of slow) clearTimeout(timer)
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }

  function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const take = (): void => void taken.push({ headers: request.headers, body })
    const say = (status: number, headers: Record<string, string> = {}): void => {
      response.writeHead(status, headers).end()
    }
    switch (far.fault) {
      case undefined:
        take()
        return say(204)
      case 'down':
        return void request.socket.destroy()
      case 'lost-answer':
        take()
        return void request.socket.destroy()
      case 'overloaded':
        return say(429, { 'retry-after': '1' })
      case 'slow':
        return void slow.add(setTimeout(() => say(503), 60_000))
      case 'poison':
        if (body.includes('poison')) return say(400)
        take()
        return say(204)
      case 'small':
        if (countOf(body) > 10) return say(413)
        take()
        return say(204)
      case 'refusing':
        return say(401)
    }
  }
  return far
}
