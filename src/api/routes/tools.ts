import { z } from 'zod'
import type { PinnedOffer } from '../../approvals/definition-pins.ts'
import { GatewayError } from '../../errors.ts'
import { route } from '../route.ts'

const shape = z.looseObject({
  connection: z.string(),
  server: z.string(),
  name: z.string(),
  state: z.enum(['accepted', 'changed', 'new']),
  accepted: z.looseObject({ pin: z.string(), by: z.string(), seen_at: z.string() }).optional(),
  waiting: z
    .looseObject({ pin: z.string(), seen_at: z.string() })
    .optional()
    .describe('What the upstream says now; nobody can use it until a person accepts it'),
})

function show({ connection, server, name, accepted, waiting }: PinnedOffer): Record<string, unknown> {
  const seen = (at: number): string => new Date(at).toISOString()
  return {
    connection,
    server,
    name,
    state: waiting === undefined ? 'accepted' : accepted === undefined ? 'new' : 'changed',
    ...(accepted && {
      accepted: {
        pin: accepted.pin,
        by: accepted.by,
        seen_at: seen(accepted.seenAt),
        definition: accepted.definition,
      },
    }),
    ...(waiting && {
      waiting: { pin: waiting.pin, seen_at: seen(waiting.seenAt), definition: waiting.definition },
    }),
  }
}

export const toolRoutes = [
  route({
    method: 'GET',
    path: '/tools',
    id: 'tools.list',
    summary: 'What upstreams offer by name, as it was accepted, and what waits for a person',
    permission: 'approver',
    audit: { none: 'definitions that upstreams publish; accepting one is an entry' },
    query: z.object({ connection: z.string().optional() }),
    responses: { 200: { description: 'The definitions', schema: z.object({ tools: z.array(shape) }) } },
    handler: ({ services, query }) => ({ tools: services.pins.list(query.connection).map(show) }),
  }),
  route({
    method: 'POST',
    path: '/tools/accept',
    id: 'tools.accept',
    summary: 'Accept the definition that waits. Only a person can, and only the one that was looked at',
    permission: 'approver',
    audit: 'tool.accepted',
    body: z.strictObject({
      connection: z.string(),
      server: z.string(),
      name: z.string(),
      pin: z.string().describe('Of the definition that was looked at'),
    }),
    responses: { 200: { description: 'The definition', schema: shape } },
    async handler({ services, caller, body }) {
      if (caller.subject.kind !== 'user')
        throw new GatewayError('denied', { detail: 'only a person accepts what an upstream offers' })
      return show(await services.pins.accept(body, caller.subject))
    },
  }),
]
