import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors.ts'
import { parseUnambiguous } from '../unambiguous-json.ts'

const maxDepth = 128

/** All of a request's body. Throws `body-too-large` as soon as it is over `most` bytes; the rest is left unread. */
export async function readBytes(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > most) throw new GatewayError('body-too-large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Throws `invalid-request` for what is no JSON, or has no one meaning. */
export function parseJson(bytes: Buffer): unknown {
  const read = parseUnambiguous(bytes.toString('utf8'), { maxDepth })
  if (read !== undefined) return read.value
  throw new GatewayError('invalid-request', { detail: 'the body is not JSON, or JSON that repeats a key' })
}
