import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ApiHandler, apiBase, type Identify } from '../api/handler.ts'
import type { Services } from '../api/services.ts'
import { connectPage } from './connect-page.ts'
import { ownMcpPage, ownMcpPath } from './own-mcp/page.ts'
import { tokenEndpointPages } from './token-endpoint.ts'
import { resourceMetadata, resourceMetadataPath } from './resource-metadata.ts'
import { servePublishedLog } from './published-log.ts'

export type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** A page of the gateway's own, by its first segments: `/api/v1`, `/metrics`. */
export type Page = readonly [prefix: string, handle: Handle]

/** The page that has this address, if one does. */
export function findPage(pages: readonly Page[], url: string): { readonly handle: Handle } | undefined {
  const path = url.split('?', 1)[0]!
  const found = pages.find(([prefix]) => path === prefix || (prefix !== '/' && path.startsWith(`${prefix}/`)))
  return found && { handle: found[1] }
}

/** The gateway's own pages beside the connections. */
export function pages(parts: {
  readonly services: Services
  readonly api: ApiHandler
  readonly identify: Identify
  /** The pages for browsers. */
  readonly browser: { readonly auth: Handle; readonly console: Handle }
  /** As `identify`, for a resource with an address of its own. */
  readonly identifyAt: (path: string, request: IncomingMessage) => ReturnType<Identify>
}): readonly Page[] {
  const { services, api, identify, browser } = parts
  const identifyOwn: Identify = request => parts.identifyAt(ownMcpPath, request)
  const ownMcp = ownMcpPage({ api, identify: identifyOwn, publicUrl: () => services.gateway.publicUrl })
  return [
    ['/', browser.console],
    ['/console', browser.console],
    ['/auth', browser.auth],
    [apiBase, (request, response) => void api.handle(request, response, identify)],
    ['/healthz', (_request, response) => answer(response, 200, 'ok\n')],
    ['/readyz', (_request, response) => ready(services, response)],
    ['/log', (request, response) => void servePublishedLog({ services, identify }, request, response)],
    [
      resourceMetadataPath,
      (request, response) => resourceMetadata({ ...services, paths: [ownMcpPath] }, request, response),
    ],
    [ownMcpPath, (request, response) => void ownMcp(request, response)],
    ...tokenEndpointPages({ services, gateway: services.gateway, paths: [ownMcpPath] }),
    ['/connect', (request, response) => void connectPage({ services, identify }, request, response)],
    ['/metrics', (request, response) => void metrics(parts, request, response)],
  ]
}

/** Ready means that an action could be recorded: without the log there is no gateway. */
function ready({ audit, disk }: Services, response: ServerResponse): void {
  if (!audit.healthy) answer(response, 503, 'the log can not be written\n')
  else if (disk.state === 'refuse') answer(response, 503, 'the disk of the log is nearly full\n')
  else answer(response, 200, 'ready\n')
}

/** Prometheus metrics: for this machine without a credential, for others with the role `auditor`. */
async function metrics(
  { services, identify }: { readonly services: Services; readonly identify: Identify },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (!isLoopback(request.socket.remoteAddress) || request.headers['x-forwarded-for'] !== undefined) {
      const { roles } = await identify(request)
      if (!roles.has('auditor')) return answer(response, 403, 'this needs the role auditor\n')
    }
    const text = await services.registry.metrics()
    response.setHeader('content-type', services.registry.contentType)
    answer(response, 200, text)
  } catch {
    answer(response, 401, 'sign in\n')
  }
}

function isLoopback(address = ''): boolean {
  return address === '::1' || address.replace('::ffff:', '').startsWith('127.')
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain')
  response.setHeader('cache-control', 'no-store')
  response.statusCode = status
  response.end(text)
}
