import { listOf, objectOf, ok, type Operations, page, Refusal, textOf } from '../operation.ts'
import type { MetricPoint, PracticeState } from '../state.ts'
import type { Json } from '../wire.ts'

/** Keeps points; older than an hour or more than ten minutes ahead is refused silently, as Datadog does. */
function keep(state: PracticeState, points: readonly MetricPoint[]): void {
  const now = state.now() / 1000
  state.points.push(...points.filter(({ time }) => time > now - 3600 && time < now + 600))
  if (state.points.length > 100_000) state.points.splice(0, state.points.length - 100_000)
}

interface Asked {
  readonly aggregation: string
  readonly metric: string
  readonly scope: readonly string[]
  readonly by: readonly string[]
}

/** `avg:system.cpu.user{env:prod} by {host}`. */
function parse(query: string): Asked {
  const match = /^\s*(avg|sum|min|max|count):([\w.-]+)\{([^}]*)\}(?:\s+by\s+\{([^}]*)\})?/.exec(query)
  if (match === null) throw new Refusal(400, `Error parsing query: unable to parse ${query.slice(0, 200)}`)
  const split = (text = '') =>
    text.split(',').flatMap(each => (each.trim() === '' || each.trim() === '*' ? [] : [each.trim()]))
  return { aggregation: match[1]!, metric: match[2]!, scope: split(match[3]), by: split(match[4]) }
}

interface Series {
  readonly tags: readonly string[]
  readonly points: readonly (readonly [time: number, value: number])[]
}

function seriesOf(state: PracticeState, asked: Asked, between: readonly [number, number]): Series[] {
  const within = state.points.filter(
    point =>
      point.metric === asked.metric &&
      point.time >= between[0] &&
      point.time <= between[1] &&
      asked.scope.every(tag => point.tags.includes(tag)),
  )
  const groups = Map.groupBy(within, point =>
    asked.by.map(key => point.tags.find(tag => tag.startsWith(`${key}:`)) ?? `${key}:N/A`).join(),
  )
  return [...groups].map(([tags, points]) => ({
    tags: tags === '' ? [] : tags.split(','),
    points: [...Map.groupBy(points, point => Math.floor(point.time / 20) * 20)]
      .map(
        ([time, same]) =>
          [
            time,
            combined(
              asked.aggregation,
              same.map(each => each.value),
            ),
          ] as const,
      )
      .toSorted(([a], [b]) => a - b),
  }))
}

function combined(aggregation: string, values: readonly number[]): number {
  const sum = values.reduce((total, each) => total + each, 0)
  switch (aggregation) {
    case 'sum':
      return sum
    case 'min':
      return Math.min(...values)
    case 'max':
      return Math.max(...values)
    case 'count':
      return values.length
    default:
      return sum / values.length
  }
}

const namesOf = (state: PracticeState) => [...new Set(state.points.map(point => point.metric))].toSorted()

/** `data.attributes` of the formula queries: each query with its name. */
function formulas(body: unknown): { from: number; to: number; queries: { name: string; query: string }[] } {
  const sent = objectOf(objectOf(objectOf(body)['data'])['attributes'])
  const queries = listOf(sent['queries']).map(each => {
    const query = objectOf(each)
    if (query['data_source'] !== 'metrics') throw new Refusal(400, 'Only metrics can be queried here')
    return { name: String(query['name'] ?? 'query1'), query: textOf(query, 'query') }
  })
  return { from: Number(sent['from']) / 1000, to: Number(sent['to']) / 1000, queries }
}

