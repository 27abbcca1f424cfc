import { z } from 'zod'

const bucketPath = z
  .string()
  .regex(/^\/[\w./-]*$/, 'write a path such as /sallyport')
  .default('/sallyport')
  .describe('Path in the bucket')

const archive = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('s3'),
      bucket: z.string().min(3).describe('The bucket'),
      path: bucketPath,
      account_id: z
        .string()
        .regex(/^\d{12}$/)
        .describe('AWS account of the integration'),
      role_name: z.string().min(1).describe('Role that Datadog takes there'),
    }),
    z.strictObject({
      type: z.literal('gcs'),
      bucket: z.string().min(3).describe('The bucket'),
      path: bucketPath,
      project_id: z.string().min(1).describe('Google Cloud project of the integration'),
      client_email: z.email().describe('Service account of the integration'),
    }),
    z.strictObject({
      type: z.literal('azure'),
      container: z.string().min(3).describe('The container'),
      path: bucketPath,
      storage_account: z.string().min(3).describe('The storage account'),
      client_id: z.string().min(1).describe('Application of the integration'),
      tenant_id: z.string().min(1).describe('Tenant of the integration'),
    }),
  ])
  .optional()
  .describe(
    'Where Datadog archives the events; without it none is made. Datadog must be let in there beforehand',
  )

const index = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,62}$/, 'write lower-case letters, digits and hyphens')
      .default('sallyport')
      .describe('Name of the index. Datadog never takes the name of a deleted index again'),
    retention_days: z.number().int().min(1).max(450).default(15).describe('Days of the standard tier'),
    flex_days: z
      .number()
      .int()
      .min(30)
      .max(450)
      .optional()
      .describe('Days altogether where the plan has the flex tier; more than `retention_days`'),
    daily_limit: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('Events a day after which Datadog drops without a word; default: none'),
  })
  .refine(({ retention_days, flex_days }) => flex_days === undefined || flex_days > retention_days, {
    error: 'must be more than retention_days',
    path: ['flex_days'],
  })
  .prefault({})
  .describe('The index that holds the events, placed first, without exclusions')

/** What `sallyport datadog install` makes at Datadog, as far as it can be chosen. */
export const datadogSetup = z
  .strictObject({
    notify: z
      .string()
      .max(500)
      .default('')
      .describe('Handles that every monitor names, such as `@slack-security`'),
    page: z
      .string()
      .max(500)
      .default('')
      .describe('Handles that the gravest monitors name as well, such as `@pagerduty-security`'),
    index,
    archive,
    spike: z
      .number()
      .int()
      .min(1)
      .default(300)
      .describe('More actions of one identity in five minutes than this are a spike, whatever was usual'),
    denials: z
      .number()
      .int()
      .min(2)
      .default(5)
      .describe('So many denials of one identity in five minutes are told of'),
    watched_keys: z
      .array(
        z.strictObject({
          key_id: z.uuid().describe('Id, not value, of a Datadog API key that only the gateway may use'),
          addresses: z
            .array(z.union([z.ipv4(), z.ipv6()]))
            .min(1)
            .describe('Addresses that the gateway is seen at from outside'),
        }),
      )
      .default([])
      .describe(
        'Keys that the audit trail of Datadog is asked about: used from elsewhere, somebody else has them',
      ),
  })
  .prefault({})
  .describe('What `sallyport datadog install` makes at Datadog (docs/guides/datadog-setup.md)')

export type DatadogSetupConfig = z.infer<typeof datadogSetup>
