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

interface Place {
  readonly time: number
  readonly id: string
}

interface Search {
  readonly query: string
  readonly from: number
  readonly to: number
  /** Newest first unless `timestamp`. */
  readonly oldestFirst: boolean
  readonly limit: number
  /** The last log of the page before, from the cursor: what arrives meanwhile moves nothing. */
  readonly after: Place | undefined
}

function everything({ state, intake }: Call): SearchedLog[] {
  const id = (position: string) => `AQAAA${hex(`log ${position}`, 40)}`
  return [
    ...state.seededLogs.map((record, i) => searchable(record, { id: id(`seed ${i}`), time: state.now() })),
    ...intake.logs
      .filter(log => log.arrivedAt + state.indexingMs <= state.now())
      .map((log, i) => searchable(log.record, { id: id(`sent ${i}`), time: log.arrivedAt, tags: log.tags })),
  ]
}

function found(call: Call, search: Search): SearchedLog[] {
  const isWanted = predicateOf(search.query)
  const all = everything(call).filter(
    log => log.time >= search.from && log.time <= search.to && isWanted(log),
  )
  const sign = search.oldestFirst ? 1 : -1
  const compared = (a: Place, b: Place) =>
    sign * (a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  const { after } = search
  const rest = after === undefined ? all : all.filter(log => compared(log, after) > 0)
  return rest.toSorted(compared)
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

function cursorOf(value: unknown): Place | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const [, time, id] = /^(\d{1,15}) (\w+)$/.exec(Buffer.from(String(value), 'base64url').toString()) ?? []
  if (time === undefined || id === undefined) throw new Refusal(400, 'Invalid cursor')
  return { time: Number(time), id }
}

function cursorAt({ time, id }: Place): string {
  return Buffer.from(`${time} ${id}`).toString('base64url')
}

const limitOf = (value: unknown) => Math.min(1000, Math.max(1, Number(value ?? 10) || 10))

function v2Page(call: Call, search: Search): Answer {
  const all = found(call, search)
  const here = all.slice(0, search.limit)
  const after = here.length < all.length ? { page: { after: cursorAt(here.at(-1)!) } } : {}
  return ok({
    data: here.map(v2Shape),
    meta: { elapsed: 12, request_id: hex(`request ${call.state.now()}`, 32), status: 'done', ...after },
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
      after: cursorOf(paging['cursor']),
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
      after: cursorOf(query.get('page[cursor]')),
    })
  },
  'v1.listLogs': call => {
    const sent = objectOf(call.body)
    const time = objectOf(sent['time'])
    const now = call.state.now()
    const limit = limitOf(sent['limit'])
    const all = found(call, {
      query: String(sent['query'] ?? '*'),
      from: timeOf(textOf(time, 'from'), now - hour, now),
      to: timeOf(textOf(time, 'to'), now, now),
      oldestFirst: sent['sort'] === 'asc',
      limit,
      after: cursorOf(sent['startAt']),
    })
    const here = all.slice(0, limit)
    const next = here.length < all.length ? cursorAt(here.at(-1)!) : null
    return ok({ logs: here.map(v1Shape), nextLogId: next, status: 'done' })
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
      after: undefined,
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
