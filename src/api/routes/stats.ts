import { z } from 'zod'
import { duration } from '../../config/units.ts'
import { GatewayError } from '../../errors.ts'
import { countFields, type FieldCounts } from '../../storage/storage.ts'
import { noteReading } from '../reading.ts'
import { route } from '../route.ts'
import { entryFilter, entryFilters, instant, topKeys } from '../shapes.ts'

const { since: _since, until: _until, ...filters } = entryFilters
const mostBuckets = 1000
const standardBuckets = 60
const day = 86_400_000

/** Widths that people read easily, from a second to a week. */
const widths = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800].map(
  seconds => seconds * 1000,
)

const keyShape = z.object({ key: z.string(), total: z.number() })
const countsShape = z.array(z.number()).describe('Entries of each bucket')

/** Buckets begin at whole multiples of their width, so that the same moment is in the same bucket for every reader. */
function bucketsOf({ from, to, width }: { from: number; to: number; width: number | undefined }) {
  if (to <= from) throw new GatewayError('invalid-request', { detail: 'query.to: must be after `from`' })
  const wide = width ?? widths.find(each => (to - from) / each <= standardBuckets) ?? day * 30
  const start = Math.floor(from / wide) * wide
  const count = Math.ceil((to - start) / wide)
  if (count > mostBuckets)
    throw new GatewayError('invalid-request', { detail: `query.bucket: more than ${mostBuckets} buckets` })
  return { from: start, width: wide, count }
}

export const statsRoutes = [
  route({
    method: 'GET',
    path: '/audit/stats',
    id: 'entries.stats',
    summary:
      'How many entries match, over time and by one field; the keys with the most, and the others together',
    permission: 'auditor',
    audit: 'audit.read',
    query: z.object({
      ...filters,
      from: instant.optional().describe('From this time on; forms as `since`. Default: a day before `to`'),
      to: instant.optional().describe('Before this time; default: now'),
      bucket: duration()
        .refine(ms => ms >= 1000, 'write at least 1s')
        .optional()
        .describe('Width of a bucket, such as 5m; default: one that makes about 60 of them'),
      by: z.enum(countFields).default('outcome').describe('Field to tell apart by'),
      top: topKeys(50, 8),
    }),
    responses: {
      200: {
        description: 'Counts',
        schema: z.object({
          from: z.string().describe('Start of the first bucket'),
          to: z.string().describe('End of the last bucket'),
          bucket_ms: z.number(),
          by: z.string(),
          series: z.array(keyShape.extend({ counts: countsShape })).describe('Most entries first'),
          other: z
            .object({ keys: z.number(), total: z.number(), counts: countsShape })
            .optional()
            .describe('All keys beyond `top` together'),
          totals: z.object({
            entries: z.number().describe('Entries that match, also those without the field'),
            newest_only: z
              .number()
              .optional()
              .describe('Set where words or ids match too many: only so many, the newest, were counted'),
          }),
          indexed: z.string().describe('Entries below this index were counted'),
        }),
      },
    },
    async handler(call) {
      const { from, to, bucket, by, top, ...rest } = call.query
      const end = to ?? Date.now()
      const buckets = bucketsOf({ from: from ?? end - day, to: end, width: bucket })
      await noteReading(call, 'stats')
      const filter = { ...entryFilter(rest), ...(to === undefined ? {} : { until: to }) }
      const counted = await call.services.storage.index.count({ filter, fields: [by], top, buckets })
      const { keys, other } = counted.fields[by]!
      return {
        from: new Date(buckets.from).toISOString(),
        to: new Date(buckets.from + buckets.width * buckets.count).toISOString(),
        bucket_ms: buckets.width,
        by,
        series: keys.map(each => ({ key: each.key, total: each.entries, counts: each.buckets })),
        ...(other === undefined
          ? {}
          : { other: { keys: other.keys, total: other.entries, counts: other.buckets } }),
        totals: {
          entries: counted.entries,
          ...(counted.newestOnly === undefined ? {} : { newest_only: counted.newestOnly }),
        },
        indexed: String(counted.indexed),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/audit/facets',
    id: 'entries.facets',
    summary: 'The most frequent values of each field among the entries that match, for menus of filters',
    permission: 'auditor',
    audit: 'audit.read',
    query: z.object({ ...entryFilters, top: topKeys(100, 20) }),
    responses: {
      200: {
        description: 'Values by field',
        schema: z.object({
          entries: z.number(),
          newest_only: z.number().optional(),
          facets: z.record(
            z.string(),
            z.object({
              values: z.array(keyShape),
              other: z.object({ keys: z.number(), total: z.number() }).optional(),
            }),
          ),
        }),
      },
    },
    async handler(call) {
      await noteReading(call, 'facets')
      const { top, ...rest } = call.query
      const counted = await call.services.storage.index.count({
        filter: entryFilter(rest),
        fields: [...countFields],
        top,
      })
      const facets = Object.entries(counted.fields).map(([field, counts]) => [field, facet(counts)] as const)
      return {
        entries: counted.entries,
        ...(counted.newestOnly === undefined ? {} : { newest_only: counted.newestOnly }),
        facets: Object.fromEntries(facets),
      }
    },
  }),
]

function facet({ keys, other }: FieldCounts): Record<string, unknown> {
  return {
    values: keys.map(({ key, entries }) => ({ key, total: entries })),
    ...(other === undefined ? {} : { other: { keys: other.keys, total: other.entries } }),
  }
}
