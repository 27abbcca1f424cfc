import { z } from 'zod'
import { detectors } from '../../config/detection.ts'
import { findingKinds } from '../../detection/finding.ts'
import { GatewayError } from '../../errors.ts'
import { noteReading } from '../reading.ts'
import { route } from '../route.ts'
import { entryFilters, entryPage, entryShape, indexParam, pageQuery, showPage } from '../shapes.ts'
import { entryQuery } from './audit.ts'

const names = z.enum(detectors)

const query = z.object({
  since: entryFilters.since,
  until: entryFilters.until,
  identity: entryFilters.identity,
  connection: entryFilters.connection,
  kind: z
    .string()
    .transform(text => text.split(','))
    .pipe(z.array(names))
    .optional()
    .describe(`Which: ${detectors.join(', ')}; several separated by commas`),
  after: pageQuery.shape.after,
  order: z.enum(['asc', 'desc']).default('desc').describe('Newest or oldest first'),
  limit: pageQuery.shape.limit,
})

const kindsOf = (kinds: readonly z.infer<typeof names>[] = detectors): string[] =>
  kinds.map(each => findingKinds[each])

export const detectionRoutes = [
  route({
    method: 'GET',
    path: '/detections',
    id: 'detections.list',
    summary:
      'What was noticed of identities, newest first: entries of the log, with words and numbers in `detection`',
    permission: 'auditor',
    audit: 'audit.read',
    query,
    responses: { 200: { description: 'A page', schema: entryPage } },
    async handler(call) {
      await noteReading(call, 'detections')
      const { storage } = call.services
      const page = await storage.index.search(entryQuery({ ...call.query, kind: kindsOf(call.query.kind) }))
      return showPage(page, storage.log.size)
    },
  }),
  route({
    method: 'GET',
    path: '/detections/{index}',
    id: 'detections.get',
    summary: 'One finding, by the index of its entry',
    permission: 'auditor',
    audit: 'audit.read',
    params: indexParam,
    responses: { 200: { description: 'The entry', schema: entryShape } },
    async handler(call) {
      await noteReading(call, 'detections')
      const { log } = call.services.storage
      const { index } = call.params
      const [bytes] = index < log.size ? await log.read(index, 1) : []
      const entry = bytes && (JSON.parse(bytes.toString('utf8')) as { kind: string })
      if (entry === undefined || !kindsOf().includes(entry.kind))
        throw new GatewayError('not-found', { detail: `entry ${index} is no finding` })
      return entry
    },
  }),
]
