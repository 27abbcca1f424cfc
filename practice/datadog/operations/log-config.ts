/** What Datadog does with logs: pipelines, indexes and their order, archives, metrics made from logs. */
import {
  attributesOf,
  type Call,
  found,
  listOf,
  nothing,
  objectOf,
  ok,
  type Operations,
  Refusal,
  textOf,
} from '../operation.ts'
import { hex, uuid } from '../state.ts'
import type { Json } from '../wire.ts'

function conflict(what: string): Refusal {
  return new Refusal(409, `${what} exists already`)
}

function pipelineBody(body: unknown): Json {
  const sent = objectOf(body)
  textOf(sent, 'name')
  textOf(objectOf(sent['filter']), 'query')
  for (const each of listOf(sent['processors'])) textOf(objectOf(each), 'type')
  return { is_enabled: true, processors: [], ...sent, type: 'pipeline', is_read_only: false }
}

function indexBody(body: unknown): Json {
  const sent = objectOf(body)
  textOf(objectOf(sent['filter']), 'query')
  const [days, flex] = [sent['num_retention_days'], sent['num_flex_logs_retention_days']]
  if (typeof days === 'number' && typeof flex === 'number' && flex <= days)
    throw new Refusal(400, 'num_flex_logs_retention_days must be greater than num_retention_days')
  return sent
}

const archiveShape = (id: string, attributes: Json): Json => ({ type: 'archives', id, attributes })

function archiveBody(body: unknown): Json {
  const attributes = attributesOf(body)
  textOf(attributes, 'name')
  textOf(attributes, 'query')
  textOf(objectOf(attributes['destination']), 'type')
  return { include_tags: false, rehydration_tags: [], ...attributes, state: 'UNKNOWN' }
}

const metricShape = (id: string, attributes: Json): Json => ({ type: 'logs_metrics', id, attributes })

const pipelineOf = ({ state, params }: Call) => found(state.logPipelines, params['pipeline_id']!, 'Pipeline')
const indexOf = ({ state, params }: Call) => found(state.logIndexes, params['name']!, 'Index')
const archiveOf = ({ state, params }: Call) => found(state.logArchives, params['archive_id']!, 'Archive')
const metricOf = ({ state, params }: Call) => found(state.logMetrics, params['metric_id']!, 'Metric')

const pipelines: Operations = {
  'v1.listLogsPipelines': ({ state }) => ok([...state.logPipelines.values()]),
  'v1.createLogsPipeline': ({ state, body }) => {
    const id = hex(`pipeline ${state.number()}`, 22)
    const pipeline = { ...pipelineBody(body), id }
    state.logPipelines.set(id, pipeline)
    return ok(pipeline)
  },
  'v1.getLogsPipeline': call => ok(pipelineOf(call)),
  'v1.updateLogsPipeline': call => {
    const { id } = pipelineOf(call)
    const pipeline = { ...pipelineBody(call.body), id }
    call.state.logPipelines.set(String(id), pipeline)
    return ok(pipeline)
  },
  'v1.deleteLogsPipeline': call => {
    call.state.logPipelines.delete(String(pipelineOf(call)['id']))
    return ok({})
  },
  'v1.getLogsPipelineOrder': ({ state }) => ok({ pipeline_ids: [...state.logPipelines.keys()] }),
}

const indexes: Operations = {
  'v1.listLogIndexes': ({ state }) => ok({ indexes: [...state.logIndexes.values()] }),
  'v1.createLogsIndex': ({ state, body }) => {
    const sent = indexBody(body)
    const name = textOf(sent, 'name')
    if (state.logIndexes.has(name)) throw conflict(`Index ${name}`)
    if (state.deletedLogIndexes.has(name))
      throw new Refusal(400, `Index ${name} was deleted; its name is taken`)
    const index = {
      num_retention_days: 15,
      num_flex_logs_retention_days: 0,
      daily_limit: null,
      exclusion_filters: [],
      tags: [],
      ...sent,
      is_rate_limited: false,
    }
    state.logIndexes.set(name, index)
    return ok(index)
  },
  'v1.getLogsIndex': call => ok(indexOf(call)),
  'v1.updateLogsIndex': call => {
    const before = indexOf(call)
    const { disable_daily_limit: off, ...sent } = indexBody(call.body)
    const index = { ...before, ...sent, name: before['name'], ...(off === true ? { daily_limit: null } : {}) }
    call.state.logIndexes.set(String(before['name']), index)
    return ok(index)
  },
  'v1.deleteLogsIndex': call => {
    const index = indexOf(call)
    call.state.logIndexes.delete(String(index['name']))
    call.state.deletedLogIndexes.add(String(index['name']))
    return ok(index)
  },
  'v1.getLogsIndexOrder': ({ state }) => ok({ index_names: [...state.logIndexes.keys()] }),
  'v1.updateLogsIndexOrder': ({ state, body }) => {
    const names = listOf(objectOf(body)['index_names']).map(String)
    if (names.length !== state.logIndexes.size || names.some(name => !state.logIndexes.has(name)))
      throw new Refusal(400, 'index_names must name every index once')
    const ordered = names.map(name => [name, state.logIndexes.get(name)!] as const)
    state.logIndexes.clear()
    for (const [name, index] of ordered) state.logIndexes.set(name, index)
    return ok({ index_names: names })
  },
}

