/** What concerns the caller alone: what policy would say to them, and what they were denied. */
import { z } from 'zod'
import type { Entry } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import { explain } from '../../policy/explain.ts'
import { inquiryOf } from '../../policy/policy-tests.ts'
import { questionSchema } from '../../policy/schema.ts'
import { route } from '../route.ts'
import { cursor, pageLimit } from '../shapes.ts'

const decisionShape = z.looseObject({
  effect: z.enum(['permit', 'ask', 'deny']),
  reason: z.string(),
  rule: z.string().optional(),
  message: z.string().optional(),
  mask: z.array(z.string()),
  approvers: z.array(z.string()).optional(),
})

const denialShape = z.looseObject({
  entry: z.string(),
  time: z.string(),
  connection: z.string(),
  operation: z.string(),
  reason: z.string(),
})

export const meRoutes = [
  route({
    method: 'POST',
    path: '/me/policy',
    id: 'me.policy',
    summary:
      'What the policy in force would say to the caller about one action, and which rule says it. Nothing runs',
    permission: 'user',
    audit: { none: 'asks a question about the caller; nothing runs' },
    body: z.strictObject({
      connection: z.string().max(63).describe('Name of a connection'),
      action: questionSchema.shape.action,
    }),
    responses: { 200: { description: 'The decision', schema: decisionShape } },
    handler({ services, caller, body }) {
      const connections = services.connections.list().map(each => each.connection)
      const question = questionSchema.parse({ subject: {}, ...body })
      const asked = inquiryOf(question, { connections })
      if (asked === undefined) throw new GatewayError('not-found', { detail: 'there is no such connection' })
      const { decision } = explain(services.gateway.rules, { ...asked, subject: caller.subject })
      const { effect, reason, rule, message, obligations, approval } = decision
      return {
        effect,
        reason,
        ...(rule === undefined ? {} : { rule }),
        ...(message === undefined ? {} : { message }),
        mask: obligations.mask,
        ...(approval === undefined ? {} : { approvers: approval.approvers }),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/me/denials',
    id: 'me.denials',
    summary: 'What the caller was denied, newest first, with the reason and the rule of each',
    permission: 'user',
    audit: { none: 'shows callers what they were told themselves' },
    query: z.object({ after: cursor, limit: pageLimit(100, 20) }),
    responses: {
      200: {
        description: 'A page',
        schema: z.object({ denials: z.array(denialShape), next: z.string().optional() }),
      },
    },
    async handler({ services, caller, query }) {
      const { subject } = caller
      const page = await services.storage.index.search({
        kinds: ['action.denied'],
        identity: subject.id,
        descending: true,
        limit: query.limit,
        ...(query.after === undefined ? {} : { after: query.after }),
      })
      const denials = page.entries
        .map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Entry)
        // The index finds names as well; these must be the very same identity.
        .filter(
          ({ subject: denied }) =>
            denied?.issuer === subject.issuer &&
            denied.id === subject.id &&
            denied.on_behalf_of?.id === subject.onBehalfOf?.id &&
            denied.on_behalf_of?.issuer === subject.onBehalfOf?.issuer,
        )
      return {
        denials: denials.map(showDenial),
        ...(page.next === undefined ? {} : { next: String(page.next) }),
      }
    },
  }),
]

function showDenial({
  log,
  seq,
  time,
  connection,
  operation,
  decision,
  ...entry
}: Entry): Record<string, unknown> {
  return {
    entry: `${log}/${seq}`,
    time,
    connection: connection?.name ?? '',
    operation: operation ?? '',
    reason: entry['reason'] ?? decision?.reason ?? '',
    ...(decision?.rule === undefined ? {} : { rule: decision.rule }),
  }
}
