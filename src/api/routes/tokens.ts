import { z } from 'zod'
import { duration } from '../../config/units.ts'
import { GatewayError } from '../../errors.ts'
import type { TokenRecord } from '../../identity/tokens.ts'
import { subjectFacts, subjectKey } from '../../model/subject.ts'
import { route } from '../route.ts'
import { idParam } from '../shapes.ts'

const principal = z.strictObject({
  issuer: z.string().min(1),
  id: z.string().min(1),
  name: z.string().optional(),
  email: z.string().optional(),
})

const tokenShape = z.looseObject({
  id: z.string(),
  name: z.string(),
  created: z.string(),
  expires: z.string(),
})

function show({
  created,
  expires,
  lastUsed,
  revoked,
  onBehalfOf,
  createdBy,
  ...rest
}: TokenRecord): Record<string, unknown> {
  return {
    ...rest,
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: onBehalfOf }),
    created: new Date(created).toISOString(),
    created_by: createdBy,
    expires: new Date(expires).toISOString(),
    ...(lastUsed === undefined ? {} : { last_used: new Date(lastUsed).toISOString() }),
    ...(revoked === undefined ? {} : { revoked: new Date(revoked.at).toISOString() }),
  }
}

export const tokenRoutes = [
  route({
    method: 'POST',
    path: '/tokens',
    id: 'tokens.create',
    summary:
      'Make a gateway token for a machine without an identity provider. The answer is the only time it is seen',
    permission: 'admin',
    audit: 'identity.token_created',
    body: z.strictObject({
      name: z.string().min(1).max(100).describe('What the token is for'),
      subject: z.strictObject({
        id: z.string().min(1).max(200),
        kind: z.enum(['user', 'service', 'agent']).default('agent'),
        name: z.string().optional(),
        email: z.string().optional(),
      }),
      groups: z.array(z.string()).default([]),
      on_behalf_of: principal.optional().describe('The person an agent acts for'),
      lifetime: duration().optional().describe('Default and longest are configured'),
    }),
    responses: { 201: { description: 'The token', schema: tokenShape.extend({ token: z.string() }) } },
    async handler({ services, caller, body }) {
      const { name, groups, on_behalf_of, lifetime } = body
      const { id, kind, ...about } = body.subject
      if (kind === 'user')
        throw new GatewayError('invalid-request', {
          detail: 'people sign in; a token is for an agent or a service',
        })
      const who = { id, kind, ...given(about) }
      // Before it exists: a token that nobody noted must not be usable (P10).
      await services.audit.note('identity.token_created', {
        subject: subjectFacts(caller.subject),
        token: { name, subject: who, groups, ...(on_behalf_of === undefined ? {} : { on_behalf_of }) },
      })
      const { token, record } = await services.tokens.create({
        name,
        subject: who,
        groups,
        createdBy: subjectKey(caller.subject),
        ...(on_behalf_of === undefined
          ? {}
          : {
              onBehalfOf: {
                issuer: on_behalf_of.issuer,
                id: on_behalf_of.id,
                ...given({ name: on_behalf_of.name, email: on_behalf_of.email }),
              },
            }),
        ...(lifetime === undefined ? {} : { lifetime }),
      })
      return { ...show(record), token }
    },
  }),
  route({
    method: 'GET',
    path: '/tokens',
    id: 'tokens.list',
    summary: 'Gateway tokens, oldest first; never the tokens themselves',
    permission: 'admin',
    audit: { none: 'shows names and times' },
    query: z.object({ after: z.string().optional() }),
    responses: {
      200: {
        description: 'A page',
        schema: z.object({ tokens: z.array(tokenShape), next: z.string().optional() }),
      },
    },
    async handler({ services, query }) {
      const tokens = await services.tokens.list({ limit: 200, ...given({ after: query.after }) })
      const last = tokens.length === 200 ? tokens.at(-1)?.id : undefined
      return { tokens: tokens.map(show), ...given({ next: last }) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/tokens/{id}',
    id: 'tokens.revoke',
    summary: 'Revoke a gateway token; from then on it is refused',
    permission: 'admin',
    audit: 'identity.token_revoked',
    params: idParam,
    responses: { 200: { description: 'The token', schema: tokenShape } },
    async handler({ services, caller, params }) {
      if ((await services.tokens.get(params.id)) === undefined)
        throw new GatewayError('not-found', { detail: `there is no token ${params.id}` })
      await services.audit.note('identity.token_revoked', {
        subject: subjectFacts(caller.subject),
        token: { id: params.id },
      })
      const record = await services.tokens.revoke(params.id, subjectKey(caller.subject))
      if (record === undefined)
        throw new GatewayError('not-found', { detail: `there is no token ${params.id}` })
      return show(record)
    },
  }),
]

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> }

/** The members that are there. */
function given<T extends object>(members: T): Present<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Present<T>
}
