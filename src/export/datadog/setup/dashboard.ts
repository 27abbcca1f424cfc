/** The dashboard "Agent activity by target". Counts go by entry, since an event may arrive twice. */
import { at, attributes, type EventAttribute, events, is, queries } from '../attributes.ts'
import { type Definition, type Json, ownMark } from './definition.ts'

export const dashboardTitle = 'Agent activity by target'

const { connection, decision, duration, eventId, identity, kind, masked, operation, outcome } = attributes
const variables = '$env $connection $identity'

interface Compute {
  readonly aggregation: 'count' | 'cardinality' | 'sum' | 'pc95'
  readonly metric?: string
}

const entries: Compute = { aggregation: 'cardinality', metric: at(eventId) }

function search(
  name: string,
  query: string,
  { compute, by = [] }: { readonly compute: Compute; readonly by?: readonly EventAttribute[] },
): Json {
  return {
    data_source: 'logs',
    name,
    indexes: ['*'],
    search: { query: `${query} ${variables}` },
    compute,
    group_by: by.map(each => ({ facet: at(each), limit: 25, sort: { ...compute, order: 'desc' } })),
  }
}

function widget(type: string, title: string, of: Json): Json {
  return { definition: { type, title, ...of } }
}

function value(
  title: string,
  query: string,
  { compute, alarming = false }: { readonly compute: Compute; readonly alarming?: boolean },
): Json {
  const request = {
    response_format: 'scalar',
    queries: [search('a', query, { compute })],
    formulas: [{ formula: 'a' }],
    ...(alarming
      ? {
          conditional_formats: [
            { comparator: '>', value: 0, palette: 'white_on_red' },
            { comparator: '<=', value: 0, palette: 'white_on_green' },
          ],
        }
      : {}),
  }
  return widget('query_value', title, { autoscale: true, precision: 0, requests: [request] })
}

function bars(title: string, query: string, by: EventAttribute): Json {
  return widget('timeseries', title, {
    show_legend: true,
    requests: [
      {
        response_format: 'timeseries',
        display_type: 'bars',
        queries: [search('a', query, { compute: entries, by: [by] })],
        formulas: [{ formula: 'a' }],
      },
    ],
  })
}

function top(title: string, query: string, by: readonly EventAttribute[]): Json {
  return widget('toplist', title, {
    requests: [
      {
        response_format: 'scalar',
        queries: [search('a', query, { compute: entries, by })],
        formulas: [{ formula: 'a', limit: { count: 25, order: 'desc' } }],
      },
    ],
  })
}

function targets(): Json {
  const by = [connection, identity]
  return widget('query_table', 'Target and identity: actions, p95 of duration, masked values', {
    requests: [
      {
        response_format: 'scalar',
        queries: [
          search('c', queries.actions, { compute: entries, by }),
          search('d', queries.actions, { compute: { aggregation: 'pc95', metric: at(duration) }, by }),
          search('m', queries.actions, { compute: { aggregation: 'sum', metric: at(masked) }, by }),
        ],
        formulas: [
          { formula: 'c', alias: 'actions', limit: { count: 50, order: 'desc' } },
          { formula: 'd', alias: 'p95' },
          { formula: 'm', alias: 'masked' },
        ],
      },
    ],
  })
}

function stream(): Json {
  const fields = ['timestamp', 'status_line', ...[identity, connection, operation, outcome, decision].map(at)]
  const query = `${events()} (${is(outcome, 'denied')} OR ${is(attributes.category, 'approval')} OR ${is(attributes.sensitivity, 'high', 'critical')})`
  return widget('list_stream', 'Denied, asked for, and on what is sensitive', {
    requests: [
      {
        response_format: 'event_list',
        columns: [...fields.map(field => ({ field, width: 'auto' })), { field: 'content', width: 'full' }],
        query: {
          data_source: 'logs_stream',
          query_string: query,
          indexes: [],
          storage: 'hot',
          sort: { column: 'timestamp', order: 'desc' },
        },
      },
    ],
  })
}

export function dashboardDefinition(): Definition {
  return {
    kind: 'dashboard',
    id: 'agent-activity',
    body: {
      title: dashboardTitle,
      description: ownMark,
      layout_type: 'ordered',
      reflow_type: 'auto',
      template_variables: [
        { name: 'env', prefix: 'env', defaults: ['*'] },
        { name: 'connection', prefix: at(connection), defaults: ['*'] },
        { name: 'identity', prefix: at(identity), defaults: ['*'] },
      ],
      widgets: [
        value('Actions', queries.actions, { compute: entries }),
        value('Identities', queries.actions, {
          compute: { aggregation: 'cardinality', metric: at(identity) },
        }),
        value('Denied', queries.denied, { compute: entries, alarming: true }),
        value('Ran without an expected approval', queries.withoutApproval, {
          compute: entries,
          alarming: true,
        }),
        bars('Actions by target', queries.actions, connection),
        bars('How they ended', queries.actions, outcome),
        top('Identities', queries.actions, [identity]),
        top('Operations by target', queries.actions, [connection, operation]),
        targets(),
        bars('Approvals', queries.approvals, kind),
        stream(),
      ],
    },
  }
}
