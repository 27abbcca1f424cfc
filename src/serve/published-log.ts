import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Identify } from '../api/handler.ts'
import type { Services } from '../api/services.ts'
import { asGatewayError } from '../errors.ts'

/** The resources of C2SP tlog-tiles, and what verifiers need beside them. Nothing else is reachable. */
const resource =
  /^(checkpoint(\.witnessed)?|log\.vkey|tlog-policy|tile\/(entries|\d{1,2})(\/x\d{3})*\/\d{3}(\.p\/\d{1,3})?)$/

/**
 * The published log under `/log/<origin>/`: checkpoint and tiles as plain files, for whoever has the role `auditor`.
 * Full tiles never change, so they may be cached for good; partial ones and the checkpoint may not.
 */
export async function servePublishedLog(
  parts: { readonly services: Services; readonly identify: Identify },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { audit, published } = parts.services
  try {
    const { roles } = await parts.identify(request)
    if (!roles.has('auditor')) return end(response, 403, 'this needs the role auditor\n')
    const prefix = `/log/${audit.origin}/`
    const path = (request.url ?? '').split('?', 1)[0]!
    const name = path.startsWith(prefix) ? path.slice(prefix.length) : ''
    if (!resource.test(name)) return end(response, 404, 'not in this log\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405, 'only GET\n')
    const file = join(published, name)
    const { size } = await stat(file)
    const fixed = name.startsWith('tile/') && !name.includes('.p/')
    response.setHeader(
      'content-type',
      name.startsWith('tile/') ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    )
    response.setHeader('cache-control', fixed ? 'private, max-age=31536000, immutable' : 'no-store')
    response.setHeader('content-length', size)
    if (request.method === 'HEAD') response.end()
    else
      createReadStream(file)
        .on('error', () => response.destroy())
        .pipe(response)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return end(response, 404, 'not in this log\n')
    const { status, title } = asGatewayError(error)
    end(response, status, `${title}\n`)
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="sallyport"')
  response.statusCode = status
  response.setHeader('content-type', 'text/plain')
  response.end(text)
}
