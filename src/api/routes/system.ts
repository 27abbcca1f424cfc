import { z } from 'zod'
import { subjectFacts } from '../../model/subject.ts'
import { GatewayError } from '../../errors.ts'
import type { OpenConnection } from '../../gateway/protocol.ts'
import { route } from '../route.ts'
import type { Services } from '../services.ts'

const connectionShape = z.looseObject({
  name: z.string(),
  protocol: z.string(),
  sensitivity: z.string(),
  labels: z.record(z.string(), z.string()),
  url: z
    .string()
    .optional()
    .describe('What clients use as their base address; absent: no listener, `sallyport connect` alone'),
  health: z
    .object({
      state: z.enum(['unknown', 'ok', 'failing']).describe('How the newest forwarded action ended'),
      last_success: z.string().optional(),
      last_failure: z.string().optional(),
    })
    .describe('Since the start, from the actions that were forwarded; see also connections.check'),
})

/** What may be shown of a connection: never its secrets, nor where they are. */
function show(open: OpenConnection, { gateway, connections }: Services): Record<string, unknown> {
  const { name, protocol, sensitivity, labels } = open.connection
  const { state, lastSuccess, lastFailure } = gateway.healthOf(name)
  const health = { state, last_success: instantOf(lastSuccess), last_failure: instantOf(lastFailure) }
  return { name, protocol, sensitivity, labels, url: connections.addressOf(open, gateway.publicUrl), health }
}

/** Addresses at this gateway. */
const device = {
  authorization: '/auth/device/authorize',
  token: '/auth/device/token',
  client_id: 'sallyport-cli',
} as const

function instantOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString()
}

export const systemRoutes = [
  route({
    method: 'GET',
    path: '/sign-in',
    id: 'signIn.get',
    summary: 'How people sign in: in the browser by one of the providers, on a terminal by the device grant',
    permission: 'public',
    audit: { none: 'the same for everybody, and nothing in it is secret' },
    responses: {
      200: {
        description: 'Providers for the browser; issuer and client for the device grant',
        schema: z.looseObject({
          providers: z.array(
            z.object({
              id: z.string(),
              kind: z.enum(['oidc', 'saml', 'local']),
              label: z.string(),
              url: z.string().describe('Where the browser goes; `return_to` says where it comes back to'),
            }),
          ),
          issuer: z.string().optional().describe('Absent where there is no device grant'),
          client_id: z.string().optional(),
          scope: z.string().optional(),
          device: z
            .object({ authorization: z.string(), token: z.string(), client_id: z.string() })
            .describe('The gateway’s own device grant (RFC 8628), confirmed in the browser by any provider'),
        }),
      },
    },
    handler({ services }) {
      const { issuer, client_id, audience, scope, allow_insecure_http } = services.gateway.signIn
      const atIssuer = issuer === undefined ? {} : { issuer, client_id, audience, scope, allow_insecure_http }
      return { ...atIssuer, device, providers: services.signIn.providers() }
    },
  }),
  route({
    method: 'GET',
    path: '/me',
    id: 'me.get',
    summary: 'Who the gateway takes the caller for',
    permission: 'user',
    audit: { none: 'shows callers themselves' },
    responses: {
      200: {
        description: 'The caller',
        schema: z.object({
          subject: z.looseObject({}),
          groups: z.array(z.string()),
          roles: z.array(z.string()),
          csrf: z
            .string()
            .optional()
            .describe(
              'For browsers that signed in: to be sent as `X-Sallyport-Csrf` with every request that is no GET',
            ),
          expires_at: z.string().optional().describe('When the credential or the session ends'),
        }),
      },
    },
    handler: ({ caller: { subject, roles, browser } }) => ({
      subject: subjectFacts(subject),
      groups: subject.groups,
      roles: [...roles],
      csrf: browser?.csrf,
      expires_at: instantOf(browser?.expiresAt ?? subject.expiresAt),
    }),
  }),
  route({
    method: 'GET',
    path: '/status',
    id: 'status.get',
    summary: 'The state of the gateway: version, log, newest checkpoint, sessions, approvals',
    permission: 'user',
    audit: { none: 'counts only' },
    responses: { 200: { description: 'The state', schema: z.looseObject({}) } },
    handler: ({ services }) => {
      const { audit, storage, sessions, approvals, version, gateway } = services
      const head = services.checkpoint()
      return {
        version,
        log: {
          origin: audit.origin,
          healthy: audit.healthy,
          size: storage.log.size,
          indexed: storage.index.indexed,
          ...(head === undefined ? {} : { checkpoint: { size: head.size, root: head.root } }),
        },
        policy: gateway.rules.version,
        sessions: sessions.list().length,
        approvals: { pending: approvals.pending },
      }
    },
  }),
  route({
    method: 'GET',
    path: '/connections',
    id: 'connections.list',
    summary: 'The connections and the addresses that clients use; never their secrets',
    permission: 'user',
    audit: { none: 'shows names and addresses' },
    responses: {
      200: { description: 'Connections', schema: z.object({ connections: z.array(connectionShape) }) },
    },
    handler: ({ services }) => ({
      connections: services.connections.list().map(each => show(each, services)),
    }),
  }),
  route({
    method: 'POST',
    path: '/connections/{name}/check',
    id: 'connections.check',
    summary: 'Whether the upstream can be reached; no action is sent',
    permission: 'admin',
    audit: { none: 'dials the upstream and sends nothing' },
    params: z.object({ name: z.string() }),
    responses: {
      200: { description: 'The result', schema: z.object({ ok: z.boolean(), detail: z.string() }) },
    },
    async handler({ services, params }) {
      const open = services.connections.find(params.name)
      if (open === undefined)
        throw new GatewayError('not-found', { detail: `there is no connection ${params.name}` })
      return await open.check()
    },
  }),
]
