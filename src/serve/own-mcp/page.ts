/** `/mcp` on the gateway's own port. The SDK is loaded at the first request, so that it costs the start nothing. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ApiHandler, Identify } from '../../api/handler.ts'
import { parseJson, readBytes } from '../../api/read-body.ts'
import { problemOf } from '../../api/problem.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import { isLoopbackHost } from '../../config/identity.ts'
import { wwwAuthenticate } from '../../identity/www-authenticate.ts'
import { metadataAddress } from '../resource-metadata.ts'
import type { OwnMcp } from './own-mcp.ts'

export const ownMcpPath = '/mcp'
const bodyLimit = 1024 * 1024

export interface OwnMcpPage {
  readonly api: Pick<ApiHandler, 'call'>
  readonly identify: Identify
  readonly publicUrl: () => string
}

/** Never rejects. */
export function ownMcpPage(
  parts: OwnMcpPage,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let loading: Promise<OwnMcp> | undefined
  const load = (): Promise<OwnMcp> =>
    (loading ??= import('./own-mcp.ts').then(own => own.createOwnMcp(parts.api)))
  return async (request, response) => {
    try {
      await serve(await admit(parts, request), { request, response, load })
    } catch (cause) {
      if (response.headersSent) response.destroy()
      else refuse(parts, response, asGatewayError(cause))
    }
  }
}

/** Who asks. A page of another site has no business here, whatever credential it holds. */
async function admit({ identify, publicUrl }: OwnMcpPage, request: IncomingMessage) {
  const { origin, host } = request.headers
  if (origin !== undefined && origin !== new URL(publicUrl()).origin && !isOwnLoopback(origin, host))
    throw new GatewayError('denied', { detail: 'not a page of this gateway' })
  if (request.url?.split('?', 1)[0] !== ownMcpPath) throw new GatewayError('not-found')
  return await identify(request)
}

/** A page of this very address on this machine, by whatever name or port it is reached here. */
function isOwnLoopback(origin: string, host: string | undefined): boolean {
  const from = URL.parse(origin)
  return from !== null && from.host === host && isLoopbackHost(from.hostname)
}

async function serve(
  caller: Awaited<ReturnType<Identify>>,
  of: {
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly load: () => Promise<OwnMcp>
  },
): Promise<void> {
  const { request, response } = of
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const { signal } = gone
  const body = request.method === 'POST' ? parseJson(await readBytes(request, bodyLimit)) : undefined
  const headers = Object.entries(request.headers).flatMap(([key, value]) =>
    typeof value === 'string' && key !== 'authorization' ? [[key, value] as [string, string]] : [],
  )
  const asked = new Request(`http://localhost${ownMcpPath}`, {
    method: request.method ?? 'GET',
    headers,
    signal,
  })
  const own = await of.load()
  const answer = await own.answer(asked, body, { caller, request, response, signal })
  response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), 'cache-control': 'no-store' })
  if (answer.body === null) return void response.end()
  response.flushHeaders()
  await pipeline(Readable.fromWeb(answer.body), response).catch(() => undefined)
}

function refuse({ publicUrl }: OwnMcpPage, response: ServerResponse, error: GatewayError): void {
  if (error.code === 'unauthenticated')
    response.setHeader(
      'www-authenticate',
      wwwAuthenticate('sallyport', undefined, {
        resource_metadata: metadataAddress(publicUrl(), ownMcpPath),
      }),
    )
  if (error.code === 'body-too-large') response.setHeader('connection', 'close')
  response.setHeader('content-type', 'application/problem+json')
  response.setHeader('cache-control', 'no-store')
  response.statusCode = error.status
  response.end(JSON.stringify(problemOf(error)))
}
