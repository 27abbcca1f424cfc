import { z } from 'zod'
import { secretReference } from './secret.ts'
import { duration } from './units.ts'

const client = z.strictObject({
  id: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'visible ASCII, at most 256 characters')
    .describe('The `client_id` that it has here, which is also the one in the assertions made for it'),
  secret: secretReference().describe('Reference to its secret, of at least 24 random characters'),
  issuers: z
    .array(z.string())
    .min(1)
    .describe('Names of the `identity.issuers` whose assertions it may bring'),
})

/** Clients that get tokens of the gateway's own for the assertions of an identity provider. */
export const assertionsSection = z
  .strictObject({
    clients: z
      .array(client)
      .max(1000)
      .default([])
      .superRefine((clients, context) => {
        const seen = new Set<string>()
        clients.forEach(({ id }, i) => {
          if (seen.has(id))
            context.addIssue({ code: 'custom', path: [i, 'id'], message: `${id} is there already` })
          seen.add(id)
        })
      })
      .describe('Applications that may exchange assertions; none: the gateway has no token endpoint'),
    prefer: z
      .boolean()
      .default(false)
      .describe(
        'Name the gateway before the issuers among the authorization servers of its addresses (RFC 9728). Clients that look ' +
          'at the first alone then exchange assertions, and do not sign people in there',
      ),
    lifetime: duration()
      .refine(ms => ms >= 1000 && ms <= 3_600_000, 'between 1s and 1h')
      .prefault('10m')
      .describe('How long a token holds that is given for an assertion'),
  })
  .prefault({})
  .describe('Enterprise-managed authorization: identity assertions (ID-JAG) are exchanged for tokens')

export type AssertionsConfig = z.infer<typeof assertionsSection>
