/**
 * The conformance suite's legs for OAuth clients, with a gateway as the client: each leg gets a connection of its own in
 * front of the suite's server. What is an administrator's work is done here as one would do it: reading whose tokens the
 * server takes (RFC 9728), registering the client, writing the configuration. What is asked of a client at run time the
 * gateway does.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { root } from '../sources.ts'
import { openGateway, type TestGateway } from './gateway.ts'
import { type ConfigInput, createWorld, type World } from './world.ts'

/** What the suite tells its client. */
export interface Leg {
  readonly scenario: string
  readonly server: string
  readonly context: Readonly<Record<string, string>>
}

/** Legs that the gateway takes. */
export const authLegs: readonly string[] = [
  'auth/metadata-default',
  'auth/metadata-var1',
  'auth/metadata-var2',
  'auth/metadata-var3',
  'auth/metadata-issuer-mismatch',
  'auth/basic-cimd',
  'auth/pre-registration',
  'auth/token-endpoint-auth-basic',
  'auth/token-endpoint-auth-post',
  'auth/token-endpoint-auth-none',
  'auth/scope-from-www-authenticate',
  'auth/scope-omitted-when-undefined',
  'auth/scope-retry-limit',
  'auth/offline-access-not-supported',
  'auth/iss-supported',
  'auth/iss-not-advertised',
  'auth/iss-supported-missing',
  'auth/iss-wrong-issuer',
  'auth/iss-unexpected',
  'auth/iss-normalized',
  'auth/client-credentials-jwt',
  'auth/client-credentials-basic',
  'auth/2025-03-26-oauth-metadata-backcompat',
]

const configured = 'is configuration here: the gateway asks for what its administrator wrote'
const noProofs = 'the gateway has no proof of possession towards upstreams'

/** Legs that it does not take, and why. */
export const otherLegs: Readonly<Record<string, string>> = {
  'auth/resource-mismatch': `the address that a token is for ${configured}`,
  'auth/scope-from-scopes-supported': `the scope ${configured}`,
  'auth/offline-access-scope': `the scope ${configured}`,
  'auth/scope-step-up': `the scope ${configured}; an upstream that wants more is told of in the refusal`,
  'auth/authorization-server-migration': `whose tokens an upstream takes ${configured}, and clients are registered by hand`,
  'auth/2025-03-26-oauth-endpoint-fallback': `endpoints that no metadata name: where they are ${configured}`,
  'auth/dpop': noProofs,
  'auth/dpop-nonce': noProofs,
  'auth/wif-jwt-bearer': 'the gateway brings no workload’s assertion to an upstream',
  'auth/enterprise-managed-authorization':
    'the gateway has nobody’s ID token to exchange. It takes assertions: test/servers/mcp-enterprise.test.ts',
}

export interface AuthSubject extends AsyncDisposable {
  /** The suite's `--command`. */
  readonly command: string
}

