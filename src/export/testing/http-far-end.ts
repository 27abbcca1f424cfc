/** A far end on HTTP with the faults of a real network, for sinks that have no practice server of their own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { Fault } from '../contract.ts'

export interface Taken {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** Uncompressed. */
  readonly body: Buffer
}

export interface Reply {
  readonly status: number
  readonly body?: string | Buffer
}

export interface FarEndManners {
  /** What is answered to something that was taken; default: 204. */
  readonly accept?: (taken: Taken) => Reply
  /** What is answered where something poisonous is in it, and nothing is taken; default: 400. */
  readonly poison?: (taken: Taken) => Reply
  /** A call that brings nothing, such as a question; undefined: it is none. */
  readonly aside?: (taken: Taken) => Reply | undefined
}

export interface HttpFarEnd {
  readonly url: string
  /** What was taken, in order. */
  readonly taken: readonly Taken[]
  fault: Fault | undefined
  close(): Promise<void>
}

/** `countOf` gives the number of events in a body, for the fault `small`. */
export async function startHttpFarEnd(
  countOf: (body: Buffer) => number,
  manners: FarEndManners = {},
): Promise<HttpFarEnd> {
  const taken: Taken[] = []
  let calls = 0
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

  function answer(request: IncomingMessage, response: ServerResponse, sent: Buffer): void {
    const { headers, url: path = '', method = '' } = request
    const body = headers['content-encoding'] === 'gzip' || path.endsWith('.gz') ? gunzipSync(sent) : sent
    const arrived: Taken = { method, path, headers, body }
    const take = (): void => void taken.push(arrived)
    const say = (status: number, more: Record<string, string> = {}, text?: string | Buffer): void => {
      response.writeHead(status, more).end(text)
    }
    const accept = (): void => {
      take()
      const reply = manners.accept?.(arrived) ?? { status: 204 }
      say(reply.status, {}, reply.body)
    }
    const aside = manners.aside?.(arrived)
    const talking = far.fault === undefined || far.fault === 'poison' || far.fault === 'small'
    if (aside !== undefined && talking) return say(aside.status, {}, aside.body)
    calls++
    switch (far.fault) {
      case undefined:
        return accept()
      case 'storm':
        return calls % 4 === 0 ? accept() : say(calls % 2 === 0 ? 429 : 503, { 'retry-after': '0' })
      case 'half-closed':
        // Takes everything, ends its side, and never says a word.
        take()
        return void request.socket.end()
      case 'reset-after-head': {
        take()
        const reply = manners.accept?.(arrived) ?? { status: 202 }
        response.writeHead(reply.status, { 'content-length': 1000 })
        response.write('{', () => request.socket.destroy())
        return
      }
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
        if (body.includes('poison')) {
          const reply = manners.poison?.(arrived) ?? { status: 400 }
          return say(reply.status, {}, reply.body)
        }
        return accept()
      case 'small':
        if (countOf(body) > 10) return say(413)
        return accept()
      case 'refusing':
        return say(401)
    }
  }
  return far
}
