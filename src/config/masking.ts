import { RE2JS } from 're2js'
import { z } from 'zod'
import { secretReference } from './secret.ts'
import { detectorGroups, detectorKinds } from '../masking/detectors/index.ts'
import { builtinProfiles } from '../masking/builtin-profiles.ts'
import { parsePath } from '../masking/paths.ts'
import { ways } from '../masking/ways.ts'
import { byteSize } from './units.ts'

const way = () => z.enum(ways as ['redact', 'hash', 'partial'])
const detectorName = z
  .string()
  .refine(name => name in detectorGroups || detectorKinds.includes(name), { error: 'no such detector' })

const pattern = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,63}$/)
    .describe('Kebab-case; shown in place of what matched, as `[masked:<name>]`'),
  regex: z
    .string()
    .min(1)
    .max(1024)
    .refine(compiles, { error: 'not a pattern in RE2 syntax' })
    .describe('RE2 syntax (linear time). Matched inside one JSON string, or inside one line of text'),
})

const profile = z.strictObject({
  detectors: z
    .array(detectorName)
    .default([])
    .describe('`secrets`, `personal`, or single detectors such as `email` or `aws-access-key-id`'),
  keys: z
    .array(z.string().min(1).max(128))
    .default([])
    .describe(
      'Names of JSON and form fields whose value is masked, without case; `*` and `?` match any text',
    ),
  paths: z
    .array(z.string().refine(validPath, { error: 'not a path: write $.data[*].attributes.key or $.**.key' }))
    .default([])
    .describe(
      'JSON paths whose value is masked: names, `[0]`, `*` for one step, `**` for any number of steps',
    ),
  headers: z.array(z.string().min(1).max(128)).default([]).describe('Header names, as in `keys`'),
  parameters: z
    .array(z.string().min(1).max(128))
    .default([])
    .describe('Query and form parameter names, as in `keys`'),
  patterns: z.array(pattern).max(32).default([]).describe('Own patterns'),
  way: way()
    .default('redact')
    .describe(
      '`redact` leaves the kind alone, `partial` also the last four characters of long values, `hash` a keyed ' +
        'hash that is equal for equal values. Where profiles disagree: redact, then hash, then partial',
    ),
  overrides: z
    .record(z.string(), z.enum(['redact', 'hash', 'partial', 'off']))
    .default({})
    .describe(
      'The way for single detectors, patterns or `field` (keys, paths, headers, parameters); `off` drops it',
    ),
  binary: z
    .enum(['refuse', 'pass'])
    .default('refuse')
    .describe('What happens to bodies that are not text (images, archives): they can not be looked into'),
})

export const maskingSection = z
  .strictObject({
    profiles: z
      .record(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/), profile)
      .default({})
      .describe(`Named sets of rules. Built in: ${Object.keys(builtinProfiles).join(', ')}`),
    hash_key: secretReference()
      .optional()
      .describe('Reference to the key of the way `hash`; changing it changes every hash'),
    phone_region: z
      .string()
      .regex(/^[A-Z]{2}$/)
      .default('US')
      .describe('Country (ISO 3166) whose telephone numbers are recognised without `+`'),
    max_buffered: byteSize()
      .default(1024 ** 2)
      .describe(
        'Longest single value (a JSON string, a line, an SSE event) that is masked; longer ones are refused',
      ),
    max_decoded: byteSize()
      .default(1024 ** 3)
      .describe('Most bytes that one compressed body may unpack to'),
    max_expansion: z
      .number()
      .min(10)
      .default(1100)
      .describe('How many times its size a compressed body may unpack to, checked past the first 4 MiB'),
  })
  .prefault({})
  .superRefine((section, context) => {
    for (const [name, { way: own, overrides, patterns }] of Object.entries(section.profiles)) {
      const path = ['profiles', name]
      if (name in builtinProfiles) {
        context.addIssue({ code: 'custom', path, message: 'this name is a built-in profile; choose another' })
      }
      if (section.hash_key === undefined && [own, ...Object.values(overrides)].includes('hash')) {
        context.addIssue({ code: 'custom', path, message: 'the way hash needs masking.hash_key' })
      }
      const known = new Set(['field', ...detectorKinds, ...patterns.map(each => each.name)])
      for (const kind of Object.keys(overrides).filter(each => !known.has(each)))
        context.addIssue({ code: 'custom', path: [...path, 'overrides', kind], message: 'no such detector' })
    }
  })
  .describe('What is masked in answers, requests, recordings and entries')

export type MaskingConfig = z.infer<typeof maskingSection>
export type MaskProfile = z.infer<typeof profile>

function compiles(source: string): boolean {
  try {
    RE2JS.compile(source)
    return true
  } catch {
    return false
  }
}

function validPath(source: string): boolean {
  return parsePath(source) !== undefined
}
