import { z } from 'zod'
import { casesSchema, rulesSchema } from '../policy/schema.ts'

export const policySection = z
  .strictObject({
    file: z
      .string()
      .optional()
      .describe(
        'File with `rules` and `tests`, from the directory of this one; instead of writing them here',
      ),
    rules: rulesSchema.optional(),
    tests: casesSchema.default([]),
  })
  .superRefine((section, context) => {
    if (section.file !== undefined && section.rules !== undefined) {
      context.addIssue({ code: 'custom', path: ['rules'], message: 'either `file` or `rules`, not both' })
    }
  })
  .prefault({})
  .describe('Who may do what: see docs/guides/policy.md. Without a rule everything is denied')

export type PolicyConfig = z.infer<typeof policySection>
