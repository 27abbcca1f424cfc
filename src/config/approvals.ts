import { z } from 'zod'
import { secretReference } from './secret.ts'
import { duration } from './units.ts'

const who = z.string().regex(/^(group|user):.+$/, 'write group:name or user:name@example.com')

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'write lower-case letters, digits and hyphens, 63 at most')
  .describe('Unique name. What was told already is kept under it, so a new name starts from now')

/** What notifiers tell of: a family for each thing that people want to hear or not. */
export const noticeTopics = ['requests', 'decisions', 'grants', 'break-glass', 'detections'] as const

const common = {
  name,
  about: z
    .array(z.enum(noticeTopics))
    .min(1)
    .default([...noticeTopics])
    .describe(
      'What is told: `requests` that wait, `decisions` (granted, denied, expired, withdrawn), `grants`, `break-glass`, ' +
        '`detections` and who was suspended, restricted or cleared',
    ),
  timeout: duration().default(10_000).describe('For one message; after it the message is sent again'),
}

function isPlain(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)
}

const address = z.url({ protocol: /^https?$/ }).refine(url => URL.canParse(url) && !isPlain(url), {
  error: 'must be https; plain http only to this machine',
})

const webhook = z.strictObject({
  ...common,
  type: z.literal('webhook'),
  url: address.describe('Where to POST; any 2xx acknowledges'),
  secret: secretReference().describe(
    'Standard Webhooks signing secret: `whsec_` and base64 of 24 to 64 bytes',
  ),
})

const slack = z
  .strictObject({
    ...common,
    type: z.literal('slack'),
    bot_token: secretReference()
      .optional()
      .describe('Bot token (`chat:write`). Messages are updated once decided'),
    channel: z.string().min(1).max(200).optional().describe('Channel id or name; with `bot_token`'),
    webhook_url: secretReference()
      .optional()
      .describe('Incoming webhook address, instead of a bot token. Messages can not be updated then'),
    signing_secret: secretReference()
      .optional()
      .describe('Signing secret of the Slack app. With it messages have Approve and Deny buttons'),
    api_url: address
      .default('https://slack.com/api/')
      .describe('Address of the Slack API: another one for GovSlack, or a test'),
  })
  .superRefine((slack, context) => {
    if ((slack.bot_token === undefined) === (slack.webhook_url === undefined))
      context.addIssue({ code: 'custom', message: 'either `bot_token` or `webhook_url`' })
    if (slack.bot_token !== undefined && slack.channel === undefined)
      context.addIssue({ code: 'custom', path: ['channel'], message: 'needed with `bot_token`' })
  })

const teams = z.strictObject({
  ...common,
  type: z.literal('teams'),
  url: secretReference().describe(
    'Address of the workflow "when a Teams webhook request is received"; a secret, since it carries its own key',
  ),
})

const email = z
  .strictObject({
    ...common,
    type: z.literal('email'),
    host: z.string().min(1).max(253).describe('SMTP server'),
    port: z.number().int().min(1).max(65_535).default(587).describe('587 for starttls, 465 for implicit'),
    tls: z
      .enum(['starttls', 'implicit', 'none'])
      .default('starttls')
      .describe('How the connection is protected. `none` only to this machine; never falls back by itself'),
    ca: z.string().optional().describe('PEM file of the authority that signed the server’s certificate'),
    username: z.string().min(1).max(320).optional().describe('For AUTH PLAIN or LOGIN'),
    password: secretReference().optional().describe('With `username`'),
    from: z.email().describe('Sender'),
    to: z.array(z.email()).min(1).max(100).describe('Recipients, such as a list of the approvers'),
  })
  .superRefine((email, context) => {
    if (email.tls === 'none' && !['localhost', '127.0.0.1', '::1'].includes(email.host))
      context.addIssue({ code: 'custom', path: ['tls'], message: '`none` is only for this machine' })
    if ((email.username === undefined) !== (email.password === undefined))
      context.addIssue({ code: 'custom', path: ['password'], message: 'username and password go together' })
  })

export const notifiersSection = z
  .array(z.discriminatedUnion('type', [webhook, slack, teams, email]))
  .superRefine((notifiers, context) => {
    const names = new Set<string>()
    notifiers.forEach((each, i) => {
      if (names.has(each.name))
        context.addIssue({
          code: 'custom',
          path: [i, 'name'],
          message: `a notifier is called ${each.name} already`,
        })
      names.add(each.name)
    })
  })
  .default([])
  .describe('Who is told of requests, and how. A notifier that is down delays nothing and is tried again')

export const approvalsSection = z
  .strictObject({
    notifiers: notifiersSection,
    grants: z
      .strictObject({
        approvers: z
          .array(who)
          .max(100)
          .default([])
          .describe('Who may give grants: `group:sre`, `user:ana@example.com`. Nobody: there are no grants'),
        quorum: z.number().int().min(1).max(20).default(1).describe('How many of them must agree'),
        distinct_groups: z.boolean().default(false).describe('Each must be of another of the groups named'),
        max_duration: duration()
          .default(4 * 3_600_000)
          .describe('The longest that a grant may last'),
        risks: z
          .array(z.enum(['read', 'write', 'delete', 'admin']))
          .min(1)
          .default(['read', 'write'])
          .describe('Operations of these risks can be granted'),
      })
      .prefault({})
      .describe(
        'Consent ahead, for a while and a pattern of operations. A grant covers an ask only if those who gave it ' +
          'would satisfy the rule that asks; it never lifts a denial',
      ),
    break_glass: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Whether anyone may break the glass at all'),
        allowed: z
          .array(who)
          .max(100)
          .default([])
          .describe('The people who may, for their own calls and for the agents acting for them'),
        max_duration: duration().default(3_600_000).describe('The longest that it may last'),
      })
      .prefault({})
      .describe(
        'In an emergency: for a while, on one connection, asks pass without approval. With a reason, alarmed at once, ' +
          'and named in the entry of every action under it. It never lifts a denial',
      ),
    slack_link: duration()
      .default(12 * 3_600_000)
      .describe(
        'How long a Slack user stays linked to the person who signed in, before they link themselves again',
      ),
  })
  .prefault({})
  .describe('How people are asked: see docs/guides/approvals.md. Which actions need them is said by policy')

export type ApprovalsConfig = z.infer<typeof approvalsSection>
export type NotifierConfig = ApprovalsConfig['notifiers'][number]
export type NotifierConfigOf<T extends NotifierConfig['type']> = Extract<NotifierConfig, { type: T }>
export type NoticeTopic = (typeof noticeTopics)[number]
