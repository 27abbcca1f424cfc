import {
  attributesOf,
  found,
  nothing,
  objectOf,
  ok,
  type Operations,
  page,
  Refusal,
  textOf,
} from '../operation.ts'
import { hex } from '../state.ts'

const sloTypes: ReadonlySet<unknown> = new Set(['metric', 'monitor', 'time_slice'])
const seconds = (now: number) => Math.floor(now / 1000)

const slos: Operations = {
  'v1.listSLOs': ({ state, query }) =>
    ok({
      data: page([...state.slos.values()], query),
      errors: [],
      metadata: { page: { total_count: state.slos.size } },
    }),
  'v1.createSLO': ({ state, body }) => {
    const sent = objectOf(body)
    if (!sloTypes.has(sent['type'])) throw new Refusal(400, 'Invalid SLO type')
    if (!Array.isArray(sent['thresholds'])) throw new Refusal(400, 'Missing required attribute: thresholds')
    const now = seconds(state.now())
    const slo = {
      description: '',
      tags: [],
      ...sent,
      name: textOf(sent, 'name'),
      id: hex(`slo ${state.number()}`, 32),
      creator: state.author(),
      created_at: now,
      modified_at: now,
    }
    state.slos.set(slo.id, slo)
    return ok({ data: [slo], errors: [], metadata: {} })
  },
  'v1.getSLO': ({ state, params }) => ok({ data: found(state.slos, params['slo_id']!, 'SLO'), errors: [] }),
  'v1.updateSLO': ({ state, params, body }) => {
    const id = params['slo_id']!
    const before = found(state.slos, id, 'SLO')
    const slo = { ...before, ...objectOf(body), id, modified_at: seconds(state.now()) }
    state.slos.set(id, slo)
    return ok({ data: [slo], errors: [], metadata: {} })
  },
  'v1.deleteSLO': ({ state, params }) => {
    const id = params['slo_id']!
    found(state.slos, id, 'SLO')
    state.slos.delete(id)
    return ok({ data: [id], errors: {} })
  },
}

const notebooks: Operations = {
  'v1.listNotebooks': ({ state, query }) =>
    ok({
      data: page([...state.notebooks.values()], query),
      meta: { page: { total_count: state.notebooks.size, total_filtered_count: state.notebooks.size } },
    }),
  'v1.createNotebook': ({ state, body }) => {
    const sent = attributesOf(body)
    const time = state.timestamp()
    const id = state.number()
    const cells = Array.isArray(sent['cells']) ? sent['cells'] : []
    const notebook = {
      id,
      type: 'notebooks',
      attributes: {
        status: 'published',
        ...sent,
        name: textOf(sent, 'name'),
        time: objectOf(sent['time']),
        cells: cells.map(cell => ({ id: hex(`cell ${state.number()}`, 8), ...objectOf(cell) })),
        author: { ...state.author(), created_at: time, disabled: false, status: 'Active', verified: true },
        created: time,
        modified: time,
      },
    }
    state.notebooks.set(id, notebook)
    return ok({ data: notebook })
  },
  'v1.getNotebook': ({ state, params }) =>
    ok({ data: found(state.notebooks, Number(params['notebook_id']), 'Notebook') }),
  'v1.updateNotebook': ({ state, params, body }) => {
    const id = Number(params['notebook_id'])
    const before = found(state.notebooks, id, 'Notebook')
    const old = objectOf(before['attributes'])
    const notebook = { ...before, attributes: { ...old, ...attributesOf(body), modified: state.timestamp() } }
    state.notebooks.set(id, notebook)
    return ok({ data: notebook })
  },
  'v1.deleteNotebook': ({ state, params }) => {
    const id = Number(params['notebook_id'])
    found(state.notebooks, id, 'Notebook')
    state.notebooks.delete(id)
    return nothing
  },
}

const webhooks: Operations = {
  'v1.createWebhooksIntegration': ({ state, body }) => {
    const sent = objectOf(body)
    const name = textOf(sent, 'name')
    if (state.webhooks.has(name)) throw new Refusal(409, 'Webhook already exists')
    const webhook = {
      payload: null,
      custom_headers: null,
      encode_as: 'json',
      ...sent,
      url: textOf(sent, 'url'),
    }
    state.webhooks.set(name, webhook)
    return ok(webhook, 201)
  },
  'v1.getWebhooksIntegration': ({ state, params }) =>
    ok(found(state.webhooks, params['webhook_name']!, 'Webhook')),
  'v1.updateWebhooksIntegration': ({ state, params, body }) => {
    const name = params['webhook_name']!
    const webhook = { ...found(state.webhooks, name, 'Webhook'), ...objectOf(body) }
    state.webhooks.set(name, webhook)
    return ok(webhook)
  },
  'v1.deleteWebhooksIntegration': ({ state, params }) => {
    const name = params['webhook_name']!
    found(state.webhooks, name, 'Webhook')
    state.webhooks.delete(name)
    return { status: 200 }
  },
}

const hosts: Operations = {
  'v1.listHosts': ({ state, query }) => {
    const filter = query.get('filter') ?? ''
    const all = [...state.hosts.values()].filter(host => JSON.stringify(host).includes(filter))
    const some = page(all, query)
    return ok({ host_list: some, total_matching: all.length, total_returned: some.length })
  },
  'v1.getHostTotals': ({ state }) => ok({ total_active: state.hosts.size, total_up: state.hosts.size }),
  'v1.muteHost': ({ state, params, body }) => {
    const name = params['host_name']!
    state.hosts.set(name, { ...found(state.hosts, name, 'Host'), is_muted: true })
    const message = objectOf(body ?? {})['message']
    return ok({ action: 'Muted', hostname: name, ...(message === undefined ? {} : { message }) })
  },
  'v1.unmuteHost': ({ state, params }) => {
    const name = params['host_name']!
    state.hosts.set(name, { ...found(state.hosts, name, 'Host'), is_muted: false })
    return ok({ action: 'Unmuted', hostname: name })
  },
}

/** Everything that is small. */
export const others: Operations = {
  ...slos,
  ...notebooks,
  ...webhooks,
  ...hosts,
  'v1.submitServiceCheck': () => ok({ status: 'ok' }, 202),
  'v1.getIPRanges': ({ state }) => {
    const prefixes = { prefixes_ipv4: ['192.0.2.0/24'], prefixes_ipv6: ['2001:db8::/32'] }
    return ok({
      version: 1,
      modified: state.timestamp(),
      agents: prefixes,
      api: prefixes,
      logs: prefixes,
      webhooks: prefixes,
    })
  },
}
