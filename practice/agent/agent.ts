/**
 * The sample agent: what an engineer's agent on call might do, with the official client unchanged but for its base URL
 * and credential. It knows nothing of the gateway.
 */
import { client, v1, v2 } from '@datadog/datadog-api-client'

/** One thing that the agent did, for people to read. */
export interface AgentStep {
  /** What it wanted. */
  readonly asked: string
  readonly outcome: 'answered' | 'refused' | 'failed'
  /** HTTP status; 0 where there was no answer. */
  readonly status: number
  /** What it got, in a few lines. */
  readonly got: string
}

export interface AgentOptions {
  /** In place of https://api.datadoghq.com, such as http://127.0.0.1:8443/c/datadog. */
  readonly baseUrl: string
  /** What the agent has instead of Datadog's keys. */
  readonly token: string
  /** Called after each step. */
  readonly onStep?: (step: AgentStep) => void
}

/** Takes every step in turn, whatever became of the one before. */
export async function runSampleAgent(options: AgentOptions): Promise<AgentStep[]> {
  const config = client.createConfiguration({
    baseServer: new client.BaseServerConfiguration(options.baseUrl.replace(/\/+$/, ''), {}),
    authMethods: { apiKeyAuth: options.token, appKeyAuth: 'unused' },
  })
  const steps: AgentStep[] = []
  for (const [asked, act] of plan(config, options)) {
    const step = { asked, ...(await taken(act)) }
    steps.push(step)
    options.onStep?.(step)
  }
  return steps
}

type Act = () => Promise<string>

function plan(config: client.Configuration, { baseUrl, token }: AgentOptions): (readonly [string, Act])[] {
  const monitors = new v1.MonitorsApi(config)
  const keys = new v2.KeyManagementApi(config)
  return [
    [
      'List the monitors',
      async () =>
        lines((await monitors.listMonitors({})).map(each => `${each.id} ${each.overallState} ${each.name}`)),
    ],
    [
      'List the users, with their e-mail addresses',
      async () => {
        const { data = [] } = await new v2.UsersApi(config).listUsers({})
        return lines(data.map(({ attributes }) => `${attributes?.name} <${attributes?.email}>`))
      },
    ],
    [
      'Read an API key, secret and all',
      async () => {
        const { data = [] } = await keys.listAPIKeys({})
        const apiKeyId = data[0]?.id
        if (apiKeyId === undefined) return 'there is none'
        const { data: key } = await keys.getAPIKey({ apiKeyId })
        return `${key?.attributes?.name}: ${key?.attributes?.key}`
      },
    ],
    [
      'Raise the threshold of a monitor',
      async () => {
        const first = (await monitors.listMonitors({})).find(each => /> \d+$/.test(each.query))
        if (first?.id === undefined) return 'there is none'
        const critical = Number(/\d+$/.exec(first.query)?.[0]) + 5
        const body = {
          query: first.query.replace(/\d+$/, String(critical)),
          options: { thresholds: { critical } },
        }
        const changed = await monitors.updateMonitor({ monitorId: first.id, body })
        return `${changed.id} ${changed.name}: now ${changed.query}`
      },
    ],
    [
      'Delete a monitor',
      async () => {
        const [first] = await monitors.listMonitors({})
        if (first?.id === undefined) return 'there is none'
        const { deletedMonitorId } = await monitors.deleteMonitor({ monitorId: first.id })
        return `deleted ${deletedMonitorId}`
      },
    ],
    [
      'Try a path that is in no documentation',
      async () => {
        const url = `${baseUrl.replace(/\/+$/, '')}/api/v2/internal/feature_flags`
        const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
        const text = await answer.text()
        if (!answer.ok) throw new client.ApiException(answer.status, text)
        return text.slice(0, 300)
      },
    ],
  ]
}

function lines(all: readonly string[]): string {
  return all.length <= 5 ? all.join('\n') : [...all.slice(0, 5), `and ${all.length - 5} more`].join('\n')
}

async function taken(act: Act): Promise<Omit<AgentStep, 'asked'>> {
  try {
    return { outcome: 'answered', status: 200, got: await act() }
  } catch (error) {
    if (error instanceof client.ApiException) {
      return { outcome: 'refused', status: error.code, got: said(error.body) }
    }
    return { outcome: 'failed', status: 0, got: error instanceof Error ? error.message : String(error) }
  }
}

/** The text of Datadog's `errors`, from what the client parsed or from the bare body. */
function said(body: unknown): string {
  const parsed = typeof body === 'string' ? parse(body) : body
  if (typeof parsed === 'object' && parsed !== null && 'errors' in parsed && Array.isArray(parsed.errors))
    return parsed.errors.map(each => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n')
  return String(body).slice(0, 300)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
