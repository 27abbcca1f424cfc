import { z } from 'zod'
import { oauthSection } from './oauth.ts'
import { secretReference } from './secret.ts'

/**
 * What every connection has. The other keys of a connection are its protocol's settings, checked by that protocol's
 * own schema, so that this file says no protocol's name.
 */
export const connectionSection = z.looseObject({
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'write lower-case letters, digits and hyphens, 63 at most')
    .describe('Unique name, part of the address that clients use'),
  protocol: z.string().describe('How to speak to it'),
  sensitivity: z
    .enum(['low', 'medium', 'high', 'critical'])
    .default('medium')
    .describe('How much harm a wrong action does; rules and monitors select by it'),
  labels: z.record(z.string(), z.string()).default({}).describe('Free labels that rules select by'),
  credential: z
    .record(z.string(), z.union([secretReference(), z.strictObject({ oauth: oauthSection })]))
    .default({})
    .describe(
      'The secrets to lend, each a reference (${env:NAME}, file:/path or command:["program","arg"]), or `oauth`: a ' +
        'token that an authorization server issues',
    ),
})

/** The keys that are not settings of the protocol. */
export const commonKeys: ReadonlySet<string> = new Set(Object.keys(connectionSection.shape))

export type ConnectionConfig = z.infer<typeof connectionSection>
