import { z } from 'zod'
import { eventKinds } from '../audit/events.ts'
import { datadogSetup } from './datadog-setup.ts'
import { secretReference } from './secret.ts'
import { byteSize, duration } from './units.ts'

const families = new Set(Object.keys(eventKinds).map(kind => kind.split('.')[0]!))

const kindPattern = z
  .string()
  .refine(
    text => Object.hasOwn(eventKinds, text) || (text.endsWith('.*') && families.has(text.slice(0, -2))),
    { error: 'not an entry kind: write one such as action.completed, or a family such as approval.*' },
  )

const withholding = (what: string) => z.enum(['keep', 'redact', 'hash']).default('keep').describe(what)

const fields = z
  .strictObject({
    identity: withholding('People and agents: ids, names, e-mail addresses, approvers'),
    network: withholding('Addresses of clients and what they call themselves'),
    content: withholding(
      'What was acted on or written: resources, paths, statements, reasons, details of errors, and all that is not classified',
    ),
    credential: withholding('Names and ids of tokens, keys and linked accounts'),
    key: secretReference()
      .optional()
      .describe('Key of the hashes; needed where a class is not kept, since leaf hashes are keyed then too'),
  })
  .refine(({ key, ...classes }) => key !== undefined || Object.values(classes).every(way => way === 'keep'), {
    path: ['key'],
    error: 'needed where a class is redacted or hashed',
  })
  .prefault({})
  .describe('What the sink is shown of an entry, by class of field')

const common = {
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'write lower-case letters, digits and hyphens, 63 at most')
    .describe('Unique name. The position in the log is kept under it, so a new name starts anew'),
  filter: z
    .strictObject({
      kinds: z
        .array(kindPattern)
        .min(1)
        .optional()
        .describe('Only these entry kinds, exact or as a family (`approval.*`); default: all'),
      except: z.array(kindPattern).default([]).describe('All but these entry kinds'),
      connections: z
        .array(z.string().min(1).max(200))
        .min(1)
        .optional()
        .describe(
          'Only entries of these connections, `*` for any text; entries of no connection are left out',
        ),
      outcomes: z
        .array(z.enum(['success', 'failure', 'denied', 'pending', 'expired', 'unknown']))
        .min(1)
        .optional()
        .describe('Only entries with one of these outcomes'),
    })
    .prefault({})
    .describe('Which entries are shipped. Without a filter the far end can see that no number is missing'),
  fields,
  from: z
    .enum(['beginning', 'now'])
    .default('beginning')
    .describe('Where a sink that was never shipped to starts: the whole log, or what is written from now on'),
}

const batch = (maxEvents: number, maxBytes: number) =>
  z
    .strictObject({
      max_events: z
        .number()
        .int()
        .min(1)
        .max(maxEvents)
        .default(maxEvents)
        .describe('Most events in one call'),
      max_bytes: byteSize()
        .refine(bytes => bytes >= 65_536 && bytes <= maxBytes, {
          error: `must be between 64KiB and ${maxBytes} bytes`,
        })
        .default(maxBytes)
        .describe('Most bytes in one call, before compression'),
      max_wait: duration().default(1000).describe('How long the first entry of a batch waits for company'),
    })
    .prefault({})
    .describe('How entries are grouped into calls')

function isPlain(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)
}

const address = z.url({ protocol: /^https?$/ }).refine(url => URL.canParse(url) && !isPlain(url), {
  error: 'must be https, since the key goes along; plain http only to this machine',
})

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
  .array(z.discriminatedUnion('type', [datadogSink, fileSink, stdoutSink, webhookSink]))
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
