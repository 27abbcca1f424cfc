import { z } from 'zod'
import type { SubjectFacts } from '../../model/subject.ts'
import type { BudgetUse } from '../../policy/budgets.ts'
import { type Caller, route } from '../route.ts'
import { pageLimit } from '../shapes.ts'

const budgetShape = z.looseObject({
  rule: z.string(),
  unit: z.enum(['actions', 'bytes', 'rows']),
  limit: z.number(),
  per: z.enum(['minute', 'hour', 'day', 'month']),
  subject: z.looseObject({}).optional(),
  connection: z.string().optional(),
  operation: z.string().optional(),
  used: z.number(),
  since: z.string(),
  until: z.string().describe('When it is full again'),
})

function show({ by: _by, since, until, ...use }: BudgetUse): Record<string, unknown> {
  return { ...use, since: new Date(since).toISOString(), until: new Date(until).toISOString() }
}

/** Those who watch see all of it, others what is counted for themselves or for agents acting for them. */
function sees({ roles, subject }: Caller, use: BudgetUse): boolean {
  if (roles.has('auditor') || roles.has('admin')) return true
  const own = ({ issuer, id }: { issuer: string; id: string }): boolean =>
    issuer === subject.issuer && id === subject.id
  return use.subject !== undefined && (own(use.subject) || own(use.subject.on_behalf_of ?? use.subject))
}

function isNamed({ id, email, name, on_behalf_of: acted }: SubjectFacts, wanted: string): boolean {
  const names = [id, email, name, acted?.id, acted?.email, acted?.name]
  return names.some(each => each?.toLowerCase() === wanted.toLowerCase())
}

export const budgetRoutes = [
  route({
    method: 'GET',
    path: '/budgets',
    id: 'budgets.list',
    summary: 'What is used of the budgets of policy in the periods that it is now, the fullest first',
    permission: 'user',
    audit: { none: 'counts of what entries hold already; who may not watch sees their own' },
    query: z.object({
      identity: z
        .string()
        .optional()
        .describe('Id, e-mail or name of the subject or of the person it acts for'),
      connection: z.string().optional().describe('Of budgets that are counted by connection'),
      rule: z.string().optional(),
      limit: pageLimit(1000, 100),
    }),
    responses: { 200: { description: 'Budgets', schema: z.object({ budgets: z.array(budgetShape) }) } },
    handler({ services, caller, query }) {
      const { identity, connection, rule } = query
      const found = services.budgets
        .list()
        .filter(each => sees(caller, each))
        .filter(each => identity === undefined || (each.subject && isNamed(each.subject, identity)))
        .filter(each => connection === undefined || each.connection === connection)
        .filter(each => rule === undefined || each.rule === rule)
      return { budgets: found.slice(0, query.limit).map(show) }
    },
  }),
]
