import { z } from 'zod'
import { approvalSchema, connectionsSchema, subjectsSchema } from '../policy/schema.ts'
import { byteSize, duration } from './units.ts'

/** What can be noticed. Each is a kind of entry (`detection.<name>_found`). */
export const detectors = [
  'surge',
  'volume',
  'first_use',
  'sweep',
  'off_hours',
  'denial_streak',
  'silence',
] as const

const enabled = z.boolean().default(true).describe('Whether this is looked for')

const days = 'mon|tue|wed|thu|fri|sat|sun'
const hoursPattern = new RegExp(`^(${days})(-(${days}))? ([01]\\d|2[0-3]):00-([01]\\d|2[0-4]):00$`)

const surge = z.strictObject({
  enabled,
  ceiling: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .describe('More actions of one identity in a minute than this are told, whatever is usual for it'),
  factor: z
    .number()
    .min(1)
    .max(100)
    .default(2)
    .describe(
      'Told beyond this many times the busiest minute that it had lately (or, by hour of the week, the busiest such ' +
        'hour), and as much again as chance explains',
    ),
})

const volume = z.strictObject({
  enabled,
  bytes: byteSize()
    .default(1e9)
    .describe('More bytes, of requests and answers, in one hour of the clock are told'),
  rows: z.number().int().min(1).default(1_000_000).describe('Likewise for records in answers'),
  factor: z
    .number()
    .min(1)
    .max(1000)
    .default(4)
    .describe('Told beyond this many times the largest hour of late'),
  least_bytes: byteSize().default(10_000_000).describe('Less than this in an hour is never unusual'),
  least_rows: z.number().int().min(1).default(10_000).describe('Likewise for records'),
})

const firstUse = z.strictObject({
  enabled,
  after: duration()
    .default(86_400_000)
    .describe(
      'An identity that is known for less than this is only learned; so is what it does on a connection that it has ' +
        'used for less',
    ),
  risks: z
    .array(z.enum(['read', 'write', 'delete', 'admin']))
    .default(['write', 'delete', 'admin'])
    .describe('Of operations. The first use of a connection is told whatever the risk'),
  settled: duration()
    .default(28 * 86_400_000)
    .describe(
      'The first use of an operation is told when the identity did nothing new of that risk for this long. Where an ' +
        'answer fits, each is told',
    ),
})

const sweep = z.strictObject({
  enabled,
  ceiling: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(300)
    .describe(
      'More operations that it never used, in a day (UTC), are told, whatever is usual; refused ones count',
    ),
  factor: z
    .number()
    .min(1)
    .max(100)
    .default(2)
    .describe('Told beyond this many times the most in a day of late, and as much again as chance explains'),
  least: z.number().int().min(1).max(1000).default(15).describe('Fewer in a day are never unusual'),
})

const offHours = z.strictObject({
  enabled,
  hours: z
    .array(z.string().regex(hoursPattern, 'write `mon-fri 07:00-19:00`, in whole hours'))
    .max(14)
    .default([])
    .describe(
      'When identities may act without being told of, such as `mon-fri 07:00-19:00`. Empty: as each one has learned',
    ),
  settled: duration()
    .default(7 * 86_400_000)
    .describe(
      'As learned: told when it did not act at an unusual hour for this long; some are called at any hour',
    ),
})

const denialStreak = z.strictObject({
  enabled,
  count: z.number().int().min(2).max(10_000).default(5).describe('So many refusals'),
  within: duration().default(600_000).describe('in this time, and then a success'),
})

const silence = z.strictObject({
  enabled,
  factor: z
    .number()
    .min(1)
    .max(100)
    .default(3)
    .describe('Silent for this many times its longest silence of late'),
  at_least: duration().default(1_800_000).describe('A shorter silence is never told'),
  regular: duration()
    .default(36 * 3_600_000)
    .describe(
      'Only looked for in identities whose longest silence of late is shorter: the others have days off',
    ),
  kinds: z
    .array(z.enum(['user', 'service', 'agent']))
    .default(['agent', 'service'])
    .describe('Whose silence is told'),
})

const answer = z
  .strictObject({
    on: z.array(z.enum(detectors)).min(1).describe('To which findings'),
    subjects: subjectsSchema.optional(),
    connections: connectionsSchema.optional(),
    answer: z
      .enum(['slow', 'ask', 'suspend'])
      .describe(
        '`slow`: few actions pass, the others are told to come later. `ask`: a person approves each action; for a first ' +
          'use, that one. `suspend`: nothing passes until a person clears it',
      ),
    for: duration().default(3_600_000).describe('How long `slow` and `ask` last'),
    limit: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(10)
      .describe('With `slow`: so many actions in a minute'),
    approval: approvalSchema.optional().describe('With `ask`: who may approve'),
  })
  .superRefine((each, context) => {
    const issue = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message })
    if ((each.answer === 'ask') !== (each.approval !== undefined))
      issue('approval', 'is needed with `ask`, and belongs to nothing else')
    if (each.on.includes('silence')) issue('on', 'to a silence there is no answer but telling')
  })

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

export const detectionSection = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether anything is looked for'),
    learn: duration()
      .default(7 * 86_400_000)
      .describe('What is usual for an identity is held against it after this long; ceilings hold at once'),
    identities: z
      .number()
      .int()
      .min(10)
      .max(1_000_000)
      .default(10_000)
      .describe('How many identities are remembered; of more, those that acted longest ago are forgotten'),
    timezone: z
      .string()
      .default('UTC')
      .refine(isTimeZone, { error: 'not a time zone such as Europe/Berlin' })
      .describe('For hours of the week'),
    surge: surge.prefault({}).describe('Unusually many actions'),
    volume: volume.prefault({}).describe('Unusually many bytes or records'),
    first_use: firstUse
      .prefault({})
      .describe('A connection, or an operation on it, that the identity never used'),
    sweep: sweep.prefault({}).describe('Unusually many operations that the identity never used'),
    off_hours: offHours.prefault({}).describe('Acting when it never does'),
    denial_streak: denialStreak.prefault({}).describe('Refusals in a row, then a success'),
    silence: silence.prefault({}).describe('An identity that always worked has stopped'),
    answers: z
      .array(answer)
      .max(100)
      .default([])
      .describe('What is done beside telling; of those that fit a finding the gravest'),
  })
  .prefault({})
  .describe('What is noticed of identities while they act: see docs/guides/detection.md')

export type DetectionConfig = z.infer<typeof detectionSection>
export type DetectorName = (typeof detectors)[number]
export type AnswerConfig = DetectionConfig['answers'][number]
