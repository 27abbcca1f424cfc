import {
  type Call,
  found,
  listOf,
  nothing,
  objectOf,
  ok,
  type Operations,
  page,
  Refusal,
  textOf,
} from '../operation.ts'
import type { Json } from '../wire.ts'

const layouts: ReadonlySet<unknown> = new Set(['ordered', 'free'])

/** Checks a definition and numbers its widgets. */
function defined(body: unknown, { state }: Call): Json {
  const sent = objectOf(body)
  const title = textOf(sent, 'title')
  if (!layouts.has(sent['layout_type'])) throw new Refusal(400, "Invalid layout_type: 'ordered' or 'free'")
  if (!Array.isArray(sent['widgets'])) throw new Refusal(400, 'Missing required attribute: widgets')
  const widgets = sent['widgets'].map(each => {
    const widget = objectOf(each)
    textOf(objectOf(widget['definition']), 'type')
    return { id: state.number(), ...widget }
  })
  return { description: null, notify_list: null, template_variables: null, ...sent, title, widgets }
}

function summary(dashboard: Json): Json {
  const names = [
    'id',
    'title',
    'description',
    'layout_type',
    'url',
    'is_read_only',
    'created_at',
    'modified_at',
    'author_handle',
  ]
  return Object.fromEntries(names.map(name => [name, dashboard[name]]))
}

const listShape = ({ items, ...list }: Json & { items: unknown[] }) => ({
  ...list,
  dashboard_count: items.length,
})

const keyOf = (item: unknown) => {
  const { id, type } = objectOf(item)
  return { id: String(id), type: String(type) }
}

const same = (a: { id: string; type: string }) => (b: { id: string; type: string }) =>
  a.id === b.id && a.type === b.type

export const dashboards: Operations = {
  'v1.listDashboards': ({ state, query }) => {
    const all = query.get('filter[deleted]') === 'true' ? state.deletedDashboards : state.dashboards
    return ok({ dashboards: page([...all.values()], query).map(summary) })
  },
  'v1.createDashboard': call => {
    const { state } = call
    const id = state.dashboardId()
    const time = state.timestamp()
    const author = state.author()
    const dashboard = {
      ...defined(call.body, call),
      id,
      url: `/dashboard/${id}`,
      author_handle: author.handle,
      author_name: author.name,
      created_at: time,
      modified_at: time,
      is_read_only: false,
    }
    state.dashboards.set(id, dashboard)
    return ok(dashboard)
  },
  'v1.getDashboard': ({ state, params }) => ok(found(state.dashboards, params['dashboard_id']!, 'Dashboard')),
  'v1.updateDashboard': call => {
    const { state, params } = call
    const id = params['dashboard_id']!
    const before = found(state.dashboards, id, 'Dashboard')
    const dashboard = { ...before, ...defined(call.body, call), id, modified_at: state.timestamp() }
    state.dashboards.set(id, dashboard)
    return ok(dashboard)
  },
  'v1.deleteDashboard': ({ state, params }) => {
    const id = params['dashboard_id']!
    state.deletedDashboards.set(id, found(state.dashboards, id, 'Dashboard'))
    state.dashboards.delete(id)
    return ok({ deleted_dashboard_id: id })
  },
  'v1.deleteDashboards': ({ state, body }) => {
    const ids = listOf(objectOf(body)['data']).map(each => textOf(objectOf(each), 'id'))
    for (const id of ids) state.deletedDashboards.set(id, found(state.dashboards, id, 'Dashboard'))
    for (const id of ids) state.dashboards.delete(id)
    return nothing
  },
  'v1.restoreDashboards': ({ state, body }) => {
    const ids = listOf(objectOf(body)['data']).map(each => textOf(objectOf(each), 'id'))
    for (const id of ids) state.dashboards.set(id, found(state.deletedDashboards, id, 'Deleted dashboard'))
    for (const id of ids) state.deletedDashboards.delete(id)
    return nothing
  },
  'v1.listDashboardLists': ({ state }) =>
    ok({ dashboard_lists: [...state.dashboardLists.values()].map(listShape) }),
  'v1.createDashboardList': ({ state, body }) => {
    const time = state.timestamp()
    const list = {
      id: state.number(),
      name: textOf(objectOf(body), 'name'),
      type: 'manual_dashboard_list',
      is_favorite: false,
      author: state.author(),
      created: time,
      modified: time,
      items: [],
    }
    state.dashboardLists.set(list.id, list)
    return ok(listShape(list))
  },
  'v1.getDashboardList': ({ state, params }) =>
    ok(listShape(found(state.dashboardLists, Number(params['list_id']), 'Dashboard list'))),
  'v1.updateDashboardList': ({ state, params, body }) => {
    const before = found(state.dashboardLists, Number(params['list_id']), 'Dashboard list')
    const list = { ...before, name: textOf(objectOf(body), 'name'), modified: state.timestamp() }
    state.dashboardLists.set(Number(params['list_id']), list)
    return ok(listShape(list))
  },
  'v1.deleteDashboardList': ({ state, params }) => {
    const id = Number(params['list_id'])
    found(state.dashboardLists, id, 'Dashboard list')
    state.dashboardLists.delete(id)
    return ok({ deleted_dashboard_list_id: id })
  },
  'v2.getDashboardListItems': ({ state, params }) => {
    const { items } = found(state.dashboardLists, Number(params['dashboard_list_id']), 'Dashboard list')
    return ok({
      dashboards: items.map(item => itemShape(item, state.dashboards.get(item.id))),
      total: items.length,
    })
  },
  'v2.createDashboardListItems': ({ state, params, body }) => {
    const { items } = found(state.dashboardLists, Number(params['dashboard_list_id']), 'Dashboard list')
    const added = listOf(objectOf(body)['dashboards'])
      .map(keyOf)
      .filter(item => !items.some(same(item)))
    for (const { id } of added) found(state.dashboards, id, 'Dashboard')
    items.push(...added)
    return ok({ added_dashboards_to_list: added })
  },
  'v2.updateDashboardListItems': ({ state, params, body }) => {
    const { items } = found(state.dashboardLists, Number(params['dashboard_list_id']), 'Dashboard list')
    const next = listOf(objectOf(body)['dashboards']).map(keyOf)
    for (const { id } of next) found(state.dashboards, id, 'Dashboard')
    items.splice(0, items.length, ...next)
    return ok({ dashboards: next })
  },
  'v2.deleteDashboardListItems': ({ state, params, body }) => {
    const { items } = found(state.dashboardLists, Number(params['dashboard_list_id']), 'Dashboard list')
    const gone = listOf(objectOf(body)['dashboards'])
      .map(keyOf)
      .filter(item => items.some(same(item)))
    items.splice(0, items.length, ...items.filter(item => !gone.some(same(item))))
    return ok({ deleted_dashboards_from_list: gone })
  },
}

function itemShape(item: { id: string; type: string }, dashboard: Json | undefined): Json {
  return { ...item, title: dashboard?.['title'] ?? '', url: dashboard?.['url'] ?? '', is_read_only: false }
}
