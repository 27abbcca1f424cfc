/**
 * The form of rules and of their test cases as people write them. Types, defaults and documentation in one place:
 * the reference page is generated from it. What a rule means is in `rule.ts` and `decide.ts`.
 */
import { z } from 'zod'
import { byteSize, duration } from '../config/units.ts'

const words = (what: string) => z.array(z.string().min(1).max(512)).min(1).max(1000).optional().describe(what)

const any = 'any of these; `*` stands for any text'

export const subjectsSchema = z
  .strictObject({
    groups: words(`A group of the subject is ${any}`),
    kinds: z
      .array(z.enum(['user', 'service', 'agent']))
      .min(1)
      .optional()
      .describe('The subject is a person (`user`), a machine account (`service`) or an `agent`'),
    ids: words(`The id that the issuer gave (OIDC \`sub\`) is ${any}. Add issuers where there are several`),
    emails: words(`The e-mail address is ${any}; case does not matter`),
    issuers: words(`The issuer is ${any}`),
    on_behalf_of: words(`The id or e-mail address of the person an agent acts for is ${any}`),
    claims: z
      .record(z.string(), z.array(z.string()).min(1))
      .optional()
      .describe(`Each of these verified claims has, or lists, ${any}`),
  })
  .describe('Who: every key given must match')

export const connectionsSchema = z
  .strictObject({
    names: words(`The name is ${any}`),
    labels: z
      .record(z.string(), z.string())
      .optional()
      .describe('Each of these labels has this value; `*` stands for any text'),
    sensitivity: z
      .array(z.enum(['low', 'medium', 'high', 'critical']))
      .min(1)
      .optional()
      .describe('The sensitivity is one of these'),
    protocols: words(`The protocol is ${any}`),
  })
  .describe('Where: every key given must match')

export const approvalSchema = z
  .strictObject({
    approvers: z
      .array(z.string().regex(/^(group|user):.+$/, 'write group:name or user:name@example.com'))
      .min(1)
      .max(100)
      .describe(
        'Who may vote: `group:sre`, `user:ana@example.com`. Never the requester, nor whom the agent acts for',
      ),
    quorum: z.number().int().min(1).max(20).default(1).describe('How many approvals are needed'),
    distinct_groups: z
      .boolean()
      .default(false)
      .describe('Each approval must come from another of the groups named'),
    expires: duration().default(3_600_000).describe('How long the request stays open'),
    usable_for: duration().default(900_000).describe('How long an approval may be used once given'),
    reason_required: z.boolean().default(false).describe('An approver must give a reason'),
    when_held: z
      .enum(['resubmit', 'retry-later'])
      .default('resubmit')
      .describe('What a client hears once its hold is over: send it again (403), or come back later (429)'),
    on_change: z
      .enum(['run', 'ask', 'refuse'])
      .default('ask')
      .describe('What happens if the resource changed between approval and use'),
    message: z.string().max(1000).optional().describe('Words for the approver and the client'),
  })
  .describe('Who may approve, and for how long')

/** Whom a count is kept for: one count for each different value of these. */
export const sharers = ['subject', 'connection', 'operation'] as const

const by = z
  .array(z.enum(sharers))
  .max(sharers.length)
  .optional()
  .describe(
    'What has a count of its own: each `subject` (default; an agent for each person it acts for), each `connection`, ' +
      'each `operation`, or each combination of those named. `[]`: one count for all that the rule matches',
  )

export const rateLimitSchema = z
  .strictObject({
    limit: z.number().int().min(1).max(1_000_000).describe('At most this many actions'),
    window: duration().describe('in any stretch of this length'),
    by,
  })
  .describe(
    'A limit for each subject, counted for this rule; beyond it the action is denied (`rate-limited`)',
  )

export const periods = ['minute', 'hour', 'day', 'month'] as const

export const budgetSchema = z
  .strictObject({
    actions: z.number().int().min(1).max(1e12).optional().describe('At most this many actions'),
    bytes: byteSize()
      .pipe(z.number().min(1))
      .optional()
      .describe(
        'At most this much, request and answer together. What is under way when it is used up may end',
      ),
    rows: z
      .number()
      .int()
      .min(1)
      .max(1e15)
      .optional()
      .describe('At most this many records in answers, where the protocol counts them'),
    per: z
      .enum(periods)
      .describe('in each of these, by UTC: a month is a calendar month, a minute begins at second 0'),
    by,
  })
  .describe(
    'What may be used in a period, counted for this rule and kept over a restart; beyond it the action is denied ' +
      '(`budget-exhausted`) until the period ends',
  )

