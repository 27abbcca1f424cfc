/** A small organisation to practise on: a shop with a few services, the people who run it, and secrets to mask. */
import { hex, PracticeState, uuid } from './state.ts'
import { mainIndex, nodePipeline } from './operations/log-config.ts'
import type { Json } from './wire.ts'

const permissions: readonly (readonly [string, string, string])[] = [
  ['dashboards_read', 'View dashboards', 'Dashboards'],
  ['dashboards_write', 'Create and change dashboards', 'Dashboards'],
  ['monitors_read', 'View monitors', 'Monitors'],
  ['monitors_write', 'Create, change and mute monitors', 'Monitors'],
  ['logs_read_data', 'Read log data', 'Log Management'],
  ['user_access_manage', 'Manage users and roles', 'Access Management'],
  ['api_keys_read', 'View API keys', 'API and Application Keys'],
  ['api_keys_write', 'Create and change API keys', 'API and Application Keys'],
]

/** The state of a new practice organisation. `now` gives milliseconds since the epoch. */
export function seededState(now: () => number): PracticeState {
  const state = new PracticeState(now)
  for (const [name, description, group] of permissions)
    state.permissions.set(uuid(`permission ${name}`), { name, description, group })
  const may = (...names: string[]) => names.map(name => uuid(`permission ${name}`))
  const admin = state.addRole('Datadog Admin Role', [...state.permissions.keys()])
  const standard = state.addRole(
    'Datadog Standard Role',
    may('dashboards_read', 'dashboards_write', 'monitors_read', 'monitors_write', 'logs_read_data'),
  )
  const reader = state.addRole(
    'Datadog Read Only Role',
    may('dashboards_read', 'monitors_read', 'logs_read_data'),
  )
  const ana = state.addUser('ana@example.com', { name: 'Ana', title: 'Platform engineer', roles: [admin.id] })
  state.addUser('bo@example.com', { name: 'Bo', title: 'Site reliability engineer', roles: [standard.id] })
  state.addUser('cam@example.com', { name: 'Cam', title: 'Security analyst', roles: [standard.id] })
  state.addUser('dee@example.com', { name: 'Dee', title: 'Support lead', roles: [reader.id] })
  state.addUser('deploys@example.com', { name: 'Deploys', service: true, roles: [reader.id] })
  state.currentUser = ana.id
  for (const name of ['Agents in production', 'Browser tests', 'Terraform']) state.addKey('api', name)
  state.addKey('application', 'Terraform')
  state.addKey('application', 'Read-only reports', ['dashboards_read', 'monitors_read'])
  seedHosts(state)
  seedDashboards(state)
  seedMonitors(state)
  seedIntegrations(state)
  seedTelemetry(state)
  state.logIndexes.set('main', mainIndex())
  const pipeline = nodePipeline()
  state.logPipelines.set(pipeline.id, pipeline)
  return state
}

const fleet = ['web-1', 'web-2', 'checkout-1', 'orders-db-1']

function seedHosts(state: PracticeState): void {
  fleet.forEach((name, i) => {
    state.hosts.set(name, {
      id: 5000 + i,
      name,
      host_name: name,
      aliases: [`${name}.internal.example.com`],
      apps: ['agent'],
      is_muted: false,
      last_reported_time: Math.floor(state.now() / 1000),
      sources: ['agent'],
      tags_by_source: { Datadog: ['env:prod', `host:${name}`] },
      up: true,
      metrics: { cpu: 12.5 + i, iowait: 0.1, load: 0.4 },
    })
  })
}

function timeseries(title: string, query: string): Json {
  return {
    definition: {
      type: 'timeseries',
      title,
      requests: [
        {
          display_type: 'line',
          response_format: 'timeseries',
          formulas: [{ formula: 'query1' }],
          queries: [{ data_source: 'metrics', name: 'query1', query }],
        },
      ],
    },
  }
}

function note(content: string): Json {
  return { definition: { type: 'note', content, background_color: 'white', font_size: '14' } }
}

function seedDashboards(state: PracticeState): void {
  const author = state.author()
  const add = (title: string, description: string, widgets: Json[]) => {
    const id = state.dashboardId()
    state.dashboards.set(id, {
      id,
      title,
      description,
      layout_type: 'ordered',
      url: `/dashboard/${id}`,
      author_handle: author.handle,
      author_name: author.name,
      created_at: '2026-03-02T08:30:00.000000+00:00',
      modified_at: '2026-10-12T14:05:00.000000+00:00',
      is_read_only: false,
      notify_list: [],
      template_variables: [{ name: 'env', prefix: 'env', default: 'prod' }],
      widgets: widgets.map(widget => ({ id: state.number(), ...widget })),
    })
    return id
  }
  const ids = [
    add('Shop: golden signals', 'Latency, traffic, errors, saturation', [
      note('Runbook: ask in #shop-oncall before changing thresholds.'),
      timeseries('CPU by host', 'avg:system.cpu.user{env:prod} by {host}'),
    ]),
    add('Checkout', 'Owned by payments@example.com', [
      timeseries('Requests', 'sum:shop.checkout.requests{env:prod}'),
      timeseries('Errors', 'sum:shop.checkout.errors{env:prod}'),
    ]),
    add('Orders database', 'PostgreSQL of the orders service', [
      timeseries('Connections', 'avg:postgresql.connections{env:prod}'),
    ]),
  ]
  const time = '2026-03-02T08:30:00.000000+00:00'
  const id = state.number()
  state.dashboardLists.set(id, {
    id,
    name: 'Shop',
    type: 'manual_dashboard_list',
    is_favorite: true,
    author,
    created: time,
    modified: time,
    items: ids.map(dashboard => ({ id: dashboard, type: 'custom_timeboard' })),
  })
}

