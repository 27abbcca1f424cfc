import { z } from 'zod'
import { type Hold, isReleased } from '../../retention/holds.ts'
import type { Retention, RetentionRun } from '../../retention/retention.ts'
import { route } from '../route.ts'
import { idParam } from '../shapes.ts'

const words = z.string().trim().min(3).max(500)

const scope = z.union([
  z.strictObject({ session: z.string().min(1).max(200) }),
  z.strictObject({ connection: z.string().min(1).max(63) }),
  z.strictObject({
    person: z.string().min(1).max(300).describe('Id or e-mail address, also as whom an agent acts for'),
  }),
])

const stepShape = z.object({ by: z.looseObject({}), reason: z.string(), at: z.string() })

const holdShape = z.looseObject({
  id: z.string(),
  state: z.enum(['holds', 'released']),
  on: z.looseObject({}),
  placed: stepShape,
  releases: z.array(stepShape).describe('It takes two different people'),
})

function showHold(hold: Hold): z.infer<typeof holdShape> {
  const { id, on, placed, releases } = hold
  const step = ({ by, reason, at }: Hold['placed']) => ({
    by: { ...by },
    reason,
    at: new Date(at).toISOString(),
  })
  const state = isReleased(hold) ? 'released' : 'holds'
  return { id, state, on: { ...on }, placed: step(placed), releases: releases.map(step) }
}

const planShape = z.object({
  sessions: z.array(z.string()).describe('What is, or would be, erased'),
  held: z.array(z.object({ session: z.string(), hold: z.string() })).describe('Under a legal hold'),
  young: z.array(z.string()).describe('Younger than `retention.minimum.recordings`'),
})

const runShape = z.looseObject({
  at: z.string(),
  recordings: z.looseObject({}),
  entries: z.looseObject({ removed: z.number(), first: z.number(), waits_for: z.string() }),
})

function showRun({ at, recordings, entries }: RetentionRun): z.infer<typeof runShape> {
  const { removed, first, waitsFor } = entries
  return {
    at: new Date(at).toISOString(),
    recordings: { ...recordings },
    entries: { removed, first, waits_for: waitsFor },
  }
}

function showPolicy({ config }: Retention): Record<string, unknown> {
  const { entries, minimum, recordings, every } = config
  return {
    entries: { keep_ms: entries.keep },
    minimum: { entries_ms: minimum.entries, recordings_ms: minimum.recordings },
    recordings: recordings.map(({ keep, ...which }) => ({ ...which, keep_ms: keep })),
    every_ms: every,
  }
}

const holdRoutes = [
  route({
    method: 'POST',
    path: '/holds',
    id: 'holds.place',
    summary: 'Place a legal hold: what is under it is neither erased nor removed',
    permission: 'admin',
    audit: 'hold.placed',
    body: z.strictObject({ on: scope, reason: words.describe('Why; it stays in the log') }),
    responses: { 201: { description: 'The hold', schema: holdShape } },
    handler: async ({ services, caller, body }) =>
      showHold(await services.retention.place(body.on, caller.subject, body.reason)),
  }),
  route({
    method: 'GET',
    path: '/holds',
    id: 'holds.list',
    summary: 'Legal holds, oldest first; those that have ended too',
    permission: 'auditor',
    audit: { none: 'shows what the log says already' },
    responses: { 200: { description: 'Holds', schema: z.object({ holds: z.array(holdShape) }) } },
    handler: ({ services }) => ({ holds: services.retention.holds.map(showHold) }),
  }),
  route({
    method: 'POST',
    path: '/holds/{id}/release',
    id: 'holds.release',
    summary: 'Agree to the end of a legal hold. It ends when two different people have',
    permission: 'admin',
    audit: 'hold.released',
    params: idParam,
    body: z.strictObject({ reason: words.describe('Why; it stays in the log') }),
    responses: { 200: { description: 'The hold', schema: holdShape } },
    handler: async ({ services, caller, params, body }) =>
      showHold(await services.retention.release(params.id, caller.subject, body.reason)),
  }),
]

export const retentionRoutes = [
  ...holdRoutes,
  route({
    method: 'POST',
    path: '/erasures',
    id: 'erasures.create',
    summary: 'Make the recordings of a session or of a person unreadable for good. Entries and proofs stay',
    permission: 'admin',
    audit: 'erasure.done',
    body: z.strictObject({
      of: z.union([
        z.strictObject({ session: z.string().min(1).max(200) }),
        z.strictObject({ person: z.string().min(1).max(300) }),
      ]),
      basis: words.describe('The legal basis, in words that name nobody: it stays in the log'),
      except_protected: z
        .boolean()
        .default(false)
        .describe('Leave out what a hold or the legal minimum protects, rather than refuse'),
      dry_run: z.boolean().default(false).describe('Only say what would be erased'),
    }),
    responses: {
      200: {
        description: 'What was (or with `dry_run` would be) erased',
        schema: planShape.extend({
          id: z.string().optional(),
          keys: z.number().optional().describe('Keys that were there and are no more'),
          entries: z.array(z.string()).optional().describe('Ids of the entries that say so'),
        }),
      },
    },
    async handler({ services, caller, body }) {
      const { of, basis } = body
      if (body.dry_run) return await services.retention.planErasure(of)
      const done = await services.retention.erase({
        of,
        basis,
        by: caller.subject,
        exceptProtected: body.except_protected,
      })
      return { ...done, entries: done.entries.map(each => each.id) }
    },
  }),
  route({
    method: 'GET',
    path: '/retention',
    id: 'retention.get',
    summary: 'How long what is kept, and what the last look removed',
    permission: 'auditor',
    audit: { none: 'shows configuration and counts' },
    responses: { 200: { description: 'Policy and state', schema: z.looseObject({}) } },
    handler({ services }) {
      const { retention, storage, disk } = services
      return {
        policy: showPolicy(retention),
        first: String(storage.log.first),
        size: String(storage.log.size),
        disk: { state: disk.state, free_percent: Math.round(disk.freePercent * 10) / 10 },
        ...(retention.last === undefined ? {} : { last: showRun(retention.last) }),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/retention/run',
    id: 'retention.run',
    summary: 'Remove what is past its time now rather than at the next look',
    permission: 'admin',
    audit: 'pruned',
    responses: { 200: { description: 'What was removed', schema: runShape } },
    handler: async ({ services }) => showRun(await services.retention.run()),
  }),
]
