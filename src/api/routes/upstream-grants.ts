/** A person's consent to be represented at an upstream: each route concerns the caller alone. */
import { z } from 'zod'
import { route } from '../route.ts'

const params = z.object({ name: z.string().describe('Name of the connection') })
const credential = z
  .string()
  .max(100)
  .optional()
  .describe('Which of its secrets; default: the first that people consent to')
const place = z.object({ credential })

function named(value: string | undefined): { readonly credential?: string } {
  return value === undefined ? {} : { credential: value }
}

export const upstreamGrantRoutes = [
  route({
    method: 'POST',
    path: '/connections/{name}/consent',
    id: 'consents.begin',
    summary: 'The address at which the caller, a person, lets the gateway use this upstream in their name',
    permission: 'user',
    audit: { none: 'nothing is granted before the person has been there' },
    params,
    body: place,
    responses: {
      200: { description: 'Where to go', schema: z.object({ url: z.string(), expires: z.string() }) },
    },
    async handler({ services, caller, params: { name }, body }) {
      const { url, expiresAt } = await services.upstreamGrants.begin(caller.subject, name, body.credential)
      return { url, expires: new Date(expiresAt).toISOString() }
    },
  }),
  route({
    method: 'POST',
    path: '/connections/{name}/consent/confirmation',
    id: 'consents.confirm',
    summary: 'Confirms, with the code that the page showed, that it was the caller who consented there',
    permission: 'user',
    audit: 'credential.granted',
    params,
    body: place.extend({ code: z.string().min(1).max(32) }),
    responses: { 200: { description: 'Granted', schema: z.object({ granted: z.literal(true) }) } },
    async handler({ services, caller, params: { name }, body }) {
      const given = { confirmation: body.code, ...named(body.credential) }
      await services.upstreamGrants.confirm(caller.subject, name, given)
      return { granted: true }
    },
  }),
  route({
    method: 'GET',
    path: '/connections/{name}/consent',
    id: 'consents.get',
    summary: 'Whether the caller has let the gateway use this upstream in their name',
    permission: 'user',
    audit: { none: 'shows callers their own' },
    params,
    query: place,
    responses: {
      200: {
        description: 'How it stands',
        schema: z.object({ granted: z.boolean(), since: z.string().optional() }),
      },
    },
    async handler({ services, caller, params: { name }, query }) {
      const since = await services.upstreamGrants.since(caller.subject, name, query.credential)
      return {
        granted: since !== undefined,
        ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
      }
    },
  }),
  route({
    method: 'DELETE',
    path: '/connections/{name}/consent',
    id: 'consents.withdraw',
    summary: 'The gateway forgets the caller’s tokens of this upstream',
    permission: 'user',
    audit: 'credential.withdrawn',
    params,
    query: place,
    responses: { 200: { description: 'Forgotten', schema: z.object({ granted: z.literal(false) }) } },
    async handler({ services, caller, params: { name }, query }) {
      await services.upstreamGrants.withdraw(caller.subject, name, query.credential)
      return { granted: false }
    },
  }),
]
