import { z } from 'zod'
import type { EntryFilter, EntryPage } from '../storage/storage.ts'

/** Shapes that several routes share. */

export const entryShape = z
  .looseObject({ v: z.literal(1), kind: z.string(), log: z.string(), seq: z.string(), time: z.string() })
  .describe('An entry exactly as it stands in the log')

export const instant = z.string().transform((text, context) => {
  const relative = /^(\d{1,6})(s|m|h|d)$/.exec(text)
  if (relative !== null) {
    const unit = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[relative[2] as 's' | 'm' | 'h' | 'd']
    return Date.now() - Number(relative[1]) * unit
  }
  const at = /^\d{12,14}$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isFinite(at)) return at
  context.addIssue({
    code: 'custom',
    message: 'write ISO 8601, milliseconds since the epoch, or an age such as 15m',
  })
  return z.NEVER
})

const whole = z
  .string()
  .regex(/^\d{1,15}$/, 'write a whole number')
  .transform(Number)

/** Where a page begins: what the page before said. */
export const cursor = whole.optional().describe('Cursor: the `next` of the page before')

/** How many a page holds at the most. */
export function pageLimit(most: number, standard: number) {
  return whole
    .pipe(z.number().int().min(1).max(most))
    .default(standard)
    .describe(`Most of a page, 1 to ${most}`)
}

/** How many values of a field are told apart. */
export function topKeys(most: number, standard: number) {
  return whole
    .pipe(z.number().int().min(1).max(most))
    .default(standard)
    .describe(`Most values to tell apart, 1 to ${most}`)
}

/** The filters of the log; all given ones must hold. */
export const entryFilters = {
  since: instant
    .optional()
    .describe('From this time on: ISO 8601, milliseconds since the epoch, or an age (15m, 2h, 7d)'),
  until: instant.optional().describe('Before this time'),
  kind: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('Entry kinds, repeated or separated by commas'),
  identity: z.string().optional().describe('Id, e-mail or name of the subject or of the person it acts for'),
  connection: z.string().optional().describe('Name of a connection'),
  operation: z.string().optional().describe('Operation, exact or with `*`'),
  outcome: z.enum(['success', 'failure', 'denied', 'unknown']).optional().describe('How it ended'),
  session: z.string().optional().describe('Session id'),
  action: z.string().optional().describe('Action id'),
  approval: z.string().optional().describe('Approval id'),
  trace: z.string().optional().describe('Trace id (W3C, 32 hex digits): one story over all connections'),
  text: z.string().max(500).optional().describe('Words that all occur in the entry'),
}

const filterShape = z.object(entryFilters)

/** The filter of the index for the filters of a request. */
export function entryFilter(query: Partial<z.infer<typeof filterShape>>): EntryFilter {
  const kinds = [query.kind ?? []].flat().flatMap(each => each.split(',').filter(one => one !== ''))
  const names = filterShape.keyof().options.filter(name => name !== 'kind')
  const given = Object.fromEntries(
    names.map(name => [name, query[name]] as const).filter(([, value]) => value !== undefined),
  )
  return { ...given, ...(kinds.length === 0 ? {} : { kinds }) }
}

export const pageQuery = z.object({
  ...entryFilters,
  after: whole.optional().describe('Cursor: the `next` of the page before'),
  order: z.enum(['asc', 'desc']).default('asc').describe('Oldest or newest first'),
  limit: whole
    .pipe(z.number().int().min(1).max(1000))
    .default(100)
    .describe('Most entries of a page, 1 to 1000'),
})

export type PageQuery = z.infer<typeof pageQuery>

export const entryPage = z.object({
  entries: z.array(entryShape),
  next: z.string().optional().describe('Pass as `after` for the next page; absent at the end'),
  has_more: z.boolean(),
  indexed: z.string().describe('Entries below this index are searchable'),
  size: z.string().describe('Entries in the log'),
})

export const indexParam = z.object({ index: whole.describe('Index of the entry in the log (`seq`)') })
export const idParam = z.object({ id: z.string().min(1).max(200) })

/** A page of the index as `entryPage` has it; `size` is that of the log. */
export function showPage(page: EntryPage, size: number): z.infer<typeof entryPage> {
  return {
    entries: page.entries.map(
      ({ bytes }) => JSON.parse(bytes.toString('utf8')) as z.infer<typeof entryShape>,
    ),
    ...(page.next === undefined ? {} : { next: String(page.next) }),
    has_more: page.next !== undefined,
    indexed: String(page.indexed),
    size: String(size),
  }
}
