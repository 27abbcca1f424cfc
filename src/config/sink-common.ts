import { z } from 'zod'
import { eventKinds } from '../audit/events.ts'
import { secretReference } from './secret.ts'
import { byteSize, duration } from './units.ts'

/** What the sections of all sinks have in common. */
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

export const common = {
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

export const batch = (maxEvents: number, maxBytes: number) =>
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

export const address = z.url({ protocol: /^https?$/ }).refine(url => URL.canParse(url) && !isPlain(url), {
  error: 'must be https, since the key goes along; plain http only to this machine',
})
