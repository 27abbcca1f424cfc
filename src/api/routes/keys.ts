import { z } from 'zod'
import { duration } from '../../config/units.ts'
import { subjectFacts } from '../../model/subject.ts'
import { route } from '../route.ts'

const keyShape = z.object({
  vkey: z.string().describe('What verifiers are given'),
  state: z.enum(['signing', 'pending', 'retired']),
  managed: z.boolean().describe('Whether the gateway made it and replaces it, or it is in the configuration'),
  until: z.iso.datetime().optional().describe('When it stops signing; absent for one that nothing replaces'),
})

export const keyRoutes = [
  route({
    method: 'GET',
    path: '/audit/keys',
    id: 'keys.list',
    summary: 'The keys that sign the log, and those that did',
    permission: 'auditor',
    audit: { none: 'verifier keys are public' },
    responses: { 200: { description: 'The keys', schema: z.object({ keys: z.array(keyShape) }) } },
    handler: ({ services }) => ({ keys: services.signingKeys.list() }),
  }),
  route({
    method: 'POST',
    path: '/audit/keys/rotate',
    id: 'keys.rotate',
    summary: 'Makes a new key for the log; both sign for an overlap, then the old one is destroyed',
    permission: 'admin',
    audit: 'key.rotated',
    body: z.object({
      overlap: duration()
        .refine(ms => ms >= 1000, 'write at least 1s')
        .default(7 * 86_400_000)
        .describe('How long both sign, so that verifiers can take up the new key; default 7d'),
    }),
    responses: { 200: { description: 'The keys', schema: z.object({ keys: z.array(keyShape) }) } },
    async handler({ services, caller, body }) {
      await services.signingKeys.rotate(body.overlap, { subject: subjectFacts(caller.subject) })
      return { keys: services.signingKeys.list() }
    },
  }),
]