export const ruleSchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
      'write letters, digits, dots, hyphens and underscores, 100 at most',
    )
    .describe('Unique; named in denials and entries'),
  description: z.string().optional().describe('For readers of the policy'),
  effect: z
    .enum(['allow', 'deny', 'require_approval'])
    .describe(
      'A matching deny wins over everything, then a matching require_approval; else an allow is needed',
    ),
  subjects: subjectsSchema.optional(),
  connections: connectionsSchema.optional(),
  operations: words(
    'Names of operations; `*` stands for any text, a leading `!` excludes. An allow compares the exact spelling; ' +
      'deny and require_approval ignore case, so that no spelling slips past them',
  ),
  risks: z
    .array(z.enum(['read', 'write', 'delete', 'admin']))
    .min(1)
    .optional()
    .describe('The risk of the operation is one of these'),
  resources: words(
    'What is acted on, such as tables; `*` and a leading `!` as for operations. An allow needs all of it to match, and ' +
      'something to be acted on; deny and require_approval match where any of it may be meant, or where the protocol ' +
      'does not tell: name the connections',
  ),
  when: z
    .string()
    .min(1)
    .optional()
    .describe('A condition in CEL over subject, connection, action, request and now'),
  unknown: z
    .boolean()
    .default(false)
    .describe(
      'Lets the patterns of this rule reach operations that no catalogue knows. An allow still has to name them: in ' +
        'full (then `unknown` is not needed), or up to a `*` that follows a method and the start of a path',
    ),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'a scope has no spaces or quotes'))
    .min(1)
    .max(32)
    .optional()
    .describe(
      'An allow counts only for a token whose `scope` or `scp` lists each of these. Where nothing else allows it, the ' +
        'client is told which to ask its issuer for (`insufficient-scope`)',
    ),
  message: z.string().max(1000).optional().describe('What the client is told when this rule decides'),
  shadow: z.boolean().default(false).describe('Only notes in the entry what it would have done'),
  mask: z.array(z.string()).max(100).default([]).describe('Mask profiles to apply to what comes back'),
  mask_request: z
    .array(z.string())
    .max(100)
    .default([])
    .describe('Mask profiles to apply to what goes upstream'),
  record: z
    .union([
      z.enum(['full', 'metadata', 'none']),
      z.strictObject({
        first_rows: z
          .int()
          .min(0)
          .max(1_000_000)
          .describe(
            'Everything, but of the records of an answer only so many, where the protocol counts them',
          ),
      }),
    ])
    .optional()
    .describe(
      'How much of the exchange is kept: all of it, heads and counts alone (`metadata`), or nothing but the entries. Where rules differ the one that keeps most wins; default: full',
    ),
  record_before: z
    .boolean()
    .optional()
    .describe(
      'The gateway reads what a change is about to change and records it, so that it can be undone: one more read of ' +
        'the upstream for each. Where the protocol does not know how, or the read fails, the action runs all the same',
    ),
  limit_rows: z
    .strictObject({
      rows: z
        .number()
        .int()
        .min(1)
        .max(1e12)
        .describe('At most this many records of an answer reach the client'),
      beyond: z
        .enum(['cut', 'refuse'])
        .default('cut')
        .describe('The answer is cut there, and the client is told; or it ends there with an error'),
    })
    .optional()
    .describe(
      'For protocols that count records; others refuse. Where rules differ the smaller number holds, and of equal ones `refuse`',
    ),
  rate_limit: rateLimitSchema.optional(),
  budgets: z.array(budgetSchema).min(1).max(16).optional().describe('What may be used in a period'),
  approval: approvalSchema.optional(),
})

export const rulesSchema = z
  .array(ruleSchema)
  .max(5000)
  .describe('The rules; their order only matters for which is named')

const principalSchema = z.strictObject({
  issuer: z.string().default('https://issuer.example.com'),
  id: z.string().default('someone'),
  name: z.string().optional(),
  email: z.string().optional(),
})

/** A made-up question for `policy test` and `policy explain`; what is left out has a plain value. */
export const questionSchema = z.strictObject({
  subject: principalSchema
    .extend({
      kind: z.enum(['user', 'service', 'agent']).default('user'),
      groups: z.array(z.string()).default([]),
      claims: z.record(z.string(), z.unknown()).default({}),
      on_behalf_of: principalSchema.optional(),
    })
    .prefault({})
    .describe('Who asks'),
  connection: z
    .union([
      z.string(),
      z.strictObject({
        name: z.string(),
        protocol: z.string().default('http'),
        sensitivity: z.enum(['low', 'medium', 'high', 'critical']).default('medium'),
        labels: z.record(z.string(), z.string()).default({}),
      }),
    ])
    .describe('The name of a configured connection, or a whole one'),
  action: z
    .strictObject({
      operation: z.string(),
      risk: z.enum(['read', 'write', 'delete', 'admin']).default('read'),
      known: z.boolean().default(true).describe('False for an operation that no catalogue knows'),
      resource: z.string().default(''),
      resources: z
        .array(z.string().min(1))
        .optional()
        .describe('What is acted on; of `a.b` a rule may also say `b`'),
      request: z.record(z.string(), z.unknown()).default({}).describe('What conditions see as `request`'),
    })
    .describe('What is asked'),
  now: z.iso.datetime({ offset: true }).optional().describe('The time that conditions see'),
})

export const caseSchema = questionSchema.extend({
  name: z.string().min(1),
  expect: z
    .strictObject({
      effect: z
        .enum(['permit', 'allow', 'deny', 'ask', 'require_approval'])
        .describe('`allow` is `permit`, and `require_approval` is `ask`'),
      rule: z.string().optional(),
      reason: z.string().optional(),
      mask: z.array(z.string()).optional(),
      shadow: z.array(z.string()).optional().describe('Names of the shadow rules that match'),
    })
    .describe('What must come out; what is left out may be anything'),
})

export const casesSchema = z.array(caseSchema).max(10_000).describe('Cases for `sallyport policy test`')

/** A policy file: what `policy: { file: ... }` names. */
export const policyFileSchema = z.strictObject({ rules: rulesSchema, tests: casesSchema.default([]) })

/** A file of cases alone. */
export const casesFileSchema = z.strictObject({ tests: casesSchema })

export type RuleSource = z.output<typeof ruleSchema>
export type SubjectsSource = z.output<typeof subjectsSchema>
export type ConnectionsSource = z.output<typeof connectionsSchema>
export type Question = z.output<typeof questionSchema>
export type PolicyCase = z.output<typeof caseSchema>
export type PolicySource = z.output<typeof policyFileSchema>
