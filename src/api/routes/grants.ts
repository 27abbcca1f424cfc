import { samePerson } from '../../model/subject.ts'
import { z } from 'zod'
import type { BrokenGlass } from '../../approvals/break-glass.ts'
import type { Grant, GrantedTo } from '../../approvals/grants.ts'
import { GatewayError } from '../../errors.ts'
import { duration } from '../../config/units.ts'
import { type Caller, route } from '../route.ts'
import type { Services } from '../services.ts'
import { idParam, pageLimit } from '../shapes.ts'

const someone = z.union([
  z.strictObject({ issuer: z.string().min(1).max(500), id: z.string().min(1).max(500) }),
  z.strictObject({ email: z.email().max(320) }),
])

const grantShape = z.looseObject({
  id: z.string(),
  kind: z.literal('grant'),
  state: z.enum(['proposed', 'active', 'revoked', 'expired']),
  to: z.looseObject({}),
  connection: z.string(),
  operations: z.array(z.string()),
  risks: z.array(z.string()),
  reason: z.string(),
  given_by: z.array(z.string()),
  created: z.string(),
  until: z.string(),
})

const brokenShape = z.looseObject({
  id: z.string(),
  kind: z.literal('break-glass'),
  state: z.enum(['active', 'over']),
  by: z.looseObject({}),
  connection: z.string(),
  reason: z.string(),
  created: z.string(),
  until: z.string(),
})

function showGrant(grant: Grant, { grants }: Services): Record<string, unknown> {
  const { id, to, onBehalfOf, connection, operations, risks, reason, endReason } = grant
  return {
    id,
    kind: 'grant',
    state: grants.stateOf(grant),
    to,
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: onBehalfOf }),
    connection: connection.name,
    operations,
    risks,
    reason,
    given_by: grant.givers.map(({ by }) => by.email ?? by.id),
    created: new Date(grant.createdAt).toISOString(),
    until: new Date(grant.until).toISOString(),
    ...(endReason === undefined ? {} : { end_reason: endReason }),
  }
}

function showBroken(broken: BrokenGlass, { breakGlass }: Services): Record<string, unknown> {
  const { id, by, connection, reason, endReason } = broken
  return {
    id,
    kind: 'break-glass',
    state: breakGlass.isInForce(broken) ? 'active' : 'over',
    by,
    connection: connection.name,
    reason,
    created: new Date(broken.createdAt).toISOString(),
    until: new Date(broken.until).toISOString(),
    ...(endReason === undefined ? {} : { end_reason: endReason }),
  }
}

/** Those who watch see all of it, others what is about themselves. */
function oversees({ roles }: Caller): boolean {
  return roles.has('approver') || roles.has('auditor') || roles.has('admin')
}

function concerns(to: GrantedTo, { subject }: Caller): boolean {
  if ('email' in to) return subject.email?.toLowerCase() === to.email.toLowerCase()
  return subject.issuer === to.issuer && subject.id === to.id
}

function seesGrant(grant: Grant, caller: Caller): boolean {
  const given = grant.givers.some(({ by }) => samePerson(by, caller.subject))
  return oversees(caller) || given || concerns(grant.to, caller)
}

function connectionOf({ connections }: Services, wanted: string): Grant['connection'] {
  const found = connections.find(wanted)?.connection
  if (found === undefined)
    throw new GatewayError('invalid-request', { detail: `there is no connection ${wanted}` })
  const { name, protocol, sensitivity } = found
  return { name, protocol, sensitivity }
}

const limit = pageLimit(1000, 100)

const noReading = {
  none: 'giving and ending them are entries; looking at them shows nothing recorded',
} as const

