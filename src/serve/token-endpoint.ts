/**
 * The gateway as an authorization server for one thing: exchanging identity assertions (identity/assertions/). Its
 * metadata (RFC 8414) and its token endpoint (RFC 6749 section 3.2). Where no client is configured there is neither.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBytes } from '../api/read-body.ts'
import type { Services } from '../api/services.ts'
import type { ClientFacts } from '../audit/audit.ts'
import { asGatewayError } from '../errors.ts'
import {
  type AssertionGrants,
  type Granted,
  type GrantPlace,
  GrantRefused,
  idJagProfile,
  jwtBearerGrant,
} from '../identity/assertions/assertion-grants.ts'
import { subjectFacts } from '../model/subject.ts'
import { type RefusedIdentities, refusedIdentities } from '../protocols/refused-identities.ts'
import type { Handle, Page } from './pages.ts'

export const tokenPath = '/oauth/token'
const authorizePath = '/oauth/authorize'
export const serverMetadataPath = '/.well-known/oauth-authorization-server'

const mostBytes = 64 * 1024
const formType = /^application\/x-www-form-urlencoded(?:\s*;|$)/i
/** An endpoint of the gateway's own, where entries say at which a credential was refused. */
const target = { name: 'token-endpoint', protocol: 'api', sensitivity: 'high' } as const

export interface TokenEndpointParts {
  readonly services: Pick<Services, 'audit' | 'connections'>
  readonly gateway: { readonly publicUrl: string; readonly assertions: AssertionGrants }
  /** Paths that a token may be for, besides those of connections. */
  readonly paths: readonly string[]
}

export function tokenEndpointPages(parts: TokenEndpointParts): readonly Page[] {
  const refused = refusedIdentities(parts.services.audit, target)
  const enabled =
    (handle: Handle): Handle =>
    (request, response) => {
      if (parts.gateway.assertions.enabled) handle(request, response)
      else json(response, 404, {})
    }
  return [
    [serverMetadataPath, enabled((request, response) => metadata(parts, request, response))],
    [authorizePath, enabled((_request, response) => json(response, 400, nobodySignsIn))],
    [tokenPath, enabled((request, response) => void token({ ...parts, refused }, request, response))],
  ]
}

function metadata({ gateway }: TokenEndpointParts, request: IncomingMessage, response: ServerResponse): void {
  const [path] = (request.url ?? '').split('?', 1)
  if (path !== serverMetadataPath) return json(response, 404, {})
  response.setHeader('access-control-allow-origin', '*')
  json(response, 200, {
    issuer: gateway.publicUrl,
    // RFC 8414 lets it be absent where no grant uses it; the MCP SDK's clients do not.
    authorization_endpoint: `${gateway.publicUrl}${authorizePath}`,
    token_endpoint: `${gateway.publicUrl}${tokenPath}`,
    response_types_supported: [],
    grant_types_supported: [jwtBearerGrant],
    authorization_grant_profiles_supported: [idJagProfile],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  })
}

const nobodySignsIn = {
  error: 'unsupported_response_type',
  error_description: 'people sign in at the identity provider',
}

/** Never rejects. */
async function token(
  parts: TokenEndpointParts & { readonly refused: RefusedIdentities },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { remoteAddress: ip = '', remotePort: port = 0 } = request.socket
  const client = { ip, port }
  try {
    const form = await readForm(request)
    const { assertions } = parts.gateway
    const granted = await assertions.grant(form, request.headers.authorization, placeOf(parts))
    await note(parts, granted, client)
    json(response, 200, {
      access_token: granted.token,
      token_type: 'Bearer',
      expires_in: Math.floor((granted.expiresAt - Date.now()) / 1000),
      ...(granted.scope === undefined ? {} : { scope: granted.scope }),
    })
  } catch (error) {
    await refuse(error, { parts, client, response })
  }
}

async function note(
  { services }: TokenEndpointParts,
  { subject, issuer, client, resources, scope, expiresAt }: Granted,
  from: ClientFacts,
): Promise<void> {
  await services.audit.note('identity.signed_in', {
    subject: subjectFacts(subject),
    provider: { id: issuer, kind: 'assertion' },
    client: from,
    application: client,
    resources,
    ...(scope === undefined ? {} : { scope: scope.slice(0, 1024) }),
    expires: new Date(expiresAt).toISOString(),
  })
}

async function refuse(
  error: unknown,
  of: {
    readonly parts: { readonly refused: RefusedIdentities }
    readonly client: ClientFacts
    readonly response: ServerResponse
  },
): Promise<void> {
  const { parts, client, response } = of
  if (!(error instanceof GrantRefused)) {
    const { status } = asGatewayError(error)
    const code = status < 500 ? 'invalid_request' : 'temporarily_unavailable'
    return json(response, status < 500 ? 400 : 503, { error: code })
  }
  if (error.refusal !== undefined) await parts.refused.note(client, error.refusal).catch(() => undefined)
  const unknown = error.code === 'invalid_client'
  if (unknown) response.setHeader('www-authenticate', 'Basic realm="sallyport"')
  json(response, unknown ? 401 : 400, { error: error.code, error_description: error.message })
}

/** Throws GrantRefused for what is no form, or says something twice (RFC 6749 section 3.2). */
async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const malformed = (why: string): GrantRefused => new GrantRefused('invalid_request', why)
  if (request.method !== 'POST') throw malformed('POST only')
  if (!formType.test(request.headers['content-type'] ?? '')) throw malformed('not a form')
  const form = new URLSearchParams((await readBytes(request, mostBytes)).toString('utf8'))
  for (const name of new Set(form.keys()))
    if (name !== 'resource' && form.getAll(name).length > 1) throw malformed('a parameter is there twice')
  return form
}

function placeOf({ gateway, services, paths }: TokenEndpointParts): GrantPlace {
  const { publicUrl } = gateway
  return {
    issuer: publicUrl,
    isResource(address) {
      if (!address.startsWith(`${publicUrl}/`)) return false
      const path = address.slice(publicUrl.length)
      const name = /^\/c\/([a-z0-9-]{1,63})$/.exec(path)?.[1]
      return paths.includes(path) || (name !== undefined && services.connections.find(name) !== undefined)
    },
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    pragma: 'no-cache',
    'x-content-type-options': 'nosniff',
  })
  response.end(JSON.stringify(body))
}
