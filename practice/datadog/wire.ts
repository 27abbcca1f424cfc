/** What the practice servers share on the wire: reading a body under a limit, answering JSON, listening on loopback. */
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'

export type Json = Record<string, unknown>

/** The sender went over the limit that applies. */
export class TooLarge extends Error {}

const decoders = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  zstd: promisify(zstdDecompress),
  zstd1: promisify(zstdDecompress),
  br: promisify(brotliDecompress),
}

/**
 * The whole body, decoded by its `Content-Encoding`, at most `limit` bytes before and after decoding. Throws
 * TooLarge, or TypeError for an encoding that is unknown or broken.
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length <= limit) chunks.push(chunk) // the rest is read and dropped, so that the answer arrives
  }
  if (length > limit) throw new TooLarge()
  return decode(Buffer.concat(chunks), request.headers['content-encoding'], limit)
}

async function decode(body: Buffer, encoding: string | undefined, limit: number): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity' || body.length === 0) return body
  if (!Object.hasOwn(decoders, encoding)) throw new TypeError(`unknown content encoding`)
  try {
    return await decoders[encoding as keyof typeof decoders](body, { maxOutputLength: limit })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new TooLarge()
    throw new TypeError('broken content encoding', { cause: error })
  }
}

/** Answers with JSON; `undefined` answers with no body. */
export function sendJson(
  response: ServerResponse,
  status: number,
  answer: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> },
): void {
  if (answer.body === undefined) {
    response.writeHead(status, { ...answer.headers }).end()
    return
  }
  const text = JSON.stringify(answer.body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...answer.headers,
  })
  response.end(text)
}

/** Listens on loopback and resolves with the base URL, without a trailing slash. */
export async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP listener')
  return `http://127.0.0.1:${address.port}`
}

/** Stops listening and cuts every connection. */
export async function stop(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
