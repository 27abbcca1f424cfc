import {
  type Call,
  found,
  nothing,
  objectOf,
  ok,
  type Operations,
  page,
  Refusal,
  textOf,
} from '../operation.ts'
import type { Json } from '../wire.ts'

const types: ReadonlySet<unknown> = new Set([
  'composite',
  'event alert',
  'event-v2 alert',
  'log alert',
  'metric alert',
  'process alert',
  'query alert',
  'rum alert',
  'service check',
  'slo alert',
  'synthetics alert',
  'trace-analytics alert',
  'audit alert',
  'error-tracking alert',
])

/** Checks what Datadog checks first: a known type and a query that ends in a comparison, or is a composite. */
function checked(body: unknown): Json {
  const sent = objectOf(body)
  if (!types.has(sent['type'])) throw new Refusal(400, "The value provided for parameter 'type' is invalid")
  const query = textOf(sent, 'query')
  const free = sent['type'] === 'composite' || sent['type'] === 'service check'
  if (!free && !/[<>]=?\s*-?[\d.]+\s*$/.test(query))
    throw new Refusal(400, "The value provided for parameter 'query' is invalid")
  return sent
}

function monitorOf({ state, params }: Call): Json & { id: number } {
  return found(state.monitors, Number(params['monitor_id']), 'Monitor')
}

function searchShape(monitor: Json): Json {
  const { id, name, type, query, tags, creator, overall_state } = monitor
  return {
    id,
    name,
    type,
    query,
    tags,
    creator,
    status: overall_state,
    metrics: [],
    scopes: [],
    notifications: [],
    org_id: 1,
  }
}

const downtimeShape = (id: string, downtime: Json) => ({ id, type: 'downtime', attributes: downtime })

const counted = (values: readonly unknown[]) =>
  [...new Set(values)].map(name => ({ name, count: values.filter(each => each === name).length }))

export const monitors: Operations = {
  'v1.listMonitors': ({ state, query }) => {
    const name = query.get('name')?.toLowerCase()
    const tags = query.get('monitor_tags')?.split(',') ?? []
    const matching = [...state.monitors.values()].filter(
      monitor =>
        (name === undefined || String(monitor['name']).toLowerCase().includes(name)) &&
        tags.every(tag => (monitor['tags'] as string[]).includes(tag)),
    )
    return ok(query.has('page') || query.has('page_size') ? page(matching, query) : matching)
  },
  'v1.createMonitor': ({ state, body }) => {
    const sent = checked(body)
    const time = state.timestamp()
    const monitor = {
      name: sent['query'],
      message: '',
      tags: [],
      options: {},
      priority: null,
      ...sent,
      id: state.number(),
      multi: /\bby\s*\{/.test(String(sent['query'])),
      creator: state.author(),
      overall_state: 'No Data',
      restricted_roles: null,
      created: time,
      modified: time,
      deleted: null,
    }
    state.monitors.set(monitor.id, monitor)
    return ok(monitor)
  },
  'v1.getMonitor': call => ok(monitorOf(call)),
  'v1.updateMonitor': call => {
    const before = monitorOf(call)
    const monitor = { ...before, ...objectOf(call.body), id: before.id, modified: call.state.timestamp() }
    checked(monitor)
    call.state.monitors.set(before.id, monitor)
    return ok(monitor)
  },
  'v1.deleteMonitor': call => {
    const { id } = monitorOf(call)
    call.state.monitors.delete(id)
    return ok({ deleted_monitor_id: id })
  },
  'v1.validateMonitor': ({ body }) => {
    checked(body)
    return ok({})
  },
  'v1.validateExistingMonitor': call => {
    checked({ ...monitorOf(call), ...objectOf(call.body) })
    return ok({})
  },
  'v1.checkCanDeleteMonitor': ({ state, query }) => {
    const ids = (query.get('monitor_ids') ?? '').split(',').map(Number)
    for (const id of ids) found(state.monitors, id, 'Monitor')
    return ok({ data: { ok: ids }, errors: null })
  },
  'v1.searchMonitors': ({ state, query }) => {
    const text = (query.get('query') ?? '').toLowerCase()
    const all = [...state.monitors.values()].filter(each => JSON.stringify(each).toLowerCase().includes(text))
    const size = Number(query.get('per_page') ?? 30)
    return ok({
      monitors: page(all, query).map(searchShape),
      metadata: {
        page: Number(query.get('page') ?? 0),
        per_page: size,
        page_count: Math.ceil(all.length / size),
        total_count: all.length,
      },
      counts: {
        status: counted(all.map(each => each['overall_state'])),
        type: counted(all.map(each => each['type'])),
        tag: counted(all.flatMap(each => each['tags'] as string[])),
        muted: [{ name: false, count: all.length }],
      },
    })
  },
  'POST /api/v1/monitor/{monitor_id}/mute': call => ok(silenced(call, true)),
  'POST /api/v1/monitor/{monitor_id}/unmute': call => ok(silenced(call, false)),
  'v2.listDowntimes': ({ state, query }) => {
    const all = [...state.downtimes]
    return ok({
      data: page(all, query).map(([id, downtime]) => downtimeShape(id, downtime)),
      meta: { page: { total_filtered_count: all.length } },
    })
  },
  'v2.createDowntime': ({ state, body }) => {
    const sent = objectOf(objectOf(objectOf(body)['data'])['attributes'])
    const time = state.timestamp()
    const id = `00000000-0000-1234-0000-${String(state.number()).padStart(12, '0')}`
    const schedule = objectOf(sent['schedule'] ?? {})
    const downtime = {
      display_timezone: 'UTC',
      message: null,
      mute_first_recovery_notification: false,
      notify_end_states: ['alert', 'no data', 'warn'],
      notify_end_types: ['expired'],
      ...sent,
      scope: textOf(sent, 'scope'),
      monitor_identifier: objectOf(sent['monitor_identifier']),
      schedule: { start: time, end: null, ...schedule },
      status: 'active',
      created: time,
      modified: time,
    }
    state.downtimes.set(id, downtime)
    return ok({ data: downtimeShape(id, downtime) })
  },
  'v2.getDowntime': ({ state, params }) => {
    const id = params['downtime_id']!
    return ok({ data: downtimeShape(id, found(state.downtimes, id, 'Downtime')) })
  },
  'v2.updateDowntime': ({ state, params, body }) => {
    const id = params['downtime_id']!
    const before = found(state.downtimes, id, 'Downtime')
    const sent = objectOf(objectOf(objectOf(body)['data'])['attributes'])
    const downtime = { ...before, ...sent, modified: state.timestamp() }
    state.downtimes.set(id, downtime)
    return ok({ data: downtimeShape(id, downtime) })
  },
  'v2.cancelDowntime': ({ state, params }) => {
    const id = params['downtime_id']!
    const before = found(state.downtimes, id, 'Downtime')
    const time = state.timestamp()
    state.downtimes.set(id, { ...before, status: 'canceled', canceled: time, modified: time })
    return nothing
  },
}

/** v1's muting, which the client no longer has and old clients still use. */
function silenced(call: Call, muted: boolean): Json {
  const before = monitorOf(call)
  const options = { ...objectOf(before['options'] ?? {}), silenced: muted ? { '*': null } : {} }
  const monitor = { ...before, options, modified: call.state.timestamp() }
  call.state.monitors.set(before.id, monitor)
  return monitor
}
