import { z } from 'zod'
import type { Entry } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import type { Session } from '../../gateway/session.ts'
import { subjectFacts } from '../../model/subject.ts'
import type { TimedFrame } from '../../recording/frames.ts'
import { noteReading } from '../reading.ts'
import { route, streamed } from '../route.ts'
import { readFacts } from '../../storage/entry-facts.ts'
import type { Services } from '../services.ts'
import { cursor, idParam, pageLimit } from '../shapes.ts'
import { followLog, resumeAt, streaming } from '../streams.ts'

const sessionShape = z.looseObject({
  id: z.string(),
  state: z.enum(['running', 'ended', 'lost']),
  started: z.string(),
  ended: z.string().optional(),
  subject: z.looseObject({}),
  connection: z.looseObject({}),
})

const listQuery = z.object({
  running: z.enum(['true', 'false']).optional().describe('Only sessions that run now'),
  identity: z.string().optional(),
  connection: z.string().optional(),
  after: cursor,
  limit: pageLimit(200, 50),
})

interface Started {
  readonly id: string
  readonly entry: Entry
}

/** A session as the log and the running table tell of it. */
async function describeSession(
  { storage, sessions }: Services,
  { id, entry }: Started,
): Promise<Record<string, unknown>> {
  const running = sessions.find(id)
  const base = {
    id,
    started: entry.time,
    subject: entry.subject,
    connection: entry.connection,
    client: entry.client,
  }
  if (running !== undefined) return { ...base, state: 'running', totals: running.totals }
  const ended = await storage.index.search({ session: id, kinds: ['session.ended'], limit: 1 })
  const last = ended.entries[0]
  if (last === undefined) return { ...base, state: 'lost' }
  const end = JSON.parse(last.bytes.toString('utf8')) as Entry
  return { ...base, state: 'ended', ended: end.time, reason: end['reason'], totals: end['totals'] }
}

async function findStart({ storage }: Services, id: string): Promise<Started> {
  const page = await storage.index.search({ session: id, kinds: ['session.started'], limit: 1 })
  const found = page.entries[0]
  if (found === undefined) throw new GatewayError('not-found', { detail: `there is no session ${id}` })
  return { id, entry: JSON.parse(found.bytes.toString('utf8')) as Entry }
}

