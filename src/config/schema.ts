/**
 * The configuration file, `sallyport.yaml`: types, defaults and documentation in one place, a file per section.
 * `docs/reference/configuration.md` is generated from it.
 */
import { z } from 'zod'
import { approvalsSection } from './approvals.ts'
import { auditSection } from './audit.ts'
import { connectionSection } from './connections.ts'
import { detectionSection } from './detection.ts'
import { identitySection, rolesSection } from './identity.ts'
import { limitsSection, listenSection } from './listen.ts'
import { maskingSection } from './masking.ts'
import { policySection } from './policy.ts'
import { recordingSection } from './recording.ts'
import { retentionSection } from './retention.ts'
import { signInSection } from './sign-in.ts'
import { sinksSection } from './sinks.ts'
import { storageSection } from './storage.ts'
import { duration } from './units.ts'

export const configSchema = z.strictObject({
  data: z
    .string()
    .default('./data')
    .describe('Directory for the log, recordings, keys and state; created with mode 0700'),
  origin: z
    .string()
    .regex(/^[a-z0-9][a-z0-9./_-]{0,254}$/, 'write a schema-less URL such as gateway.example.com/prod')
    .default('sallyport.local/log')
    .describe(
      'Name of the log and of its signing key (C2SP tlog-checkpoint origin). It can not change once the log exists',
    ),
  public_url: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Address at which clients reach the gateway, for links in answers; default: the first listener',
    ),
  domain: z
    .string()
    .optional()
    .describe(
      'With `gw.example.com`, the connection `datadog-prod` is also reached as `datadog-prod.gw.example.com`',
    ),
  listen: listenSection,
  limits: limitsSection,
  storage: storageSection,
  audit: auditSection,
  recording: recordingSection,
  retention: retentionSection,
  sessions: z
    .strictObject({
      idle: duration()
        .default(15 * 60_000)
        .describe('A session without an action for this long ends'),
      max_age: duration()
        .default(12 * 3_600_000)
        .describe('A session ends after this long however busy it is'),
    })
    .prefault({})
    .describe(
      'Sessions of clients whose protocol has none of its own (HTTP): one per identity, connection and client address',
    ),
  identity: identitySection,
  roles: rolesSection,
  sign_in: signInSection,
  connections: z.array(connectionSection).default([]).describe('The upstreams'),
  policy: policySection,
  approvals: approvalsSection,
  detection: detectionSection,
  masking: maskingSection,
  sinks: sinksSection,
})

export type Config = z.infer<typeof configSchema>
