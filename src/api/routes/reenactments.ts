import { z } from 'zod'
import { type Entry, terminalKinds } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import { subjectFacts } from '../../model/subject.ts'
import type { Subject } from '../../model/subject.ts'
import { createRejudge } from '../../policy/rejudge.ts'
import { route } from '../route.ts'
import type { Services } from '../services.ts'
import { idParam } from '../shapes.ts'
import { policyText, readOrRefuse } from './policy.ts'

const seq = z.string().regex(/^\d{1,15}$/, 'write the index of an entry')
const effect = z.enum(['permit', 'deny', 'ask'])

/** What is asked about recorded sessions besides showing them: how they would be judged, and that they are undone. */
export const reenactmentRoutes = [
  route({
    method: 'POST',
    path: '/sessions/{id}/rejudge',
    id: 'sessions.rejudge',
    summary:
      'How actions of a session would be decided under the policy in force or another one. Entries do not hold groups ' +
      'and claims: where those matter, every effect that is possible is given. The reading is an entry',
    permission: 'auditor',
    audit: 'recording.read',
    params: idParam,
    body: z.strictObject({
      policy: policyText.optional(),
      actions: z
        .array(
          z.strictObject({
            entry: seq.describe('Index of the entry that ended the action'),
            request: z
              .record(z.string(), z.unknown())
              .optional()
              .describe(
                'What conditions see as `request`, from the recording; only where no mask hid anything',
              ),
          }),
        )
        .min(1)
        .max(100),
    }),
    responses: {
      200: {
        description: 'The decisions, in the order asked',
        schema: z.object({
          version: z.string(),
          actions: z.array(
            z.object({
              entry: z.string(),
              before: effect.optional().describe('Absent where the entry holds no decision'),
              after: z.array(effect),
              rule: z.string().optional(),
              unknown: z.array(z.object({ rule: z.string(), needs: z.array(z.string()) })),
            }),
          ),
        }),
      },
    },
    async handler({ services, caller, params, body }) {
      const policy = body.policy === undefined ? services.gateway.rules : readOrRefuse(services, body.policy)
      const entries = await Promise.all(
        body.actions.map(each => endedAction(services, params.id, each.entry)),
      )
      await services.audit.note('recording.read', {
        subject: subjectFacts(caller.subject),
        of: {
          session: params.id,
          entries: entries.map(each => each.seq),
          as: 'sandbox',
          policy: policy.version,
        },
      })
      const rejudge = createRejudge({
        policy,
        inForce: services.gateway.rules,
        connection: name => services.connections.find(name)?.connection,
      })
      const actions = entries.map((entry, i) => {
        const judged = rejudge(entry, body.actions[i]!.request)
        return { entry: entry.seq, ...(judged ?? { after: [], unknown: [] }) }
      })
      return { version: policy.version, actions }
    },
  }),
  route({
    method: 'POST',
    path: '/sessions/{id}/undo',
    id: 'sessions.undo',
    summary:
      'Says that the caller sets about undoing actions of a session. Nothing runs by this: the caller sends the actions ' +
      'that undo them like any other, and names each with `sessions.undone`',
    permission: 'auditor',
    audit: 'undo.started',
    params: idParam,
    body: z.strictObject({
      actions: z.array(seq).min(1).max(200).describe('Indexes of the entries that ended them'),
    }),
    responses: { 200: { description: 'The entry', schema: z.object({ entry: z.string() }) } },
    async handler({ services, caller, params, body }) {
      const entries = await Promise.all(body.actions.map(each => endedAction(services, params.id, each)))
      const { index } = await services.audit.note('undo.started', {
        subject: subjectFacts(caller.subject),
        of: { session: params.id, entries: entries.map(each => each.seq) },
      })
      return { entry: String(index) }
    },
  }),
  route({
    method: 'POST',
    path: '/sessions/{id}/undone',
    id: 'sessions.undone',
    summary:
      'Links an action of the caller to the one of the session that it undid. The action is looked for in the log: the ' +
      'newest success of the caller with this operation on this resource since the undoing began',
    permission: 'auditor',
    audit: 'undo.applied',
    params: idParam,
    body: z.strictObject({
      started: seq.describe('What `sessions.undo` answered'),
      undoes: seq.describe('Index of the entry that ended the action which is undone'),
      operation: z.string().max(300),
      resource: z.string().max(4096),
    }),
    responses: {
      200: { description: 'Both', schema: z.object({ entry: z.string(), by: z.string() }) },
    },
    async handler({ services, caller, params, body }) {
      const undone = await endedAction(services, params.id, body.undoes)
      const started = await entryAt(services, body.started)
      if (started?.kind !== 'undo.started' || !isBy(started, caller.subject))
        throw new GatewayError('not-found', { detail: `entry ${body.started} is no undoing of yours` })
      const { storage, audit } = services
      await storage.index.whenIndexed(storage.log.size)
      const page = await storage.index.search({
        kinds: ['action.completed'],
        connection: undone.connection?.name ?? '',
        operation: body.operation.replaceAll('*', ''),
        outcome: 'success',
        since: Date.parse(started.time),
        descending: true,
        limit: 200,
      })
      const by = page.entries
        .map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Entry)
        .find(
          each =>
            Number(each.seq) > Number(started.seq) &&
            each.resource === body.resource &&
            isBy(each, caller.subject),
        )
      if (by === undefined)
        throw new GatewayError('not-found', { detail: `no ${body.operation} of yours succeeded since` })
      const { index } = await audit.note('undo.applied', {
        subject: subjectFacts(caller.subject),
        of: { session: params.id, action: undone.action, entry: undone.seq },
        by: { session: by.session, action: by.action, entry: by.seq },
      })
      return { entry: String(index), by: by.seq }
    },
  }),
]

const ends: ReadonlySet<string> = new Set(terminalKinds)

/** The entry that ended an action of this session. Throws `not-found` for any other. */
async function endedAction(services: Services, session: string, at: string): Promise<Entry> {
  const entry = await entryAt(services, at)
  if (entry?.session !== session || !ends.has(entry.kind))
    throw new GatewayError('not-found', { detail: `entry ${at} ends no action of this session` })
  return entry
}

async function entryAt({ storage }: Services, at: string): Promise<Entry | undefined> {
  const index = Number(at)
  const [bytes] =
    index < storage.log.size && index >= storage.log.first ? await storage.log.read(index, 1) : []
  return bytes && (JSON.parse(bytes.toString('utf8')) as Entry)
}

function isBy({ subject }: Entry, { issuer, id, onBehalfOf }: Subject): boolean {
  return subject?.issuer === issuer && subject.id === id && subject.on_behalf_of?.id === onBehalfOf?.id
}
