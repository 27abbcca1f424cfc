/** A stand-in for a messaging service on HTTP: keeps what it took, checks what it is told to, fails on purpose. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface ReceiverAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** `error`: 500. `limited`: 429 and a second. `silent`: no answer at all. `refusing`: 401. `rejecting`: 400. */
export type ReceiverFault = 'error' | 'limited' | 'silent' | 'refusing' | 'rejecting' | 'redirecting'

export interface HttpReceiver {
  readonly url: string
  readonly taken: readonly Received[]
  /** Calls that came, also those that were failed on purpose. */
  readonly calls: number
  /** Lasts until it is cleared. */
  fault: ReceiverFault | undefined
  close(): Promise<void>
}

/** `take` answers what gets through; what it throws is kept away from `taken` and answered 401. */
export async function startHttpReceiver(take: (received: Received) => ReceiverAnswer): Promise<HttpReceiver> {
  const taken: Received[] = []
  let calls = 0
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    calls++
    const { method = '', url: path = '/', headers } = request
    const received = { method, path, headers, body: Buffer.concat(chunks) }
    const failed = failure(receiver.fault)
    if (failed === 'silent') return
    let answer: ReceiverAnswer
    try {
      answer = failed ?? take(received)
      if (failed === undefined) taken.push(received)
    } catch (error) {
      answer = { status: 401, body: String(error) }
    }
    response.writeHead(answer.status, answer.headers).end(answer.body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const receiver = {
    url: `http://127.0.0.1:${port}/`,
    taken,
    get calls() {
      return calls
    },
    fault: undefined as ReceiverFault | undefined,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return receiver
}

function failure(fault: ReceiverFault | undefined): ReceiverAnswer | 'silent' | undefined {
  switch (fault) {
    case undefined:
      return undefined
    case 'silent':
      return 'silent'
    case 'error':
      return { status: 500, body: 'out of order' }
    case 'limited':
      return { status: 429, headers: { 'retry-after': '1' } }
    case 'refusing':
      return { status: 401 }
    case 'rejecting':
      return { status: 400 }
    case 'redirecting':
      return { status: 302, headers: { location: 'http://127.0.0.1:1/' } }
  }
}
