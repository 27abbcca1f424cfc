/**
 * The gateway as an OAuth resource server: whose tokens its addresses take (RFC 9728). The gateway as a whole, each
 * connection, and the gateway's own MCP server are resources of their own; a token may be for one of them alone
 * (RFC 8707).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from '../api/services.ts'

export { metadataAddress } from '../identity/protected-resource.ts'
export const resourceMetadataPath = '/.well-known/oauth-protected-resource'

export interface ResourceMetadataParts {
  readonly connections: Services['connections']
  readonly gateway: Services['gateway']
  /** Paths besides those of connections. */
  readonly paths: readonly string[]
}

/** A document for everybody; nothing in it is secret. */
export function resourceMetadata(
  { connections, gateway, paths }: ResourceMetadataParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const [path = ''] = (request.url ?? '').slice(resourceMetadataPath.length).split('?', 1)
  const name = /^\/c\/([a-z0-9-]{1,63})\/?$/.exec(path)?.[1]
  const known =
    path === '' || paths.includes(path) || (name !== undefined && connections.find(name) !== undefined)
  if (!known) {
    // A connection that is not there is not told from one that has no document.
    response.writeHead(404, { 'content-type': 'application/json', 'access-control-allow-origin': '*' })
    return void response.end('{}')
  }
  const { publicUrl, authorizationServers } = gateway
  const document = {
    resource: `${publicUrl}${path.replace(/\/$/, '')}`,
    authorization_servers: authorizationServers,
    bearer_methods_supported: ['header'],
    resource_name: name ?? 'Sallyport',
  }
  response.writeHead(200, {
    'content-type': 'application/json',
    'cache-control': 'public, max-age=300',
    // Clients in browsers read it before they have any credential.
    'access-control-allow-origin': '*',
  })
  response.end(JSON.stringify(document))
}
