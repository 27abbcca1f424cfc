import { z } from 'zod'
import { subjectFacts } from '../../model/subject.ts'
import { GatewayError } from '../../errors.ts'
import type { OpenConnection } from '../../gateway/protocol.ts'
import { explain } from '../../policy/explain.ts'
import { inquiryOf } from '../../policy/policy-tests.ts'
import { questionSchema } from '../../policy/schema.ts'
import { route } from '../route.ts'

const connectionShape = z.looseObject({
  name: z.string(),
  protocol: z.string(),
  sensitivity: z.string(),
  labels: z.record(z.string(), z.string()),
  url: z.string().describe('What clients use as their base address'),
})

/** What may be shown of a connection: never its secrets, nor where they are. */
function show({ connection }: OpenConnection, publicUrl: string): Record<string, unknown> {
  const { name, protocol, sensitivity, labels } = connection
  return { name, protocol, sensitivity, labels, url: `${publicUrl}/c/${name}` }
}

export const systemRoutes = [
  route({
    method: 'GET',
    path: '/sign-in',
    id: 'signIn.get',
    summary: 'Where people sign in: issuer and client for the device grant',
    permission: 'public',
    audit: { none: 'the same for everybody, and nothing in it is secret' },
    responses: {
      200: {
        description: 'Issuer and client',
        schema: z.looseObject({ issuer: z.string(), client_id: z.string(), scope: z.string() }),
      },
    },
    handler({ services }) {
      const { signIn } = services.gateway
      if (signIn === undefined)
        throw new GatewayError('not-found', { detail: 'the gateway has no `sign_in` configured' })
      return signIn
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
        }),
      },
    },
    handler: ({ caller }) => ({
      subject: subjectFacts(caller.subject),
      groups: caller.subject.groups,
      roles: [...caller.roles],
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
      connections: services.connections.list().map(each => show(each, services.gateway.publicUrl)),
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
  route({
    method: 'POST',
    path: '/policy/explain',
    id: 'policy.explain',
    summary: 'What the policy in force would decide, which rule decides it, and why the others do not',
    permission: 'auditor',
    audit: { none: 'asks a question; nothing runs' },
    body: questionSchema,
    responses: {
      200: { description: 'The decision and an account of each rule', schema: z.looseObject({}) },
    },
    handler({ services, body }) {
      const connections = services.connections.list().map(each => each.connection)
      const inquiry = inquiryOf(body, { connections })
      if (inquiry === undefined)
        throw new GatewayError('not-found', { detail: 'there is no such connection' })
      return explain(services.gateway.rules, inquiry)
    },
  }),
]
