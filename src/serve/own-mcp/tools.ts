/** The tools of the gateway's own MCP server. Each is a route of the API under another name, and nothing more. */
import { z } from 'zod'
import type { Role } from '../../identity/roles.ts'

export interface OwnTool {
  readonly name: string
  readonly title: string
  readonly description: string
  /** Whom it is shown to; the route asks again. */
  readonly role: Role
  readonly input: z.ZodObject
  /** Id of the route. */
  readonly route: string
  /** The route's inputs for checked arguments. */
  asked(args: Readonly<Record<string, unknown>>): {
    readonly params?: Readonly<Record<string, unknown>>
    readonly query?: Readonly<Record<string, unknown>>
    readonly body?: unknown
  }
}

const name = z.string().max(63).describe('Name of the connection, such as `datadog-prod`')
const approval = z.object({ id: z.string().max(200).describe('Id of the approval, `ap_...`') })
const page = {
  after: z.string().max(15).optional().describe('Cursor: the `next` of the page before'),
  limit: z.int().min(1).max(100).default(20).describe('Most of a page'),
}

export const ownTools: readonly OwnTool[] = [
  {
    name: 'what_may_i_do',
    title: 'What may I do?',
    description:
      'Asks the policy in force what it would say to you about one action, without doing it: permit, ask (a person must ' +
      'approve) or deny, with the rule and what is masked.',
    role: 'user',
    route: 'me.policy',
    input: z.object({
      connection: name,
      operation: z
        .string()
        .max(500)
        .describe('`v1.updateMonitor`, `GET /users/{id}`, `tools/call:search_logs`, `SELECT`'),
      risk: z.enum(['read', 'write', 'delete', 'admin']).default('read'),
      resource: z.string().max(2000).default(''),
      request: z.record(z.string(), z.unknown()).default({}).describe('What conditions see as `request`'),
    }),
    asked: ({ connection, ...action }) => ({ body: { connection, action } }),
  },
  {
    name: 'my_denials',
    title: 'What was I denied?',
    description: 'Your own denied actions, newest first, each with its reason and rule.',
    role: 'user',
    route: 'me.denials',
    input: z.object(page),
    asked: query => ({ query: asText(query) }),
  },
  {
    name: 'approval_status',
    title: 'How does my approval stand?',
    description:
      'The state of an approval that you asked for. Only `approved` lets the same call run; nothing has run yet.',
    role: 'user',
    route: 'approvals.get',
    input: approval,
    asked: params => ({ params }),
  },
  {
    name: 'approval_wait',
    title: 'Wait for an approval',
    description:
      'Waits up to 50 seconds for a person’s decision, then tells the state. Once it is `approved`, send the identical call again.',
    role: 'user',
    route: 'approvals.get',
    input: approval.extend({ seconds: z.int().min(0).max(50).default(50) }),
    asked: ({ id, seconds }) => ({ params: { id }, query: { wait: String(seconds) } }),
  },
  {
    name: 'audit_search',
    title: 'Search the audit log',
    description:
      'Entries of the audit log that match all given filters. Reading is itself an entry. Needs the role auditor.',
    role: 'auditor',
    route: 'entries.search',
    input: z.object({
      since: z.string().max(40).optional().describe('ISO 8601, or an age such as `15m`, `24h`, `7d`'),
      until: z.string().max(40).optional(),
      identity: z
        .string()
        .max(320)
        .optional()
        .describe('Id, e-mail or name, of who acted or whom they acted for'),
      connection: z.string().max(63).optional(),
      operation: z.string().max(500).optional().describe('Exact, or with `*`'),
      outcome: z.enum(['success', 'failure', 'denied', 'unknown']).optional(),
      kind: z.string().max(500).optional().describe('Kinds of entries, with commas between'),
      session: z.string().max(200).optional(),
      approval: z.string().max(200).optional(),
      trace: z.string().max(64).optional().describe('Trace id: one story over all connections'),
      text: z.string().max(500).optional().describe('Words that must all occur'),
      order: z.enum(['asc', 'desc']).default('desc'),
      ...page,
    }),
    asked: query => ({ query: asText(query) }),
  },
  {
    name: 'session_show',
    title: 'Replay a session',
    description:
      'The actions of one session with what passed, masked as the client saw it. The reading is an entry. Needs the role auditor.',
    role: 'auditor',
    route: 'sessions.replay',
    input: z.object({ id: z.string().max(200).describe('Id of the session, `s_...`'), ...page }),
    asked: ({ id, ...query }) => ({ params: { id }, query: asText(query) }),
  },
]

/** As a query of HTTP would have it. */
function asText(query: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, String(value as string | number)]),
  )
}
