import { z } from 'zod'
import type { Approval } from '../../approvals/approval.ts'
import type { Ballot } from '../../approvals/approvals.ts'
import { eligibleGroups } from '../../approvals/voters.ts'
import { GatewayError } from '../../errors.ts'
import { samePerson, subjectKey } from '../../model/subject.ts'
import { type Call, type Caller, route, streamed } from '../route.ts'
import { idParam, pageLimit } from '../shapes.ts'
import { change, type Events, streaming } from '../streams.ts'

const approvalShape = z.looseObject({
  id: z.string(),
  state: z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed']),
  requester: z.looseObject({}),
  connection: z.string(),
  operation: z.string(),
  risk: z.string(),
  resource: z.string(),
  digest: z.string().describe('SHA-256 of the canonical action'),
  created: z.string(),
  expires: z.string(),
  may_vote: z.boolean().describe('Whether the caller may vote on it'),
})

/**
 * What the caller may see of an approval. Requesters see their own without the preview: who may write but not read
 * must not learn the state of a resource by asking to change it.
 */
function show(approval: Approval, caller: Caller): Record<string, unknown> {
  const {
    requesterKey: _,
    connectionVersion: __,
    createdAt,
    expiresAt,
    usesLeft,
    endReason,
    terms,
    policyVersion,
    preview,
    ...rest
  } = approval
  return {
    ...rest,
    digest: `sha256:${approval.digest}`,
    policy: policyVersion,
    rule: terms.rule,
    approvers: terms.approvers,
    quorum: terms.quorum,
    distinct_groups: terms.distinctGroups,
    reason_required: terms.reasonRequired,
    on_change: terms.onChange,
    uses_left: usesLeft,
    created: new Date(createdAt).toISOString(),
    expires: new Date(expiresAt).toISOString(),
    ...(endReason === undefined ? {} : { end_reason: endReason }),
    ...(preview === undefined || !oversees(approval, caller) ? {} : { preview }),
    may_vote: approval.state === 'pending' && mayVote(approval, caller),
  }
}

function mayVote(approval: Approval, { subject, roles }: Caller): boolean {
  try {
    eligibleGroups(approval, subject, roles.has('approver'))
    return true
  } catch {
    return false
  }
}

/** Whoever decides or oversees: a role, or being named by the rule that asks, or having voted. */
function oversees(approval: Approval, caller: Caller): boolean {
  const { roles, subject } = caller
  if (roles.has('approver') || roles.has('auditor') || roles.has('admin')) return true
  return mayVote(approval, caller) || approval.votes.some(vote => samePerson(vote.by, subject))
}

/** Hides from everybody else that others' approvals exist. */
function visible(approval: Approval, caller: Caller): boolean {
  return approval.requesterKey === subjectKey(caller.subject) || oversees(approval, caller)
}

const ballot = z.strictObject({
  reason: z.string().max(1000).optional().describe('Why; some rules require it'),
  channel: z
    .enum(['api', 'cli', 'console'])
    .default('api')
    .describe('What the client calls itself: recorded as its claim'),
})

function votes(effect: 'approve' | 'deny') {
  return route({
    method: 'POST',
    path: `/approvals/{id}/${effect}`,
    id: `approvals.${effect}`,
    summary:
      effect === 'approve'
        ? 'Vote for the action. It runs once the quorum is reached, and once only'
        : 'Vote against the action, which ends the request',
    // Who may vote is the rule's business, and `Approvals.vote` refuses everyone else.
    permission: 'user',
    audit: 'approval.voted',
    params: idParam,
    body: ballot,
    responses: { 200: { description: 'The approval after the vote', schema: approvalShape } },
    async handler({ services, caller, params, body }) {
      const { reason, channel } = body
      const isApprover = caller.roles.has('approver')
      const given: Ballot = {
        effect,
        channel: 'api',
        via: channel,
        isApprover,
        ...(reason === undefined ? {} : { reason }),
      }
      return show(await services.approvals.vote(params.id, caller.subject, given), caller)
    },
  })
}

