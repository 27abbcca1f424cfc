/** Where each kind of resource is in Datadog's API, and how what is ours is told from what is not. */
import type { DatadogApi } from '../api.ts'
import { dashboardTitle } from './dashboard.ts'
import { type Definition, idTag, type Json, ownMark, ownTag, type ResourceKind } from './definition.ts'
import { metricPrefix } from './logs.ts'

/** A resource of ours as it is at Datadog. */
export interface Found {
  readonly kind: ResourceKind
  /** Which definition it belongs to. */
  readonly id: string
  /** Datadog's own id, for its path. */
  readonly remote: string
  /** In the shape of a definition's body. */
  readonly body: Json
}

export interface KindOfResource {
  readonly kind: ResourceKind
  readonly create: string
  readonly path: (remote: string) => string
  readonly update: 'PUT' | 'PATCH'
  /** What is ours, whatever definition it belongs to. `names`: of the definitions that find theirs by name. */
  list(api: DatadogApi, names: ReadonlySet<string>): Promise<Found[]>
  /** The body of an update, where it is not that of the creation. */
  updateBody?(body: Json): Json
}

const isOurs = (each: Json) => strings(each['tags']).includes(ownTag)

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(each => typeof each === 'string') : []
}

/** Of the tag `sallyport_id:<id>`. */
function taggedId(each: Json): string {
  const prefix = idTag('')
  return (
    strings(each['tags'])
      .find(tag => tag.startsWith(prefix))
      ?.slice(prefix.length) ?? ''
  )
}

function listed(answer: unknown, member?: string): Json[] {
  const value = member === undefined ? answer : (answer as Json | undefined)?.[member]
  return Array.isArray(value) ? (value as Json[]) : []
}

const text = (value: unknown) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/** One is made at the address of the list, and changed and removed below it. */
function at(create: string): Pick<KindOfResource, 'create' | 'path'> {
  return { create, path: remote => `${create}/${encodeURIComponent(remote)}` }
}

/** Every page of a list that is asked for by page number, at most a hundred of them. */
async function paged(ask: (page: number) => Promise<Json[]>, size: number): Promise<Json[]> {
  const all: Json[] = []
  for (let page = 0; page < 100; page++) {
    const found = await ask(page)
    all.push(...found)
    if (found.length < size) break
  }
  return all
}

const pipelines: KindOfResource = {
  kind: 'pipeline',
  ...at('/api/v1/logs/config/pipelines'),
  update: 'PUT',
  async list(api) {
    return listed(await api.call('GET', this.create))
      .filter(isOurs)
      .map(body => ({ kind: 'pipeline', id: 'sallyport', remote: text(body['id']), body }))
  },
}

const indexes: KindOfResource = {
  kind: 'index',
  ...at('/api/v1/logs/config/indexes'),
  update: 'PUT',
  async list(api) {
    return listed(await api.call('GET', this.create), 'indexes')
      .filter(isOurs)
      .map(body => ({ kind: 'index', id: text(body['name']), remote: text(body['name']), body }))
  },
  // The name stands in the path. A limit that is no longer wanted has to be said so.
  updateBody: ({ name: _name, ...body }) =>
    'daily_limit' in body ? body : { ...body, disable_daily_limit: true },
}

const archives: KindOfResource = {
  kind: 'archive',
  ...at('/api/v2/logs/config/archives'),
  update: 'PUT',
  async list(api) {
    return listed(await api.call('GET', this.create), 'data')
      .filter(each => {
        const of = each['attributes'] as Json
        return of['name'] === 'Sallyport' && strings(of['rehydration_tags']).includes(ownTag)
      })
      .map(data => ({ kind: 'archive', id: 'sallyport', remote: text(data['id']), body: { data } }))
  },
}

const logMetrics: KindOfResource = {
  kind: 'log-metric',
  ...at('/api/v2/logs/config/metrics'),
  update: 'PATCH',
  async list(api, names) {
    return listed(await api.call('GET', this.create), 'data')
      .filter(each => names.has(text(each['id'])) && text(each['id']).startsWith(metricPrefix))
      .map(data => ({ kind: 'log-metric', id: text(data['id']), remote: text(data['id']), body: { data } }))
  },
  // What is computed can't be changed, and is not sent.
  updateBody(body) {
    const { attributes } = body['data'] as { attributes: Json }
    const { compute: _, ...changeable } = attributes
    return { data: { type: 'logs_metrics', attributes: changeable } }
  },
}

const dashboards: KindOfResource = {
  kind: 'dashboard',
  ...at('/api/v1/dashboard'),
  update: 'PUT',
  async list(api) {
    const size = 100
    const all = await paged(
      async page =>
        listed(await api.call('GET', `${this.create}?count=${size}&start=${page * size}`), 'dashboards'),
      size,
    )
    const ours = all.filter(
      each => each['title'] === dashboardTitle || text(each['description']).includes(ownMark),
    )
    const whole = await Promise.all(ours.map(each => api.call('GET', this.path(text(each['id'])))))
    // A dashboard of somebody else may have the same title: the mark decides.
    return (whole as Json[])
      .filter(each => text(each['description']).includes(ownMark))
      .map(body => ({ kind: 'dashboard', id: 'agent-activity', remote: text(body['id']), body }))
  },
}

const monitors: KindOfResource = {
  kind: 'monitor',
  ...at('/api/v1/monitor'),
  update: 'PUT',
  async list(api) {
    const size = 100
    const path = `${this.create}?monitor_tags=${encodeURIComponent(ownTag)}&page_size=${size}`
    const all = await paged(async page => listed(await api.call('GET', `${path}&page=${page}`)), size)
    return all
      .filter(isOurs)
      .map(body => ({ kind: 'monitor', id: taggedId(body), remote: text(body['id']), body }))
  },
}

const securityRules: KindOfResource = {
  kind: 'security-rule',
  ...at('/api/v2/security_monitoring/rules'),
  update: 'PUT',
  async list(api) {
    const size = 100
    const all = await paged(
      async page =>
        listed(await api.call('GET', `${this.create}?page[size]=${size}&page[number]=${page}`), 'data'),
      size,
    )
    return all
      .filter(each => isOurs(each) && each['isDefault'] !== true)
      .map(body => ({ kind: 'security-rule', id: taggedId(body), remote: text(body['id']), body }))
  },
  // Of what kind a rule is can't be changed, and is not sent.
  updateBody: ({ type: _type, ...body }) => body,
}

/** In the order in which they are made; removed in the other. */
export const kinds: readonly KindOfResource[] = [
  pipelines,
  indexes,
  archives,
  logMetrics,
  dashboards,
  monitors,
  securityRules,
]

export function kindOf(kind: ResourceKind): KindOfResource {
  return kinds.find(each => each.kind === kind)!
}

/** In words for people: `monitor heartbeat-missing`. */
export function nameOf({ kind, id }: Pick<Definition, 'kind' | 'id'>): string {
  return `${kind} ${id}`
}
