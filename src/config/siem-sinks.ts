import { z } from 'zod'
import { secretReference } from './secret.ts'
import { address, batch, common } from './sink-common.ts'
import { duration } from './units.ts'

const timeout = duration().default(15_000).describe('For one call; after it the batch is sent again')
const hostname = z
  .string()
  .min(1)
  .max(255)
  .optional()
  .describe('Name of this machine in what is sent; default: its host name')
const env = z.string().min(1).max(190).optional().describe('Deployment environment')

export const datadogEventsSink = z.strictObject({
  ...common,
  type: z.literal('datadog-events'),
  api: z
    .enum(['v1', 'v2'])
    .default('v1')
    .describe('`v1`: the event stream, with an API key alone; `v2`: Event Management, with both keys'),
  api_key: secretReference().describe('A Datadog API key; read again when it changes'),
  application_key: secretReference().optional().describe('A Datadog application key; `v2` asks for one'),
  site: z
    .string()
    .regex(/^[a-z0-9.-]{4,253}$/, 'write a site such as datadoghq.eu')
    .default('datadoghq.com')
    .describe('The Datadog site'),
  intake_url: address.optional().describe('Whole address in place of the one of `site`'),
  hostname,
  tags: z
    .record(z.string().regex(/^[a-z][a-z0-9_.-]{0,62}$/), z.string().min(1).max(190))
    .default({})
    .describe('Tags of each event'),
  timeout,
})

export const otlpSink = z.strictObject({
  ...common,
  type: z.literal('otlp'),
  url: address.describe('Whole address, path included: `https://collector.example.com:4318/v1/logs`'),
  encoding: z.enum(['protobuf', 'json']).default('protobuf').describe('Of the payload'),
  header: z
    .strictObject({
      name: z
        .string()
        .regex(/^[a-z][a-z0-9-]{0,62}$/, 'write a header name in lower case')
        .default('authorization'),
      value: secretReference().describe('The whole value, such as `Bearer ${env:OTLP_TOKEN}`'),
    })
    .optional()
    .describe('What the receiver asks for, if anything'),
  service: z.string().min(1).max(100).default('sallyport').describe('`service.name`'),
  hostname,
  env,
  timeout,
  batch: batch(1000, 3_000_000),
})

export const splunkSink = z.strictObject({
  ...common,
  type: z.literal('splunk'),
  url: address.describe('Of the HTTP Event Collector, without a path: `https://splunk.example.com:8088`'),
  token: secretReference().describe('HTTP Event Collector token'),
  index: z.string().min(1).max(80).optional().describe('Default: of the token'),
  source: z.string().min(1).max(200).default('sallyport'),
  sourcetype: z.string().min(1).max(200).default('sallyport:audit'),
  hostname,
  acknowledge: z
    .boolean()
    .default(false)
    .describe('Wait until the indexer has written a batch; the token must have indexer acknowledgement'),
  acknowledge_timeout: duration().default(300_000).describe('After it the batch is sent again'),
  timeout,
  batch: batch(1000, 900_000),
})

export const elasticsearchSink = z
  .strictObject({
    ...common,
    type: z.literal('elasticsearch'),
    url: address.describe('Of the cluster, without a path; OpenSearch works too'),
    index: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,200}$/, 'write an index name in lower case')
      .default('logs-sallyport.audit-default')
      .describe('An index, an alias or a data stream; the key needs `create_doc` on it and no more'),
    api_key: secretReference().optional().describe('An API key in its encoded form'),
    username: z.string().min(1).max(200).optional().describe('In place of `api_key`, with `password`'),
    password: secretReference().optional(),
    timeout,
    batch: batch(1000, 4_000_000),
  })
  .refine(
    ({ api_key, username, password }) =>
      api_key === undefined ? username !== undefined && password !== undefined : username === undefined,
    {
      path: ['api_key'],
      error: 'write api_key, or username and password',
    },
  )

const loopback = new Set(['localhost', '127.0.0.1', '::1'])

export const syslogSink = z
  .strictObject({
    ...common,
    type: z.literal('syslog'),
    host: z.string().min(1).max(253).describe('Of the receiver'),
    port: z.number().int().min(1).max(65_535).default(6514),
    tls: z
      .union([
        z.literal(false),
        z.strictObject({
          ca: z.string().optional().describe('PEM file of the authorities to trust; default: of the system'),
          cert: z
            .string()
            .optional()
            .describe('PEM file of our certificate, where the receiver asks for one'),
          key: z.string().optional().describe('PEM file of its key'),
        }),
      ])
      .prefault({})
      .describe('RFC 5425. `false`, plain TCP, is for a receiver on this machine'),
    acknowledge: z
      .enum(['close', 'written'])
      .default('close')
      .describe(
        '`close`: a batch counts when the receiver has read to its end; `written`: when it was handed to the system, which can lose it',
      ),
    facility: z.number().int().min(0).max(23).default(13).describe('13 is `log audit`'),
    app_name: z
      .string()
      .regex(/^[!-~]{1,48}$/)
      .default('sallyport'),
    hostname,
    enterprise: z
      .number()
      .int()
      .min(1)
      .default(32_473)
      .describe('Private enterprise number of the structured data; default: the one for documentation'),
    timeout,
    batch: batch(1000, 4_000_000),
  })
  .refine(({ tls, host }) => tls !== false || loopback.has(host), {
    path: ['tls'],
    error: 'plain TCP only to this machine',
  })

export const s3Sink = z.strictObject({
  ...common,
  type: z.literal('s3'),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'write a bucket name'),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .default('us-east-1'),
  endpoint: address
    .optional()
    .describe('Of another store than Amazon S3; the bucket then goes into the path'),
  prefix: z
    .string()
    .regex(/^([\w.-]+\/)*$/, 'write a prefix that ends with a slash, such as audit/')
    .default('')
    .describe('Before every name'),
  format: z.enum(['ndjson', 'parquet']).default('ndjson').describe('NDJSON is compressed with gzip'),
  access_key_id: secretReference(),
  secret_access_key: secretReference(),
  session_token: secretReference().optional(),
  timeout: duration().default(60_000).describe('For one object; after it the batch is sent again'),
  batch: batch(20_000, 16_000_000),
})
