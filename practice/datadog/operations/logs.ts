import {
  type Answer,
  type Call,
  listOf,
  objectOf,
  ok,
  type Operations,
  Refusal,
  textOf,
} from '../operation.ts'
import { hex } from '../state.ts'
import type { Json } from '../wire.ts'
import { aggregate, type Compute, isAggregation } from './log-analytics.ts'
import { type Predicate, parseLogQuery, searchable, type SearchedLog } from './log-query.ts'

interface Search {
  readonly query: string
  readonly from: number
  readonly to: number
  /** Newest first unless `timestamp`. */
  readonly oldestFirst: boolean
  readonly limit: number
  /** How many come before, from the cursor. */
  readonly offset: number
}

function everything({ state, intake }: Call): SearchedLog[] {
  const id = (position: string) => `AQAAA${hex(`log ${position}`, 40)}`
  return [
    ...state.seededLogs.map((record, i) => searchable(record, { id: id(`seed ${i}`), time: state.now() })),
    ...intake.logs.map((log, i) =>
      searchable(log.record, { id: id(`sent ${i}`), time: log.arrivedAt, tags: log.tags }),
    ),
  ]
}

function found(call: Call, search: Search): SearchedLog[] {
  const isWanted = predicateOf(search.query)
  const all = everything(call).filter(
    log => log.time >= search.from && log.time <= search.to && isWanted(log),
  )
  return all.toSorted((a, b) => (search.oldestFirst ? a.time - b.time : b.time - a.time))
}

function predicateOf(query: string): Predicate {
  try {
    return parseLogQuery(query)
  } catch (error) {
    throw new Refusal(400, `Invalid query: ${(error as Error).message}`)
  }
}

/** Records of other trails that are searched like logs, newest first. */
export function searchLogs(
  records: readonly Json[],
  now: number,
  search: { readonly query: string; readonly from: unknown; readonly to: unknown },
): Json[] {
  const isWanted = predicateOf(search.query)
  const from = timeOf(search.from, now - hour, now)
  const to = timeOf(search.to, now, now)
  return records
    .filter(record => {
      const log = searchable(record, { id: '', time: now })
      return log.time >= from && log.time <= to && isWanted(log)
    })
    .toReversed()
}

/** ISO 8601, epoch milliseconds, `now`, or date math such as `now-15m`. */
function timeOf(value: unknown, otherwise: number, now: number): number {
  if (value === undefined || value === null || value === '') return otherwise
  if (typeof value === 'number') return value
  const text = String(value)
  const math = /^now(?:-(\d+)([smhdw]))?$/.exec(text)
  if (math !== null) {
    const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }[math[2] ?? 's'] ?? 0
    return now - Number(math[1] ?? 0) * unit
  }
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isNaN(time)) throw new Refusal(400, 'Invalid time')
  return time
}

function cursorOf(value: unknown): number {
  const text = Buffer.from(String(value ?? ''), 'base64url').toString()
  return /^\d{1,9}$/.test(text) ? Number(text) : 0
}

const limitOf = (value: unknown) => Math.min(1000, Math.max(1, Number(value ?? 10) || 10))

function v2Page(call: Call, search: Search): Answer {
  const all = found(call, search)
  const end = search.offset + search.limit
  const after = end < all.length ? { page: { after: Buffer.from(String(end)).toString('base64url') } } : {}
  return ok({
    data: all.slice(search.offset, end).map(v2Shape),
    meta: { elapsed: 12, request_id: hex(`request ${end}`, 32), status: 'done', ...after },
  })
}

function v2Shape(log: SearchedLog): Json {
  const { id, host, service, status, message, tags, attributes } = log
  const timestamp = new Date(log.time).toISOString()
  return { id, type: 'log', attributes: { host, service, status, message, tags, timestamp, attributes } }
}

function v1Shape(log: SearchedLog): Json {
  const { id, host, service, message, tags, attributes } = log
  return {
    id,
    content: { host, service, message, tags, attributes, timestamp: new Date(log.time).toISOString() },
  }
}

const hour = 3_600_000

export const logs: Operations = {
  'v2.listLogs': call => {
    const sent = objectOf(call.body ?? {})
    const filter = objectOf(sent['filter'] ?? {})
    const paging = objectOf(sent['page'] ?? {})
    const now = call.state.now()
    return v2Page(call, {
      query: String(filter['query'] ?? '*'),
      from: timeOf(filter['from'], now - hour, now),
      to: timeOf(filter['to'], now, now),
      oldestFirst: sent['sort'] === 'timestamp',
      limit: limitOf(paging['limit']),
      offset: cursorOf(paging['cursor']),
    })
  },
  'v2.listLogsGet': call => {
    const { query } = call
    const now = call.state.now()
    return v2Page(call, {
      query: query.get('filter[query]') ?? '*',
      from: timeOf(query.get('filter[from]'), now - hour, now),
      to: timeOf(query.get('filter[to]'), now, now),
      oldestFirst: query.get('sort') === 'timestamp',
      limit: limitOf(query.get('page[limit]')),
      offset: cursorOf(query.get('page[cursor]')),
    })
  },
  'v1.listLogs': call => {
    const sent = objectOf(call.body)
    const time = objectOf(sent['time'])
    const now = call.state.now()
    const offset = cursorOf(sent['startAt'])
    const limit = limitOf(sent['limit'])
    const all = found(call, {
      query: String(sent['query'] ?? '*'),
      from: timeOf(textOf(time, 'from'), now - hour, now),
      to: timeOf(textOf(time, 'to'), now, now),
      oldestFirst: sent['sort'] === 'asc',
      limit,
      offset,
    })
    const next =
      offset + limit < all.length ? Buffer.from(String(offset + limit)).toString('base64url') : null
    return ok({ logs: all.slice(offset, offset + limit).map(v1Shape), nextLogId: next, status: 'done' })
  },
  'v2.aggregateLogs': call => {
    const sent = objectOf(call.body)
    const filter = objectOf(sent['filter'] ?? {})
    const now = call.state.now()
    const all = found(call, {
      query: String(filter['query'] ?? '*'),
      from: timeOf(filter['from'], now - hour, now),
      to: timeOf(filter['to'], now, now),
      oldestFirst: true,
      limit: 0,
      offset: 0,
    })
    const groups = listOf(sent['group_by']).map(each => {
      const { facet, limit } = objectOf(each)
      return { facet: String(facet), ...(typeof limit === 'number' ? { limit } : {}) }
    })
    const computes =
      sent['compute'] === undefined ? [{ aggregation: 'count' }] : listOf(sent['compute']).map(objectOf)
    const buckets = aggregate(all, groups, computes.map(computeOf)).map(({ by, values }) => ({
      by,
      computes: Object.fromEntries(values.map((value, i) => [`c${i}`, value])),
    }))
    return ok({ data: { buckets }, meta: { elapsed: 9, request_id: hex('aggregate', 32), status: 'done' } })
  },
}

function computeOf({ aggregation, metric }: Json): Compute {
  const known = String(aggregation)
  if (!isAggregation(known)) throw new Refusal(400, `Unsupported aggregation: ${known}`)
  return { aggregation: known, ...(typeof metric === 'string' ? { metric } : {}) }
}
