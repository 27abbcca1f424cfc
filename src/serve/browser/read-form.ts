import type { IncomingMessage } from 'node:http'
import { readBytes } from '../../api/read-body.ts'
import { GatewayError } from '../../errors.ts'

/** The fields of a form as browsers post it, up to `most` bytes. */
export async function readFormBody(request: IncomingMessage, most: number): Promise<URLSearchParams> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw new GatewayError('invalid-request', { detail: 'send a form' })
  return new URLSearchParams((await readBytes(request, most)).toString('utf8'))
}
