import { z } from 'zod'
import { datadogSetup } from './datadog-setup.ts'
import { secretReference } from './secret.ts'
import { address, batch, common } from './sink-common.ts'
import {
  datadogEventsSink,
  elasticsearchSink,
  otlpSink,
  s3Sink,
  splunkSink,
  syslogSink,
} from './siem-sinks.ts'
import { byteSize, duration } from './units.ts'

const datadogSink = z.strictObject({
  ...common,
  type: z.literal('datadog'),
  api_key: secretReference().describe('A Datadog API key; read again when it changes'),
  site: z
    .string()
    .regex(/^[a-z0-9.-]{4,253}$/, 'write a site such as datadoghq.eu')
    .default('datadoghq.com')
    .describe('The Datadog site; any, since sites are added over time'),
  intake_url: address
    .optional()
    .describe(
      'Whole address of the logs intake, in place of the one of `site`: a proxy, a pipelines worker, a test',
    ),
  api_url: address
    .optional()
    .describe('Whole base address of the API, in place of the one of `site`; shipping does not use it'),
  app_key: secretReference()
    .optional()
    .describe(
      'A Datadog application key that may read logs and the configuration of logs. Shipping does not need it; comparing does',
    ),
  reconcile: z
    .strictObject({
      every: duration()
        .refine(ms => ms >= 900_000, { error: 'must be at least 15m: what was sent is searchable only then' })
        .describe('How often what was shipped is read back and compared with the log'),
    })
    .optional()
    .describe('Comparing by itself; without it only `sallyport export reconcile` compares. Needs `app_key`'),
  setup: datadogSetup,
  service: z.string().min(1).max(100).default('sallyport').describe('`service` of each event'),
  hostname: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('`hostname` of each event; default: of this machine'),
  env: z.string().min(1).max(190).optional().describe('Tag `env`'),
  tags: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'write a tag name in lower case'),
      z.string().min(1).max(190),
    )
    .default({})
    .describe('Further tags. Never identities: tags are for what has few values'),
  compression: z.enum(['gzip', 'none']).default('gzip').describe('Of the payload'),
  timeout: duration().default(15_000).describe('For one call; after it the batch is sent again'),
  batch: batch(1000, 4_000_000),
})

const fileSink = z.strictObject({
  ...common,
  type: z.literal('file'),
  path: z
    .string()
    .min(1)
    .describe('NDJSON file, one entry in its exact bytes per line; synced before it counts'),
  rotate_at: byteSize()
    .refine(bytes => bytes >= 65_536, { error: 'must be at least 64KiB' })
    .default(256 * 1024 ** 2)
    .describe('At this size the file is renamed with the time of that moment; nothing is ever deleted'),
})

const stdoutSink = z.strictObject({ ...common, type: z.literal('stdout') })

const webhookSink = z.strictObject({
  ...common,
  type: z.literal('webhook'),
  url: address.describe('Where to POST; any 2xx acknowledges'),
  secret: secretReference().describe(
    'Standard Webhooks signing secret: `whsec_` and base64 of 24 to 64 bytes',
  ),
  timeout: duration().default(15_000).describe('For one call; after it the batch is sent again'),
  batch: batch(500, 1_000_000),
})

export const sinksSection = z
  .array(
    z.discriminatedUnion('type', [
      datadogSink,
      datadogEventsSink,
      elasticsearchSink,
      fileSink,
      otlpSink,
      s3Sink,
      splunkSink,
      stdoutSink,
      syslogSink,
      webhookSink,
    ]),
  )
  .superRefine((sinks, context) => {
    const names = new Set<string>()
    sinks.forEach(({ name }, i) => {
      if (names.has(name)) {
        context.addIssue({ code: 'custom', path: [i, 'name'], message: `a sink is called ${name} already` })
      }
      names.add(name)
    })
  })
  .default([])
  .describe('Where every entry of the log is shipped to, in order, at least once')

export type SinkConfig = z.infer<typeof sinksSection>[number]
export type SinkConfigOf<T extends SinkConfig['type']> = Extract<SinkConfig, { type: T }>