export const sessionRoutes = [
  route({
    method: 'GET',
    path: '/sessions',
    id: 'sessions.list',
    summary: 'Sessions, newest first',
    permission: 'auditor',
    audit: { none: 'lists what ran, without content; searching the entries is noted' },
    query: listQuery,
    responses: {
      200: {
        description: 'A page',
        schema: z.object({ sessions: z.array(sessionShape), next: z.string().optional() }),
      },
    },
    async handler({ services, query }) {
      if (query.running === 'true')
        return {
          sessions: services.sessions
            .list()
            .filter(each => matches(each, query))
            .map(describeRunning),
        }
      const { identity, connection, after, limit } = query
      const page = await services.storage.index.search({
        kinds: ['session.started'],
        descending: true,
        limit,
        ...(identity === undefined ? {} : { identity }),
        ...(connection === undefined ? {} : { connection }),
        ...(after === undefined ? {} : { after }),
      })
      const started = page.entries.map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Entry)
      const sessions = await Promise.all(
        started.map(entry => describeSession(services, { id: entry.session!, entry })),
      )
      return { sessions, ...(page.next === undefined ? {} : { next: String(page.next) }) }
    },
  }),
  route({
    method: 'GET',
    path: '/sessions/{id}',
    id: 'sessions.get',
    summary: 'One session',
    permission: 'auditor',
    audit: { none: 'shows what ran, without content' },
    params: idParam,
    responses: { 200: { description: 'The session', schema: sessionShape } },
    handler: async ({ services, params }) => describeSession(services, await findStart(services, params.id)),
  }),
  route({
    method: 'GET',
    path: '/sessions/{id}/replay',
    id: 'sessions.replay',
    summary:
      'The actions of a session with what passed, masked as the client saw it. The reading is an entry',
    permission: 'auditor',
    audit: 'recording.read',
    params: idParam,
    query: z.object({
      after: cursor,
      limit: pageLimit(100, 20),
    }),
    responses: {
      200: {
        description: 'A page of actions, oldest first',
        schema: z.object({
          session: sessionShape,
          actions: z.array(
            z.object({
              entry: z.looseObject({}),
              frames: z.array(z.looseObject({})).optional(),
              unavailable: z.string().optional(),
            }),
          ),
          next: z.string().optional(),
        }),
      },
    },
    async handler({ services, caller, params, query }) {
      const started = await findStart(services, params.id)
      const page = await services.storage.index.search({
        session: params.id,
        kinds: [
          'action.completed',
          'action.failed',
          'action.denied',
          'action.not_forwarded',
          'action.outcome_unknown',
        ],
        limit: query.limit,
        ...(query.after === undefined ? {} : { after: query.after }),
      })
      const found = page.entries.map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Entry)
      const entries = withinBudget(found)
      const next = entries.length < found.length ? entries.at(-1)!.seq : page.next
      // Durable before anything is shown: nobody reads a recording unseen (P10).
      await services.audit.note('recording.read', {
        subject: subjectFacts(caller.subject),
        of: { session: params.id, entries: entries.map(entry => entry.seq) },
      })
      const actions = await Promise.all(entries.map(entry => replayOne(services, entry)))
      const session = await describeSession(services, started)
      return { session, actions, ...(next === undefined ? {} : { next: String(next) }) }
    },
  }),
  route({
    method: 'GET',
    path: '/sessions/{id}/stream',
    id: 'sessions.stream',
    summary:
      'The entries of a session, from its start and then as they come, as server-sent events; ends with the session',
    permission: 'auditor',
    audit: 'audit.read',
    params: idParam,
    responses: { 200: { description: 'Events named `entry`', type: 'text/event-stream' } },
    async handler(call) {
      const { services, params } = call
      const { id } = params
      await noteReading(call, 'session')
      const from = resumeAt(call) ?? Number((await findStart(services, id)).entry.seq)
      await streaming(call, async events => {
        await events.comment('following the session')
        // What is there already is found by the index; only what comes is looked for in the log itself.
        const { size } = services.storage.log
        await services.storage.index.whenIndexed(size)
        let after = from - 1
        for (;;) {
          const page = await services.storage.index.search({ session: id, after, limit: 256 })
          for (const { index, bytes } of page.entries) {
            await events.send('entry', bytes.toString('utf8'), index)
            if (readFacts(bytes).kind === 'session.ended') return
            after = index
          }
          if (page.next === undefined || call.signal.aborted) break
        }
        await followLog(call, events, {
          from: Math.max(after + 1, size),
          passes: facts => facts.session === id,
          isLast: facts => facts.kind === 'session.ended',
        })
      })
      return streamed
    },
  }),
  route({
    method: 'DELETE',
    path: '/sessions/{id}',
    id: 'sessions.kill',
    summary: 'End a running session; its running actions are cut and the next action begins another session',
    permission: 'admin',
    audit: 'session.ended',
    params: idParam,
    responses: { 204: { description: 'Ended' } },
    async handler({ services, params, caller }) {
      const session = services.sessions.find(params.id)
      if (session === undefined)
        throw new GatewayError('not-found', { detail: `no session ${params.id} is running` })
      await services.sessions.kill(session, `killed by ${caller.subject.email ?? caller.subject.id}`)
    },
  }),
]

/** Ciphertext that one page opens at most, and of one action: larger recordings are taken as files. */
const pageBytes = 32 * 1024 * 1024
const actionBytes = 16 * 1024 * 1024

/** The first entries whose recordings fit a page together, at least one. */
function withinBudget(entries: readonly Entry[]): readonly Entry[] {
  let bytes = 0
  const over = entries.findIndex(({ recording }, i) => {
    const length = recording?.length ?? 0
    if (length <= actionBytes) bytes += length
    return i > 0 && bytes > pageBytes
  })
  return over < 0 ? entries : entries.slice(0, over)
}

async function replayOne({ recordings }: Services, entry: Entry): Promise<Record<string, unknown>> {
  if (entry.recording === undefined) return { entry }
  if (entry.recording.length > actionBytes) {
    return {
      entry,
      unavailable: `${entry.recording.length} bytes: too large to show here; it can be had as a file`,
    }
  }
  try {
    return { entry, frames: (await recordings.read(entry.recording)).map(showFrame) }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { entry, unavailable: error.detail ?? error.title }
  }
}

/** Text where the bytes are UTF-8, else base64. */
function showFrame({ from, part, at, bytes }: TimedFrame): Record<string, unknown> {
  try {
    return { from, part, at, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { from, part, at, base64: bytes.toString('base64') }
  }
}

function matches(
  { subject, target }: Session,
  query: { identity?: string | undefined; connection?: string | undefined },
): boolean {
  if (query.connection !== undefined && query.connection !== target.name) return false
  if (query.identity === undefined) return true
  const names = [subject.id, subject.email, subject.name, subject.onBehalfOf?.id, subject.onBehalfOf?.email]
  return names.some(name => name?.toLowerCase() === query.identity?.toLowerCase())
}

function describeRunning({ id, subject, connection, client, totals }: Session): Record<string, unknown> {
  return { id, state: 'running', subject: subjectFacts(subject), connection, client, totals }
}