/** A gateway, and the command by which the suite makes it its client. One leg at a time. */
export async function startAuthSubject(): Promise<AuthSubject> {
  const world = await createWorld()
  const gateway = await openGateway(world)
  let legs = 0
  const control = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const leg = JSON.parse(Buffer.concat(chunks).toString()) as Leg
      through(leg, { world, gateway, name: `leg-${++legs}` }).then(
        () => response.writeHead(200).end(),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    })
  })
  control.listen(0, '127.0.0.1')
  await once(control, 'listening')
  const { port } = control.address() as AddressInfo
  const client = join(root, 'test/support/conformance-client.ts')
  return {
    command: `${process.execPath} ${client} http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      control.closeAllConnections()
      control.close()
      await gateway.close(0)
      await world.close()
    },
  }
}

interface Stage {
  readonly world: World
  readonly gateway: TestGateway
  /** Of the leg's connection. */
  readonly name: string
}

async function through(leg: Leg, { world, gateway, name }: Stage): Promise<void> {
  const oauth = await oauthOf(leg, { world, gateway, name })
  const headers = [{ header: 'Authorization', value: 'Bearer ${token}' }]
  const servers = [{ name: 'main', url: leg.server, headers }]
  const connections = [{ name, protocol: 'mcp', servers, credential: { token: { oauth } } }]
  await world.configure({
    connections: connections as unknown as NonNullable<ConfigInput['connections']>,
    policy: { rules: [{ name: 'all', effect: 'allow' }] },
  })
  if (!(await gateway.running.reload())) throw new Error(`not a configuration: ${gateway.said.at(-1)}`)
  const token = await world.token('ana')
  if (oauth.grant === 'authorization_code') await consent(`${gateway.url}/connect/${name}`, token)
  const client = new Client({ name: 'through-sallyport', version: '1.0.0' })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  const url = new URL(`${gateway.url}/c/${name}`)
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }) as never)
  const { tools } = await client.listTools()
  const [tool] = tools
  if (tool !== undefined) await client.callTool({ name: tool.name, arguments: {} })
  await client.close()
}

async function oauthOf(leg: Leg, { world, gateway, name }: Stage) {
  const { issuer, resource, scopes } = await whoseTokens(leg.server)
  const client =
    leg.context['client_id'] === undefined
      ? await register(issuer, `${gateway.url}/connect/callback`)
      : leg.context
  const { client_secret: secret, private_key_pem: key } = client
  const own = leg.scenario.startsWith('auth/client-credentials')
  return {
    grant: own ? ('client_credentials' as const) : ('authorization_code' as const),
    issuer,
    resource,
    scopes,
    client_id: client['client_id']!,
    ...(secret === undefined ? {} : { client_secret: await world.secret(`${name}-secret`, secret) }),
    ...(key === undefined ? {} : { private_key: await world.secret(`${name}-key`, key) }),
    ...(client['token_endpoint_auth_method'] === 'client_secret_post'
      ? { authentication: 'post' as const }
      : {}),
  }
}

/** Whose tokens a server takes, for which address, with which scopes. */
async function whoseTokens(server: string) {
  const answer = await fetch(server, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  })
  const challenge = answer.headers.get('www-authenticate') ?? ''
  await answer.body?.cancel()
  const { origin, pathname } = new URL(server)
  const wellKnown = `${origin}/.well-known/oauth-protected-resource`
  const said = /resource_metadata="([^"]+)"/.exec(challenge)?.[1]
  const found = await firstJson([...(said === undefined ? [] : [said]), wellKnown + pathname, wellKnown])
  const [issuer] = (found?.['authorization_servers'] ?? []) as readonly string[]
  return {
    // A server of 2025-03-26 is its own authorization server.
    issuer: issuer ?? origin,
    resource: (found?.['resource'] ?? server) as string,
    scopes: /scope="([^"]+)"/.exec(challenge)?.[1]?.split(' ') ?? [],
  }
}

/** Registers a client where the server lets it, as its metadata say; where they are another's, not at all. */
async function register(issuer: string, redirect: string): Promise<Readonly<Record<string, string>>> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const metadata = await firstJson([
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ])
  const endpoint = metadata?.['registration_endpoint']
  if (metadata?.['client_id_metadata_document_supported'] === true)
    return { client_id: 'https://conformance-test.local/client-metadata.json' }
  if (metadata?.['issuer'] !== issuer || typeof endpoint !== 'string') return { client_id: 'not-registered' }
  const [method = 'none'] = (metadata['token_endpoint_auth_methods_supported'] ?? []) as readonly string[]
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'sallyport',
      application_type: 'web',
      redirect_uris: [redirect],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: method,
    }),
  })
  return (await answer.json()) as Readonly<Record<string, string>>
}

async function firstJson(places: readonly string[]): Promise<Readonly<Record<string, unknown>> | undefined> {
  for (const place of places) {
    const found = await fetch(place)
    if (found.ok) return (await found.json()) as Readonly<Record<string, unknown>>
    await found.body?.cancel()
  }
  return undefined
}

/** A person's browser: begins, is sent on by the authorization server, comes back. */
async function consent(page: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const lead = await fetch(page, { headers, redirect: 'manual' })
  const to = lead.headers.get('location')
  if (to === null) throw new Error(`no consent can begin: ${await lead.text()}`)
  const back = (await fetch(to, { redirect: 'manual' })).headers.get('location')
  if (back === null) throw new Error('the authorization server sends nobody back')
  const done = await fetch(back, { headers })
  if (done.status !== 200) throw new Error(`consent was refused: ${await done.text()}`)
}