export const approvalRoutes = [
  route({
    method: 'GET',
    path: '/approvals',
    id: 'approvals.list',
    summary: 'Approvals, newest first: what is open, or all that are kept',
    permission: 'user',
    audit: { none: 'requests and votes are entries; looking at the queue is not a reading of a recording' },
    query: z.object({
      all: z.enum(['true', 'false']).default('false').describe('Also those that have ended'),
      limit: pageLimit(1000, 100),
    }),
    responses: { 200: { description: 'Approvals', schema: z.object({ approvals: z.array(approvalShape) }) } },
    async handler({ services, caller, query }) {
      const found = await services.approvals.list({ open: query.all === 'false', limit: query.limit })
      return { approvals: found.filter(each => visible(each, caller)).map(each => show(each, caller)) }
    },
  }),
  route({
    method: 'GET',
    path: '/approvals/stream',
    id: 'approvals.stream',
    summary:
      'What is open, as event `approvals`, then each approval that is made or changed, as event `approval`; server-sent',
    permission: 'user',
    audit: { none: 'see approvals.list' },
    responses: { 200: { description: 'Events `approvals` and `approval`', type: 'text/event-stream' } },
    async handler(call) {
      await streaming(call, events => followApprovals(call, events))
      return streamed
    },
  }),
  route({
    method: 'GET',
    path: '/approvals/{id}',
    id: 'approvals.get',
    summary:
      'One approval: who asks, the exact request with secrets masked, and what it will change. `wait` long-polls',
    permission: 'user',
    audit: { none: 'see approvals.list' },
    params: idParam,
    query: z.object({
      wait: z
        .string()
        .regex(/^\d{1,3}$/)
        .transform(Number)
        .pipe(z.number().max(60))
        .default(0)
        .describe('Seconds to wait for a decision'),
    }),
    responses: { 200: { description: 'The approval', schema: approvalShape } },
    async handler({ services, caller, params, query, signal }) {
      const approval = await services.approvals.get(params.id)
      if (!visible(approval, caller))
        throw new GatewayError('not-found', { detail: `there is no approval ${params.id}` })
      return show(await services.approvals.wait(approval, query.wait * 1000, signal), caller)
    },
  }),
  route({
    method: 'GET',
    path: '/notifiers',
    id: 'notifiers.list',
    summary: 'How those that tell people are doing: how far they are, and what went wrong last',
    permission: 'auditor',
    audit: { none: 'no record is shown' },
    responses: {
      200: {
        description: 'Notifiers',
        schema: z.object({ notifiers: z.array(z.looseObject({ name: z.string() })) }),
      },
    },
    handler: ({ services }) => ({
      notifiers: services.notifications
        .status()
        .map(each => ({ ...each, name: each.name.replace(/^approvals:/, '') })),
    }),
  }),
  votes('approve'),
  votes('deny'),
  route({
    method: 'DELETE',
    path: '/approvals/{id}',
    id: 'approvals.cancel',
    summary: 'Withdraw an open approval: the requester their own, an administrator any',
    permission: 'user',
    audit: 'approval.cancelled',
    params: idParam,
    responses: { 200: { description: 'The approval', schema: approvalShape } },
    async handler({ services, caller, params }) {
      const approval = await services.approvals.get(params.id)
      const own = approval.requesterKey === subjectKey(caller.subject)
      if (!own && !caller.roles.has('admin'))
        throw new GatewayError('not-found', { detail: `there is no approval ${params.id}` })
      const who = caller.subject.email ?? caller.subject.id
      return show(
        await services.approvals.cancel(
          params.id,
          own ? 'withdrawn by the requester' : `withdrawn by ${who}`,
        ),
        caller,
      )
    },
  }),
]

/** Changes that wait for a slow reader; beyond it the reader gets the whole queue anew. */
const mostWaiting = 200
const mostOpen = 1000

async function followApprovals(
  { services, caller, signal }: Call<unknown, unknown, unknown>,
  events: Events,
): Promise<void> {
  const { approvals } = services
  // The newest state of each is enough for a reader who is behind.
  const waiting = new Map<string, Approval>()
  let missed = true
  let wake = (): void => undefined
  const unsubscribe = approvals.onChange(approval => {
    if (!visible(approval, caller)) return
    waiting.set(approval.id, approval)
    if (waiting.size > mostWaiting) {
      waiting.clear()
      missed = true
    }
    wake()
  })
  try {
    while (!signal.aborted) {
      if (missed) {
        missed = false
        const found = await approvals.list({ open: true, limit: mostOpen })
        const shown = found.filter(each => visible(each, caller)).map(each => show(each, caller))
        await events.send('approvals', JSON.stringify({ approvals: shown }))
      }
      for (const [id, approval] of waiting) {
        waiting.delete(id)
        await events.send('approval', JSON.stringify(show(approval, caller)))
      }
      const due = (): boolean => missed || waiting.size > 0
      await change(signal, due, listener => {
        wake = listener
        return () => (wake = () => undefined)
      })
      if (!due()) await events.comment('alive')
    }
  } finally {
    unsubscribe()
  }
}