export const metrics: Operations = {
  'v1.submitMetrics': ({ state, body }) => {
    const points = listOf(objectOf(body)['series']).flatMap(each => {
      const series = objectOf(each)
      const metric = textOf(series, 'metric')
      const host = typeof series['host'] === 'string' ? [`host:${series['host']}`] : []
      const tags = [...listOf(series['tags']).map(String), ...host]
      return listOf(series['points']).map(point => ({ metric, tags, ...pairOf(point) }))
    })
    keep(state, points)
    return ok({ status: 'ok' }, 202)
  },
  'v1.submitDistributionPoints': ({ state, body }) => {
    const points = listOf(objectOf(body)['series']).flatMap(each => {
      const series = objectOf(each)
      const metric = textOf(series, 'metric')
      const tags = listOf(series['tags']).map(String)
      return listOf(series['points']).flatMap(point => {
        const [time, values] = Array.isArray(point) ? (point as unknown[]) : []
        return listOf(values).map(value => ({ metric, tags, time: Number(time), value: Number(value) }))
      })
    })
    keep(state, points)
    return ok({ status: 'ok' }, 202)
  },
  'v2.submitMetrics': ({ state, body }) => {
    const points = listOf(objectOf(body)['series']).flatMap(each => {
      const series = objectOf(each)
      const metric = textOf(series, 'metric')
      const resources = listOf(series['resources']).map(objectOf)
      const tags = [
        ...listOf(series['tags']).map(String),
        ...resources.map(of => `${of['type']}:${of['name']}`),
      ]
      return listOf(series['points']).map(point => {
        const { timestamp, value } = objectOf(point)
        return { metric, tags, time: Number(timestamp), value: Number(value) }
      })
    })
    keep(state, points)
    return ok({ errors: [] }, 202)
  },
  'v1.queryMetrics': ({ state, query }) => {
    const text = query.get('query') ?? ''
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))]
    const asked = parse(text)
    return ok({
      status: 'ok',
      res_type: 'time_series',
      resp_version: 1,
      query: text,
      from_date: from * 1000,
      to_date: to * 1000,
      group_by: asked.by,
      message: '',
      series: seriesOf(state, asked, [from, to]).map(({ tags, points }) => seriesShape(asked, tags, points)),
    })
  },
  'v1.listActiveMetrics': ({ state, query }) =>
    ok({ metrics: namesOf(state), from: query.get('from') ?? '0' }),
  'v1.listMetrics': ({ state, query }) => {
    const text = (query.get('q') ?? '').replace(/^metrics:/, '')
    return ok({ results: { metrics: namesOf(state).filter(name => name.includes(text)) } })
  },
  'v1.getMetricMetadata': ({ state, params }) => {
    if (!namesOf(state).includes(params['metric_name']!)) throw new Refusal(404, 'Metric not found')
    return ok({ type: 'gauge', description: '', short_name: params['metric_name'], unit: 'percent' })
  },
  'v2.listTagConfigurations': ({ state, query }) =>
    ok({ data: page(namesOf(state), query).map(id => ({ type: 'metrics', id })) }),
  'v2.queryTimeseriesData': ({ state, body }) => {
    const { from, to, queries } = formulas(body)
    const all = queries.flatMap(({ query }, index) =>
      seriesOf(state, parse(query), [from, to]).map(series => ({ index, ...series })),
    )
    const times = [...new Set(all.flatMap(({ points }) => points.map(([time]) => time * 1000)))].toSorted(
      (a, b) => a - b,
    )
    return ok({
      data: {
        type: 'timeseries_response',
        attributes: {
          series: all.map(({ index, tags }) => ({ group_tags: tags, query_index: index, unit: null })),
          times,
          values: all.map(({ points }) =>
            times.map(time => points.find(([at]) => at * 1000 === time)?.[1] ?? null),
          ),
        },
      },
    })
  },
  'v2.queryScalarData': ({ state, body }) => {
    const { from, to, queries } = formulas(body)
    const columns = queries.map(({ name, query }) => ({
      name,
      type: 'number',
      meta: { unit: null },
      values: seriesOf(state, parse(query), [from, to]).map(({ points }) =>
        combined(
          'avg',
          points.map(([, value]) => value),
        ),
      ),
    }))
    return ok({ data: { type: 'scalar_response', attributes: { columns } } })
  },
}

function pairOf(point: unknown): { time: number; value: number } {
  const [time, value] = Array.isArray(point) ? (point as unknown[]) : []
  return { time: Number(time), value: Number(value) }
}

function seriesShape(asked: Asked, tags: readonly string[], points: Series['points']): Json {
  const scope = [...asked.scope, ...tags].join() || '*'
  return {
    metric: asked.metric,
    display_name: asked.metric,
    expression: `${asked.aggregation}:${asked.metric}{${scope}}`,
    scope,
    tag_set: tags,
    aggr: asked.aggregation,
    interval: 20,
    length: points.length,
    start: (points[0]?.[0] ?? 0) * 1000,
    end: (points.at(-1)?.[0] ?? 0) * 1000,
    query_index: 0,
    unit: null,
    pointlist: points.map(([time, value]) => [time * 1000, value]),
  }
}
