/** What an agent does with the official client in these tests, and ways to point that client at a gateway. */
import { client, v1, v2 } from '@datadog/datadog-api-client'

export type ClientConfig = client.Configuration

/** Straight to Datadog, with Datadog's own keys. */
export function direct(
  url: string,
  keys: { readonly apiKey: string; readonly appKey: string },
): ClientConfig {
  return client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(url, {}),
    authMethods: { apiKeyAuth: keys.apiKey, appKeyAuth: keys.appKey },
  })
}

class WithToken implements client.HttpLibrary {
  readonly #inner = new client.IsomorphicFetchHttpLibrary()
  readonly #token: string

  constructor(token: string) {
    this.#token = token
  }

  send(request: client.RequestContext): Promise<client.ResponseContext> {
    request.setHeaderParam('Authorization', `Bearer ${this.#token}`)
    return this.#inner.send(request)
  }
}

/** The gateway's token on every call, as a bearer. */
export function byBearer(base: string, token: string): ClientConfig {
  return client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(base, {}),
    httpApi: new WithToken(token),
  })
}

/** The gateway's token where Datadog's API key goes. */
export function byApiKey(base: string, token: string): ClientConfig {
  return client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(base, {}),
    authMethods: { apiKeyAuth: token, appKeyAuth: 'leftover-application-key' },
  })
}

/** The gateway's token as OAuth access token: what Datadog takes an API key alone for is sent without any. */
export function byAccessToken(base: string, token: string): ClientConfig {
  return client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(base, {}),
    authMethods: { AuthZ: { accessToken: token } },
  })
}

/** No base URL at all: the client's own server variables name the host, so the gateway needs a listener for it. */
export function byServerVariables(host: string, token: string): ClientConfig {
  const config = client.createConfiguration({ serverIndex: 1, authMethods: { apiKeyAuth: token } })
  config.setServerVariables({ name: host, protocol: 'http' })
  return config
}

export const storyTime = Date.parse('2026-11-20T12:00:00Z')
const seconds = storyTime / 1000

/** Everything in the order of `stories`; gives what each step was answered, for comparison. */
export async function tell(config: ClientConfig): Promise<Record<string, unknown>> {
  const told: Record<string, unknown> = {}
  for (const [name, story] of Object.entries(stories)) told[name] = await story(config)
  return told
}

export const stories: Record<string, (config: ClientConfig) => Promise<unknown[]>> = {
  async dashboards(config) {
    const api = new v1.DashboardsApi(config)
    const parts = {
      layoutType: 'ordered' as const,
      widgets: [{ definition: { type: 'note' as const, content: 'ünïcode 💥 and a quote "' } }],
    }
    const made = await api.createDashboard({ body: { title: 'Latency', ...parts } })
    const dashboardId = made.id!
    return [
      made,
      await api.getDashboard({ dashboardId }),
      await api.updateDashboard({ dashboardId, body: { title: 'Renamed', ...parts } }),
      await api.listDashboards({}),
      await api.deleteDashboard({ dashboardId }),
      await failure(() => api.getDashboard({ dashboardId })),
    ]
  },
  async monitors(config) {
    const api = new v1.MonitorsApi(config)
    const query = 'avg(last_5m):avg:x{*} > 1'
    const made = await api.createMonitor({ body: { name: 'Hot', type: 'query alert', query, tags: ['a:b'] } })
    const monitorId = made.id!
    return [
      made,
      await api.updateMonitor({ monitorId, body: { name: 'Hotter' } }),
      await api.getMonitor({ monitorId }),
      await api.listMonitors({ monitorTags: 'a:b' }),
      await api.searchMonitors({ query: 'hotter' }),
      await failure(() =>
        api.validateMonitor({ body: { name: 'x', type: 'query alert', query: 'nonsense' } }),
      ),
      await api.deleteMonitor({ monitorId }),
    ]
  },
  async metrics(config) {
    const [one, two] = [new v1.MetricsApi(config), new v2.MetricsApi(config)]
    const series = { metric: 'test.made', tags: ['env:test'] }
    const points = [{ timestamp: seconds - 30, value: 8 }]
    return [
      await one.submitMetrics({ body: { series: [{ ...series, points: [[seconds - 60, 4]] }] } }),
      await two.submitMetrics({
        body: { series: [{ ...series, type: 3, points }] },
        contentEncoding: 'gzip',
      }),
      await one.queryMetrics({ from: seconds - 600, to: seconds + 60, query: 'max:test.made{env:test}' }),
      await one.listMetrics({ q: 'metrics:test.' }),
    ]
  },
  async logs(config) {
    const api = new v2.LogsApi(config)
    const log = { ddsource: 'test', hostname: 'h', service: 'maker', message: 'made by a test' }
    return [
      await api.submitLog({ body: [log, { ...log, message: 'another' }], contentEncoding: 'gzip' }),
      await api.listLogs({ body: { filter: { query: 'service:maker', from: 'now-1h', to: 'now' } } }),
      await api.listLogsGet({ filterQuery: 'service:maker', pageLimit: 1 }),
    ]
  },
  async events(config) {
    const api = new v1.EventsApi(config)
    const { event } = await api.createEvent({ body: { title: 'Deployed', text: 'test', tags: ['a:b'] } })
    return [
      await api.getEvent({ eventId: event!.id! }),
      await api.listEvents({ start: seconds - 600, end: seconds + 600 }),
      await new v2.EventsApi(config).searchEvents({ body: { filter: { query: 'deployed' } } }),
    ]
  },
  async users(config) {
    const api = new v2.UsersApi(config)
    const email = 'new@example.com'
    const made = await api.createUser({
      body: { data: { type: 'users', attributes: { email, name: 'New' } } },
    })
    const userId = made.data!.id!
    const attributes = { name: 'Newer' }
    return [
      made,
      await api.updateUser({ userId, body: { data: { id: userId, type: 'users', attributes } } }),
      await api.getUser({ userId }),
      await api.listUsers({ filter: 'example.com' }),
      await api.disableUser({ userId }),
    ]
  },
  async keys(config) {
    const api = new v2.KeyManagementApi(config)
    const made = await api.createAPIKey({
      body: { data: { type: 'api_keys', attributes: { name: 'Made' } } },
    })
    const apiKeyId = made.data!.id!
    return [
      made,
      await api.getAPIKey({ apiKeyId }),
      await api.listAPIKeys({}),
      await api.updateAPIKey({
        apiKeyId,
        body: { data: { id: apiKeyId, type: 'api_keys', attributes: { name: 'Renamed' } } },
      }),
      await api.deleteAPIKey({ apiKeyId }),
    ]
  },
}

/** What a call failed with, as the client shows it. */
export async function failure(call: () => Promise<unknown>): Promise<{ code: number; body: unknown }> {
  try {
    await call()
  } catch (error) {
    if (error instanceof client.ApiException)
      return { code: error.code, body: JSON.parse(JSON.stringify(error.body)) as unknown }
    throw error
  }
  throw new Error('this call should have failed')
}
