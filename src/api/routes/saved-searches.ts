import { hash } from 'node:crypto'
import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import { newId } from '../../id.ts'
import { subjectKey } from '../../model/subject.ts'
import { type Caller, route } from '../route.ts'
import { idParam } from '../shapes.ts'

const space = 'saved-search'
const mostOfOne = 100

const savedShape = z.object({
  id: z.string(),
  name: z.string(),
  query: z.string().describe('The part of the address after `?`'),
  created: z.string(),
})

/** Keys of one person begin alike, and tell nobody who it is. */
function prefixOf({ subject }: Caller): string {
  return `${hash('sha256', subjectKey(subject), 'hex').slice(0, 32)}/`
}

const audit = { none: 'a note of the caller’s own; running the search is noted' }

export const savedSearchRoutes = [
  route({
    method: 'GET',
    path: '/saved-searches',
    id: 'savedSearches.list',
    summary: 'The caller’s saved searches, oldest first',
    permission: 'auditor',
    audit,
    responses: { 200: { description: 'Searches', schema: z.object({ searches: z.array(savedShape) }) } },
    async handler({ services, caller }) {
      const prefix = prefixOf(caller)
      const found = await services.storage.state.list(space, { prefix, limit: mostOfOne })
      return { searches: found.map(each => each.value) }
    },
  }),
  route({
    method: 'POST',
    path: '/saved-searches',
    id: 'savedSearches.create',
    summary: 'Keep a search under a name',
    permission: 'auditor',
    audit,
    body: z.strictObject({ name: z.string().min(1).max(100), query: z.string().max(4000) }),
    responses: { 201: { description: 'The search', schema: savedShape } },
    async handler({ services, caller, body }) {
      const prefix = prefixOf(caller)
      const { state } = services.storage
      if ((await state.list(space, { prefix, limit: mostOfOne })).length >= mostOfOne)
        throw new GatewayError('conflict', { detail: `${mostOfOne} searches are kept: delete one first` })
      const now = Date.now()
      const saved = { id: newId('ss', now), ...body, created: new Date(now).toISOString() }
      await state.put(space, prefix + saved.id, saved, 0)
      return saved
    },
  }),
  route({
    method: 'DELETE',
    path: '/saved-searches/{id}',
    id: 'savedSearches.delete',
    summary: 'Forget a saved search',
    permission: 'auditor',
    audit,
    params: idParam,
    responses: { 204: { description: 'Forgotten' } },
    async handler({ services, caller, params }) {
      const key = prefixOf(caller) + params.id
      if ((await services.storage.state.get(space, key)) === undefined)
        throw new GatewayError('not-found', { detail: `there is no saved search ${params.id}` })
      await services.storage.state.delete(space, key)
    },
  }),
]