function seedMonitors(state: PracticeState): void {
  const monitors: readonly (readonly [name: string, type: string, query: string, overall: string])[] = [
    ['CPU is high', 'query alert', 'avg(last_5m):avg:system.cpu.user{env:prod} by {host} > 90', 'OK'],
    [
      'Checkout errors',
      'query alert',
      'sum(last_5m):sum:shop.checkout.errors{env:prod}.as_count() > 50',
      'Alert',
    ],
    [
      'Failed sign-ins',
      'log alert',
      'logs("service:auth status:warn").index("*").rollup("count").last("5m") > 100',
      'OK',
    ],
    [
      'Orders database is down',
      'service check',
      '"postgres.can_connect".over("env:prod").by("host").last(4).count_by_status()',
      'OK',
    ],
  ]
  for (const [name, type, query, overall] of monitors) {
    const id = state.number()
    state.monitors.set(id, {
      id,
      name,
      type,
      query,
      message: '{{#is_alert}}Look at the runbook.{{/is_alert}} @oncall@example.com @webhook-pager',
      tags: ['team:shop', 'env:prod'],
      priority: 2,
      options: { include_tags: true, notify_audit: false, new_host_delay: 300, silenced: {} },
      multi: query.includes(' by {'),
      creator: state.author(),
      overall_state: overall,
      restricted_roles: null,
      created: '2026-03-02T08:30:00.000000+00:00',
      modified: '2026-10-12T14:05:00.000000+00:00',
      deleted: null,
    })
  }
}

function seedIntegrations(state: PracticeState): void {
  state.webhooks.set('pager', {
    name: 'pager',
    url: `https://hooks.example.com/services/${hex('webhook path', 24)}`,
    encode_as: 'json',
    payload: '{"text": "$EVENT_TITLE"}',
    custom_headers: JSON.stringify({ Authorization: `Bearer ${hex('webhook token', 40)}` }),
  })
  const slo = hex('slo availability', 32)
  state.slos.set(slo, {
    id: slo,
    name: 'Checkout availability',
    description: 'Requests without an error',
    type: 'metric',
    query: {
      numerator:
        'sum:shop.checkout.requests{env:prod}.as_count() - sum:shop.checkout.errors{env:prod}.as_count()',
      denominator: 'sum:shop.checkout.requests{env:prod}.as_count()',
    },
    thresholds: [
      { target: 99.9, target_display: '99.9', timeframe: '30d', warning: 99.95, warning_display: '99.95' },
    ],
    tags: ['team:shop'],
    creator: state.author(),
    created_at: 1_772_440_200,
    modified_at: 1_772_440_200,
  })
}

function seedTelemetry(state: PracticeState): void {
  const now = state.now()
  const people = [...state.users.values()].filter(user => !user.service)
  for (let i = 0; i < 30; i++) {
    const user = people[i % people.length]!
    const failed = i % 6 === 5
    state.seededLogs.push({
      timestamp: now - (30 - i) * 60_000,
      hostname: fleet[i % fleet.length],
      service: 'auth',
      ddsource: 'nodejs',
      ddtags: 'env:prod,team:shop',
      status: failed ? 'warn' : 'info',
      message: `${failed ? 'Sign-in failed' : 'Signed in'}: ${user.email} from 203.0.113.${i + 1}`,
      usr: { id: user.id, email: user.email },
      network: { client: { ip: `203.0.113.${i + 1}` } },
      duration: 12_000_000 + i,
    })
    const time = Math.floor(now / 1000) - (30 - i) * 60
    fleet.forEach((host, at) => {
      const tags = ['env:prod', `host:${host}`]
      state.points.push({ metric: 'system.cpu.user', tags, time, value: 20 + at * 5 + (i % 7) })
    })
    state.points.push(
      { metric: 'shop.checkout.requests', tags: ['env:prod'], time, value: 400 + i },
      { metric: 'shop.checkout.errors', tags: ['env:prod'], time, value: failed ? 9 : 1 },
    )
  }
  state.events.push({
    id: state.number(),
    uid: uuid('event deploy'),
    title: 'Deployed checkout 2.14.0',
    text: 'By deploys@example.com',
    tags: ['service:checkout', 'env:prod'],
    alert_type: 'info',
    priority: 'normal',
    host: 'checkout-1',
    date_happened: Math.floor(now / 1000) - 1200,
  })
}
