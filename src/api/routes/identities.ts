import { z } from 'zod'
import type { Entry } from '../../audit/events.ts'
import { noteReading } from '../reading.ts'
import { route } from '../route.ts'
import type { Services } from '../services.ts'
import { cursor, pageLimit } from '../shapes.ts'

const identityShape = z.object({
  subject: z.looseObject({ issuer: z.string(), id: z.string(), kind: z.string() }),
  key: z.string().describe('As the filter `identity` takes it'),
  entries: z.number().describe('Entries that name it'),
  first_seen: z.string(),
  last_seen: z.string(),
})

export const identityRoutes = [
  route({
    method: 'GET',
    path: '/identities',
    id: 'identities.list',
    summary: 'Who the log has seen, the most recent first: people, services, and agents by whom they act for',
    permission: 'auditor',
    audit: 'audit.read',
    query: z.object({
      name: z.string().max(200).optional().describe('A part of the id, e-mail address or name'),
      after: cursor,
      limit: pageLimit(200, 50),
    }),
    responses: {
      200: {
        description: 'A page',
        schema: z.object({ identities: z.array(identityShape), next: z.string().optional() }),
      },
    },
    async handler(call) {
      await noteReading(call, 'identities')
      const { services } = call
      const { name, after, limit } = call.query
      const page = await services.storage.index.identities({
        limit,
        ...(name === undefined ? {} : { name }),
        ...(after === undefined ? {} : { before: after }),
      })
      const identities = await Promise.all(
        page.identities.map(async ({ entries, first, last }) => {
          const newest = await readEntry(services, last)
          const { subject } = newest
          if (subject === undefined) return []
          const key = (subject.email ?? subject.name ?? subject.id).toLowerCase()
          const oldest = first === last ? newest : await readEntry(services, first)
          return [{ subject, key, entries, first_seen: oldest.time, last_seen: newest.time }]
        }),
      )
      return {
        identities: identities.flat(),
        ...(page.next === undefined ? {} : { next: String(page.next) }),
      }
    },
  }),
]

async function readEntry({ storage }: Services, index: number): Promise<Entry> {
  const [bytes] = await storage.log.read(index, 1)
  return JSON.parse(bytes!.toString('utf8')) as Entry
}