const grants = [
  route({
    method: 'GET',
    path: '/grants',
    id: 'grants.list',
    summary: 'Grants in force or proposed, newest first; or all that are kept',
    permission: 'user',
    audit: noReading,
    query: z.object({
      all: z.enum(['true', 'false']).default('false').describe('Also those that are over'),
      limit,
    }),
    responses: { 200: { description: 'Grants', schema: z.object({ grants: z.array(grantShape) }) } },
    async handler({ services, caller, query }) {
      const found = await services.grants.list({ all: query.all === 'true', limit: query.limit })
      return { grants: found.filter(each => seesGrant(each, caller)).map(each => showGrant(each, services)) }
    },
  }),
  route({
    method: 'POST',
    path: '/grants',
    id: 'grants.create',
    summary:
      'Give consent ahead: to one subject, on one connection, for a pattern of operations and a while. Where several must agree this is the first vote',
    // Who may give is configured (`approvals.grants`), and `Grants` refuses everyone else.
    permission: 'user',
    audit: 'grant.proposed',
    body: z.strictObject({
      to: someone.describe('Whom it is for: `{ issuer, id }`, or `{ email }` that an issuer vouches for'),
      on_behalf_of: someone.optional().describe('Only while an agent acts for this person'),
      connection: z.string().max(63),
      operations: z.array(z.string().min(1).max(512)).min(1).max(100).describe('`*` stands for any text'),
      risks: z
        .array(z.enum(['read', 'write', 'delete', 'admin']))
        .min(1)
        .default(['read', 'write']),
      duration: duration().describe('How long, from when enough people have agreed'),
      reason: z.string().min(1).max(1000),
    }),
    responses: { 201: { description: 'The grant', schema: grantShape } },
    async handler({ services, caller, body }) {
      const connection = connectionOf(services, body.connection)
      const { to, on_behalf_of: onBehalfOf, operations, risks, reason } = body
      const asked = {
        to,
        connection,
        operations,
        risks: [...new Set(risks)],
        reason,
        durationMs: body.duration,
      }
      const grant = await services.grants.create(
        onBehalfOf === undefined ? asked : { ...asked, onBehalfOf },
        caller.subject,
        caller.roles.has('approver'),
      )
      return showGrant(grant, services)
    },
  }),
  route({
    method: 'GET',
    path: '/grants/{id}',
    id: 'grants.get',
    summary: 'One grant',
    permission: 'user',
    audit: noReading,
    params: idParam,
    responses: { 200: { description: 'The grant', schema: grantShape } },
    async handler({ services, caller, params }) {
      const grant = await services.grants.get(params.id)
      if (!seesGrant(grant, caller))
        throw new GatewayError('not-found', { detail: `there is no grant ${params.id}` })
      return showGrant(grant, services)
    },
  }),
  route({
    method: 'POST',
    path: '/grants/{id}/approve',
    id: 'grants.approve',
    summary: 'Agree to a proposed grant; it is in force once enough people have',
    permission: 'user',
    audit: 'grant.voted',
    params: idParam,
    responses: { 200: { description: 'The grant after the vote', schema: grantShape } },
    async handler({ services, caller, params }) {
      const { subject, roles } = caller
      return showGrant(await services.grants.approve(params.id, subject, roles.has('approver')), services)
    },
  }),
  route({
    method: 'DELETE',
    path: '/grants/{id}',
    id: 'grants.revoke',
    summary: 'End a grant now: who may give grants, who gave it, whom it is for, or an administrator',
    permission: 'user',
    audit: 'grant.revoked',
    params: idParam,
    responses: { 200: { description: 'The grant', schema: grantShape } },
    async handler({ services, caller, params }) {
      const { subject, roles } = caller
      return showGrant(await services.grants.revoke(params.id, subject, roles.has('admin')), services)
    },
  }),
]

const brokenGlass = [
  route({
    method: 'GET',
    path: '/break-glass',
    id: 'breakGlass.list',
    summary: 'Where the glass was broken, newest first',
    permission: 'user',
    audit: noReading,
    query: z.object({ limit }),
    responses: {
      200: { description: 'Broken glass', schema: z.object({ break_glass: z.array(brokenShape) }) },
    },
    async handler({ services, caller, query }) {
      const found = await services.breakGlass.list(query.limit)
      const seen = found.filter(each => oversees(caller) || samePerson(each.by, caller.subject))
      return { break_glass: seen.map(each => showBroken(each, services)) }
    },
  }),
  route({
    method: 'POST',
    path: '/break-glass',
    id: 'breakGlass.declare',
    summary:
      'In an emergency: let the asks of one connection pass for a while, for your own calls and agents acting for you. Alarmed at once',
    // Who may is configured (`approvals.break_glass`), and `BreakGlass` refuses everyone else.
    permission: 'user',
    audit: 'break_glass.used',
    body: z.strictObject({
      connection: z.string().max(63),
      reason: z.string().max(1000).describe('What has happened; goes into the log and to the notifiers'),
      duration: duration().describe('How long'),
    }),
    responses: { 201: { description: 'The broken glass', schema: brokenShape } },
    async handler({ services, caller, body }) {
      const connection = connectionOf(services, body.connection)
      const { reason, duration: durationMs } = body
      return showBroken(
        await services.breakGlass.declare(caller.subject, { connection, reason, durationMs }),
        services,
      )
    },
  }),
  route({
    method: 'DELETE',
    path: '/break-glass/{id}',
    id: 'breakGlass.end',
    summary: 'End it before its time: the person who broke it, or an administrator',
    permission: 'user',
    audit: 'break_glass.ended',
    params: idParam,
    responses: { 200: { description: 'The broken glass', schema: brokenShape } },
    async handler({ services, caller, params }) {
      const ended = await services.breakGlass.end(params.id, caller.subject, caller.roles.has('admin'))
      return showBroken(ended, services)
    },
  }),
]

/** Consent for more than one action. */
export const grantRoutes = [...grants, ...brokenGlass]
