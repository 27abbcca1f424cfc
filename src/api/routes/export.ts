import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import { keptFindings } from '../../export/kept.ts'
import { route } from '../route.ts'
import { instant } from '../shapes.ts'

const sinkShape = z.looseObject({
  name: z.string(),
  type: z.string(),
  state: z.string(),
  cursor: z.number().describe('Every entry below it has arrived'),
  head: z.number().describe('Entries in the log'),
  lag: z.object({ entries: z.number(), seconds: z.number() }),
})
const sinkParam = z.object({ sink: z.string() })
const letterParam = z.object({
  sink: z.string(),
  index: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
})
const mostAtOnce = 100_000
const windowShape = z.strictObject({
  since: instant.optional().describe('Default: a day before `until`'),
  until: instant
    .optional()
    .describe('Default: 15 minutes ago, since what was just sent is not searchable yet'),
})
const comparisonShape = z.looseObject({
  sink: z.string(),
  equal: z.boolean(),
  from: z.number().describe('First entry of the log that was compared'),
  to: z.number().describe('Up to this entry, exclusive'),
  entries: z.number(),
  held: z.number(),
  stubs: z.number(),
  missing: z.number(),
  altered: z.number(),
  foreign: z.number(),
  duplicates: z.number().describe('Arrived more than once, as they were; no fault'),
  sent: z.number().optional().describe('Sent again because it was missing'),
})

export const exportRoutes = [
  route({
    method: 'GET',
    path: '/export',
    id: 'export.status',
    summary: 'How each sink is doing: lag, last error, counts',
    permission: 'auditor',
    audit: { none: 'counts only' },
    responses: {
      200: {
        description: 'The sinks, and how long what they got is kept, by the configuration',
        schema: z.object({
          sinks: z.array(sinkShape),
          kept: z.array(z.object({ where: z.string(), state: z.enum(['ok', 'warn']), detail: z.string() })),
        }),
      },
    },
    handler: ({ services }) => ({ sinks: services.export.status(), kept: keptFindings(services.config) }),
  }),
  route({
    method: 'GET',
    path: '/export/{sink}/dead-letters',
    id: 'deadLetters.list',
    summary: 'Records that a sink would not take; a stub went in their place',
    permission: 'auditor',
    audit: { none: 'shows indexes and reasons' },
    params: sinkParam,
    query: z.object({ after: z.string().optional() }),
    responses: {
      200: { description: 'A page', schema: z.looseObject({ letters: z.array(z.looseObject({})) }) },
    },
    handler: ({ services, params, query }) =>
      services.export.deadLetters.list(params.sink, {
        limit: 100,
        ...(query.after === undefined ? {} : { after: query.after }),
      }),
  }),
  route({
    method: 'GET',
    path: '/export/{sink}/dead-letters/{index}',
    id: 'deadLetters.get',
    summary: 'One such record: why it was refused, the entry, and the event as it would be sent now',
    permission: 'auditor',
    audit: { none: 'shows one entry, as entries.get' },
    params: letterParam,
    responses: { 200: { description: 'The record', schema: z.looseObject({}) } },
    async handler({ services, params }) {
      const { letter, entry, event } = await services.export.deadLetters.show(params.sink, params.index)
      return {
        letter,
        entry: JSON.parse(entry.toString('utf8')) as unknown,
        ...(event === undefined ? {} : { event: event.toString('utf8') }),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/export/{sink}/dead-letters/{index}/resend',
    id: 'deadLetters.resend',
    summary: 'Send such a record once more',
    permission: 'admin',
    audit: { none: 'sends an entry that is in the log' },
    params: letterParam,
    responses: {
      200: {
        description: 'Whether it was taken',
        schema: z.object({ accepted: z.boolean(), detail: z.string().optional() }),
      },
    },
    handler: ({ services, params }) => services.export.deadLetters.resend(params.sink, params.index),
  }),
  route({
    method: 'POST',
    path: '/export/{sink}/backfill',
    id: 'export.backfill',
    summary: 'Send a range of entries again, marked as a backfill, without moving the cursor',
    permission: 'admin',
    audit: { none: 'sends entries that are in the log' },
    params: sinkParam,
    body: z.strictObject({
      from: z.number().int().min(0).describe('First entry'),
      to: z
        .number()
        .int()
        .min(0)
        .optional()
        .describe('Up to this entry, exclusive; default: the end of the log'),
    }),
    responses: { 200: { description: 'What was sent', schema: z.looseObject({}) } },
    async handler({ services, params, body, signal }) {
      const to = body.to ?? services.storage.log.size
      if (to - body.from > mostAtOnce) {
        throw new GatewayError('invalid-request', { detail: `at most ${mostAtOnce} entries at once` })
      }
      return await services.export.backfill(params.sink, { from: body.from, to }, signal)
    },
  }),
  route({
    method: 'POST',
    path: '/export/{sink}/compare',
    id: 'export.compare',
    summary: 'Read a window back from the sink and compare it with the log; nothing is sent or written',
    permission: 'auditor',
    audit: { none: 'shows counts and ids' },
    params: sinkParam,
    body: windowShape,
    responses: { 200: { description: 'What differs', schema: comparisonShape } },
    handler: ({ services, params, body, signal }) =>
      services.export.reconcile(params.sink, { window: windowOf(body), dry: true }, signal),
  }),
  route({
    method: 'POST',
    path: '/export/{sink}/reconcile',
    id: 'export.reconcile',
    summary: 'The same, and send again what is missing',
    permission: 'admin',
    audit: 'export.reconciled',
    params: sinkParam,
    body: windowShape,
    responses: { 200: { description: 'What differed, and how much was sent', schema: comparisonShape } },
    handler: ({ services, params, body, signal }) =>
      services.export.reconcile(params.sink, { window: windowOf(body), dry: false }, signal),
  }),
]

function windowOf({ since, until }: z.infer<typeof windowShape>) {
  return { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) }
}