const archives: Operations = {
  'v2.listLogsArchives': ({ state }) =>
    ok({ data: [...state.logArchives].map(([id, archive]) => archiveShape(id, archive)) }),
  'v2.createLogsArchive': ({ state, body }) => {
    const archive = archiveBody(body)
    const id = hex(`archive ${state.number()}`, 22)
    state.logArchives.set(id, archive)
    return ok({ data: archiveShape(id, archive) })
  },
  'v2.getLogsArchive': call => ok({ data: archiveShape(call.params['archive_id']!, archiveOf(call)) }),
  'v2.updateLogsArchive': call => {
    archiveOf(call)
    const archive = archiveBody(call.body)
    call.state.logArchives.set(call.params['archive_id']!, archive)
    return ok({ data: archiveShape(call.params['archive_id']!, archive) })
  },
  'v2.deleteLogsArchive': call => {
    archiveOf(call)
    call.state.logArchives.delete(call.params['archive_id']!)
    return nothing
  },
}

const metrics: Operations = {
  'v2.listLogsMetrics': ({ state }) =>
    ok({ data: [...state.logMetrics].map(([id, metric]) => metricShape(id, metric)) }),
  'v2.createLogsMetric': ({ state, body }) => {
    const id = textOf(objectOf(objectOf(body)['data']), 'id')
    if (state.logMetrics.has(id)) throw conflict(`Metric ${id}`)
    const attributes = attributesOf(body)
    textOf(objectOf(attributes['compute']), 'aggregation_type')
    state.logMetrics.set(id, { filter: { query: '*' }, group_by: [], ...attributes })
    return ok({ data: metricShape(id, state.logMetrics.get(id)!) })
  },
  'v2.getLogsMetric': call => ok({ data: metricShape(call.params['metric_id']!, metricOf(call)) }),
  'v2.updateLogsMetric': call => {
    const { filter, group_by, compute } = attributesOf(call.body)
    if (compute !== undefined && objectOf(compute)['aggregation_type'] !== undefined)
      throw new Refusal(400, 'aggregation_type can not be changed')
    const metric = {
      ...metricOf(call),
      ...(filter === undefined ? {} : { filter }),
      ...(group_by === undefined ? {} : { group_by }),
    }
    call.state.logMetrics.set(call.params['metric_id']!, metric)
    return ok({ data: metricShape(call.params['metric_id']!, metric) })
  },
  'v2.deleteLogsMetric': call => {
    metricOf(call)
    call.state.logMetrics.delete(call.params['metric_id']!)
    return nothing
  },
}

/** An index that takes what no other does, as every organisation has one. */
export function mainIndex(): Json {
  return {
    name: 'main',
    filter: { query: '*' },
    num_retention_days: 15,
    num_flex_logs_retention_days: 0,
    daily_limit: null,
    exclusion_filters: [],
    is_rate_limited: false,
    tags: [],
  }
}

/** A pipeline of somebody else. */
export function nodePipeline(): Json & { id: string } {
  return {
    id: uuid('pipeline of the shop').replaceAll('-', '').slice(0, 22),
    type: 'pipeline',
    name: 'Shop',
    is_enabled: true,
    is_read_only: false,
    filter: { query: 'source:nodejs' },
    processors: [{ type: 'status-remapper', name: 'Status', is_enabled: true, sources: ['status'] }],
    tags: ['team:shop'],
  }
}

export const logConfig: Operations = { ...pipelines, ...indexes, ...archives, ...metrics }
