import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors.ts'

/** The fields of a form as browsers post it, up to `most` bytes. */
export async function readFormBody(request: IncomingMessage, most: number): Promise<URLSearchParams> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw new GatewayError('invalid-request', { detail: 'send a form' })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > most) throw new GatewayError('body-too-large')
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}
