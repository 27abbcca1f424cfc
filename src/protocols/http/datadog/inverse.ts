/**
 * What sets a change to Datadog's resources back. Facts: a deleted dashboard can be restored under its id for 30 days;
 * a monitor that is made again gets another id; an update of a monitor merges, one of a dashboard replaces.
 */
import type { Unable } from '../../../gateway/reenact.ts'
import type { DoneChange, HttpOperation, InverseCall } from '../flavour.ts'
import { findOperation } from './catalogue.ts'

type Fields = Readonly<Record<string, unknown>>

/** Fields of a monitor that whoever makes one may set. */
const ofMonitors = ['name', 'type', 'query', 'message', 'tags', 'options', 'priority', 'restricted_roles']
/** Likewise of a dashboard. */
const ofDashboards = [
  'title',
  'description',
  'layout_type',
  'widgets',
  'notify_list',
  'template_variables',
  'template_variable_presets',
  'reflow_type',
  'tags',
  'restricted_roles',
]

const dashboards = '/api/v1/dashboard'
const noState = {
  unable:
    'the state before it was not recorded: only what a person was asked about, or what a rule with ' +
    '`record_before` lets pass, is read beforehand',
}

export function inverseOf(operation: HttpOperation, done: DoneChange): InverseCall | Unable {
  switch (operation.operation) {
    case 'v1.deleteDashboard':
      return restored([String(operation.params['dashboard_id'])])
    case 'v1.deleteDashboards':
      return restored(idsOf(done.sent))
    case 'v1.deleteMonitor':
      return madeAgain(done)
    case 'v1.updateMonitor':
      return merged(done)
    case 'v1.updateDashboard':
      return replaced(done)
    default:
      if (done.change?.kind === 'create') return removed(done)
      return done.method === 'PATCH' && done.change?.kind === 'update'
        ? patched(done)
        : { unable: `nothing is known that sets ${operation.operation} back` }
  }
}

function restored(ids: readonly string[]): InverseCall | Unable {
  if (ids.length === 0) return { unable: 'its request does not say which dashboards it deleted' }
  return {
    method: 'PATCH',
    path: dashboards,
    body: { data: ids.map(id => ({ id, type: 'dashboard' })) },
    warnings: ['a restored dashboard is in no list that it was in'],
  }
}

function idsOf(sent: unknown): string[] {
  const data = isFields(sent) ? sent['data'] : undefined
  if (!Array.isArray(data)) return []
  return data.flatMap((each: unknown) =>
    isFields(each) && typeof each['id'] === 'string' ? [each['id']] : [],
  )
}

function madeAgain({ before, path }: DoneChange): InverseCall | Unable {
  if (!isFields(before)) return noState
  const body = picked(before, ofMonitors)
  return {
    method: 'POST',
    path: '/api/v1/monitor',
    body,
    becomes: body,
    warnings: [
      'the monitor comes back under another id and without its history; widgets of dashboards may name the old id',
    ],
    replaces: {
      id: path.slice(path.lastIndexOf('/') + 1),
      lists: ['/api/v1/monitor', '/api/v1/slo', '/api/v2/downtime'],
    },
  }
}

function merged({ before, sent, path }: DoneChange): InverseCall | Unable {
  if (!isFields(before)) return noState
  if (!isFields(sent)) return { unable: 'its request is no JSON object' }
  const touched = Object.keys(sent).filter(name => ofMonitors.includes(name))
  const added = touched.filter(name => !(name in before))
  if (added.length > 0) return { unable: `it added ${added.join(', ')}, and a merge takes nothing away` }
  const body = picked(before, touched)
  return { method: 'PUT', path, body, becomes: { ...before, ...body }, warnings: [] }
}

function replaced({ before, path }: DoneChange): InverseCall | Unable {
  if (!isFields(before)) return noState
  const body = picked(before, ofDashboards)
  return { method: 'PUT', path, body, becomes: before, warnings: [] }
}

/** JSON:API: the attributes that were sent, as they were. */
function patched({ before, sent, path }: DoneChange): InverseCall | Unable {
  const [was, is] = [dataOf(before), dataOf(sent)]
  if (was === undefined) return noState
  if (is === undefined || !isFields(was['attributes']) || !isFields(is['attributes']))
    return { unable: 'its request is not of attributes' }
  const attributes = was['attributes']
  const touched = Object.keys(is['attributes'])
  const added = touched.filter(name => !(name in attributes))
  if (added.length > 0) return { unable: `it added ${added.join(', ')}, and a merge takes nothing away` }
  const { id, type } = was
  const body = { data: { id, type, attributes: picked(attributes, touched) } }
  return { method: 'PATCH', path, body, becomes: before, warnings: [] }
}

function removed({ change }: DoneChange): InverseCall | Unable {
  const place = change?.place
  if (place === undefined || findOperation('DELETE', place) === undefined)
    return { unable: 'nothing is known that deletes what it made' }
  return { method: 'DELETE', path: place, warnings: [] }
}

function dataOf(value: unknown): Fields | undefined {
  return isFields(value) && isFields(value['data']) ? value['data'] : undefined
}

function picked(from: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.filter(name => name in from).map(name => [name, from[name]]))
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
