import { z } from 'zod'
import { requirementNames } from './requirements.ts'
import { duration } from './units.ts'

const day = 86_400_000

const recordingRule = z.strictObject({
  connections: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Names of connections, with `*` for any characters; default: every connection'),
  sensitivity: z
    .array(z.enum(['low', 'medium', 'high', 'critical']))
    .min(1)
    .optional()
    .describe('Sensitivities of connections; default: every one'),
  subjects: z
    .array(z.enum(['user', 'service', 'agent']))
    .min(1)
    .optional()
    .describe('Kinds of who asked; default: every kind'),
  keep: duration().describe('Recordings of such a session go this long after it ended'),
})

export const retentionSection = z
  .strictObject({
    recordings: z
      .array(recordingRule)
      .default([])
      .describe(
        'How long recordings are kept; the first rule that matches a session counts. What no rule matches is kept as ' +
          'long as its entries',
      ),
    entries: z
      .strictObject({
        keep: duration()
          .default(400 * day)
          .describe(
            'Entries go this long after they were written, a whole file of the log at a time, once every sink has ' +
              'them. Hashes, proofs and the statement of what was removed stay',
          ),
      })
      .prefault({})
      .describe('How long entries are kept'),
    minimum: z
      .strictObject({
        entries: duration()
          .default(183 * day)
          .describe('No entry goes before this, whatever else is asked. The EU AI Act asks for six months'),
        recordings: duration()
          .default(0)
          .describe('No recording goes before this, not even by erasure; a legal minimum where one applies'),
      })
      .prefault({})
      .describe('What the law wants kept. It comes before erasure, and only a legal hold comes before it'),
    requirements: z
      .array(z.enum(requirementNames))
      .default([])
      .describe(
        'Who asks for what is kept: `export status` and `doctor` warn where a place keeps less. Nothing is kept longer by it',
      ),
    every: duration()
      .refine(ms => ms >= 60_000, 'write at least 1m')
      .default(day)
      .describe('How often what is past its time is looked for; also at each start'),
  })
  .superRefine(({ recordings, entries, minimum }, context) => {
    const say = (path: PropertyKey[], message: string): void =>
      context.addIssue({ code: 'custom', path, message })
    if (entries.keep < minimum.entries) say(['entries', 'keep'], 'shorter than minimum.entries')
    if (entries.keep < minimum.recordings) say(['minimum', 'recordings'], 'longer than entries.keep')
    recordings.forEach(({ keep }, i) => {
      if (keep > entries.keep) say(['recordings', i, 'keep'], 'longer than entries.keep')
      if (keep < minimum.recordings) say(['recordings', i, 'keep'], 'shorter than minimum.recordings')
    })
  })
  .prefault({})
  .describe(
    'What is kept how long. A legal hold comes before the minimum, the minimum before an erasure, and an erasure before ' +
      'the time that something is kept',
  )

export type RetentionConfig = z.infer<typeof retentionSection>
export type RecordingRule = RetentionConfig['recordings'][number]
