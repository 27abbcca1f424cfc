import { finished, pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Entry } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import { subjectFacts } from '../../model/subject.ts'
import { route, streamed } from '../route.ts'

export const recordingRoutes = [
  route({
    method: 'GET',
    path: '/sessions/{id}/recordings/{file}',
    id: 'recordings.file',
    summary:
      'The recording of one action as an age file, to be opened elsewhere with the identity. The reading is an entry',
    permission: 'auditor',
    audit: 'recording.read',
    params: z.object({
      id: z.string().min(1).max(200),
      file: z
        .string()
        .regex(/^\d{1,15}\.age$/, 'write the index of the entry that ended the action, and .age')
        .describe('`<index>.age`: the index of the entry that ended the action'),
    }),
    responses: { 200: { description: 'An age file', type: 'application/age-encryption' } },
    async handler({ services, caller, params, response }) {
      const { storage, audit, recordings } = services
      const index = Number(params.file.slice(0, -'.age'.length))
      const [bytes] =
        index < storage.log.size && index >= storage.log.first ? await storage.log.read(index, 1) : []
      const entry = bytes && (JSON.parse(bytes.toString('utf8')) as Entry)
      if (entry?.session !== params.id || entry.recording === undefined)
        throw new GatewayError('not-found', { detail: `entry ${index} names no recording of this session` })
      // Durable before anything is shown: nobody reads a recording unseen (P10).
      await audit.note('recording.read', {
        subject: subjectFacts(caller.subject),
        of: { session: params.id, entries: [entry.seq], as: 'age' },
      })
      const { length, pieces } = await recordings.file(entry.recording)
      response.setHeader('content-type', 'application/age-encryption')
      response.setHeader('content-length', length)
      response.setHeader('content-disposition', `attachment; filename="${entry.seq}.age"`)
      await pipeline(Readable.from(pieces), response, { end: false })
      response.end()
      await finished(response)
      return streamed
    },
  }),
]
