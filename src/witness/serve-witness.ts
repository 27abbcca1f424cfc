/**
 * A witness on HTTP: `POST /add-checkpoint` for logs, `GET /<sha256 of the origin>/checkpoint` for monitors, and
 * `GET /vkey` for whoever wants to trust it. Nothing is authenticated but the signatures on checkpoints, as the protocol
 * has it; bodies are small and bounded.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { loadKey } from '../audit/key.ts'
import { parseVerifierKey } from '../audit/verify/signed-note.ts'
import { lockDirectory } from '../storage/embedded/lock.ts'
import { cosigner } from './cosigner.ts'
import { maxSubmissionBytes } from './submission.ts'
import { openWitnessStore } from './witness-store.ts'
import { Witness, type WitnessAnswer } from './witness.ts'

export interface ServeWitnessOptions {
  /** A schema-less URL that names it, such as `witness.example.com`. */
  readonly name: string
  /** Verifier keys of the logs that it witnesses. */
  readonly logs: readonly string[]
  /** Holds its key and all that it remembers; one process at a time. They belong together: see the guide. */
  readonly directory: string
  readonly host: string
  readonly port: number
  /** Called when nothing can be kept any more: the process must end. */
  readonly onFault?: () => void
}

export interface RunningWitness {
  readonly vkey: string
  readonly url: string
  /** True where this start made the key. */
  readonly created: boolean
  close(): Promise<void>
}

/** Throws TypeError for a name or key that is none, StorageLockedError, and Error for a state that is damaged. */
export async function serveWitness(options: ServeWitnessOptions): Promise<RunningWitness> {
  const logs = options.logs.map(parseVerifierKey)
  if (logs.length === 0 || logs.some(key => key.type !== 1))
    throw new TypeError('give the keys of logs to witness')
  const { key, created } = loadKey(join(options.directory, 'witness.key'))
  const unlock = lockDirectory(options.directory)
  try {
    const own = cosigner(options.name, key)
    const store = openWitnessStore(options.directory, parseVerifierKey(own.vkey))
    const witness = new Witness({ cosigner: own, logs, store })
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      answer(witness, request, response)
        .then(() => witness.healthy || options.onFault?.())
        .catch(() => response.destroy())
    })
    const url = await listen(server, options)
    return {
      vkey: own.vkey,
      url,
      created,
      async close() {
        const closed = new Promise(resolve => server.close(resolve))
        server.closeAllConnections()
        await closed
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

async function listen(server: Server, { host, port }: ServeWitnessOptions): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const { address, port: bound, family } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`
}

async function answer(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0]!
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return send(response, 405, 'only POST\n')
    const body = await readBody(request)
    if (body === undefined) return send(response, 413, 'too large for a checkpoint\n')
    const { status, type, body: text }: WitnessAnswer = witness.add(body)
    return send(response, status, text, type)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n')
  if (path === '/vkey') return send(response, 200, `${witness.cosigner.vkey}\n`)
  const origin = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path)?.[1]
  const note = origin === undefined ? undefined : witness.checkpoint(origin)
  return note === undefined ? send(response, 404, 'not here\n') : send(response, 200, note)
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxSubmissionBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

// oxlint-disable-next-line max-params
function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
