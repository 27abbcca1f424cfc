import { z } from 'zod'
import type { Restricted, Restriction } from '../../detection/restrictions.ts'
import { GatewayError } from '../../errors.ts'
import { type SubjectFacts, subjectFacts } from '../../model/subject.ts'
import { type Caller, route } from '../route.ts'
import type { Services } from '../services.ts'
import { idParam } from '../shapes.ts'

const shape = z.looseObject({
  id: z.string(),
  kind: z.enum(['suspend', 'ask', 'slow']),
  state: z.enum(['in-force', 'over', 'cleared']),
  who: z.looseObject({ issuer: z.string(), id: z.string() }),
  reason: z.string(),
  detector: z.string().optional().describe('What noticed; absent where a person imposed it'),
  since: z.string(),
  until: z.string().optional().describe('Absent: until a person clears it'),
})

const someone = z.strictObject({ issuer: z.string().min(1).max(500), id: z.string().min(1).max(500) })

function show(restriction: Restriction, { restrictions }: Services): Record<string, unknown> {
  const { since, until, cleared, terms, ...rest } = restriction
  const state = restrictions.isInForce(restriction) ? 'in-force' : cleared === undefined ? 'over' : 'cleared'
  return {
    ...rest,
    state,
    since: new Date(since).toISOString(),
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
    ...(terms === undefined ? {} : { approvers: terms.approvers }),
    ...(cleared === undefined ? {} : { cleared: { ...cleared, at: new Date(cleared.at).toISOString() } }),
  }
}

/** Throws `denied` for who neither administers nor approves. */
function mayDecide({ roles }: Caller): void {
  if (!roles.has('admin') && !roles.has('approver'))
    throw new GatewayError('denied', { detail: 'this needs the role admin or approver' })
}

function mayLook({ roles }: Caller): void {
  if (!roles.has('admin') && !roles.has('approver') && !roles.has('auditor'))
    throw new GatewayError('denied', { detail: 'this needs the role auditor, approver or admin' })
}

/** Those who acted here under this id, e-mail address or name, each once. Throws unless there is exactly one. */
function resolve({ detection, sessions }: Services, name: string): Restricted {
  const wanted = name.toLowerCase()
  const known: SubjectFacts[] = [
    ...detection.identities(),
    ...sessions.list().map(({ subject }) => subjectFacts(subject)),
  ]
  const found = new Map<string, Restricted>()
  for (const { issuer, id, kind, name: called, email } of known) {
    if (![id, called, email].some(each => each?.toLowerCase() === wanted)) continue
    const rest = {
      ...(called === undefined ? {} : { name: called }),
      ...(email === undefined ? {} : { email }),
    }
    found.set(JSON.stringify([issuer, id]), { issuer, id, kind, ...rest })
  }
  const [one, ...others] = found.values()
  if (one !== undefined && others.length === 0) return one
  const detail =
    one === undefined
      ? `nobody called ${name} has acted here: give issuer and id`
      : `${found.size} identities are called ${name}: give issuer and id`
  throw new GatewayError('invalid-request', { detail })
}

export const restrictionRoutes = [
  route({
    method: 'GET',
    path: '/identities/suspended',
    id: 'restrictions.list',
    summary: 'Identities that are suspended, slowed down or asked about, newest first',
    permission: 'user',
    audit: { none: 'imposing and clearing are entries; looking at them shows nothing recorded' },
    query: z.object({
      all: z.enum(['true', 'false']).default('false').describe('Also those that are over or were cleared'),
    }),
    responses: {
      200: { description: 'Restrictions', schema: z.object({ restrictions: z.array(shape) }) },
    },
    handler({ services, caller, query }) {
      mayLook(caller)
      const found = services.restrictions.list({ all: query.all === 'true' })
      return { restrictions: found.map(each => show(each, services)) }
    },
  }),
  route({
    method: 'POST',
    path: '/identities/suspend',
    id: 'restrictions.suspend',
    summary:
      'Suspend an identity: it may do nothing on any connection, its open sessions end, and only another person clears it',
    // For administrators and approvers.
    permission: 'user',
    audit: 'identity.suspended',
    body: z.strictObject({
      identity: z
        .union([z.string().min(1).max(500), someone])
        .describe('`{ issuer, id }`, or the id, e-mail address or name of one that has acted here'),
      on_behalf_of: someone.optional().describe('Only while it acts for this person'),
      reason: z.string().trim().min(1).max(1000),
    }),
    responses: { 201: { description: 'The restriction', schema: shape } },
    async handler({ services, caller, body }) {
      mayDecide(caller)
      const { identity, on_behalf_of: acted, reason } = body
      const who = typeof identity === 'string' ? resolve(services, identity) : identity
      const restriction = await services.restrictions.impose({
        kind: 'suspend',
        who: acted === undefined ? who : { ...who, on_behalf_of: acted },
        reason,
        by: subjectFacts(caller.subject),
      })
      return show(restriction, services)
    },
  }),
  route({
    method: 'POST',
    path: '/identities/suspended/{id}/clear',
    id: 'restrictions.clear',
    summary: 'Let an identity act again. Only a person, and never the identity itself nor whom it acts for',
    // For administrators and approvers.
    permission: 'user',
    audit: 'identity.cleared',
    params: idParam,
    body: z.strictObject({ reason: z.string().trim().min(1).max(1000) }),
    responses: { 200: { description: 'The restriction', schema: shape } },
    async handler({ services, caller, params, body }) {
      mayDecide(caller)
      return show(await services.restrictions.clear(params.id, caller.subject, body.reason), services)
    },
  }),
]
