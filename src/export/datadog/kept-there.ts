import type { KeptThere } from '../kept.ts'
import type { DatadogApi } from './api.ts'

type Json = Readonly<Record<string, unknown>>

/** What Datadog says of the index and of archives of ours. Throws DatadogApiError. */
export async function keptAtDatadog(api: DatadogApi, index: string): Promise<KeptThere> {
  const { indexes = [] } = ((await api.call('GET', '/api/v1/logs/config/indexes')) ?? {}) as {
    indexes?: readonly Json[]
  }
  const own = indexes.find(each => each['name'] === index)
  const { data = [] } = ((await api.call('GET', '/api/v2/logs/config/archives')) ?? {}) as {
    data?: readonly { attributes?: Json }[]
  }
  const archived = data.some(({ attributes }) => attributes?.['name'] === 'Sallyport')
  if (own === undefined) return { archived }
  const number = (name: string) => (typeof own[name] === 'number' ? own[name] : 0)
  const searchableDays = Math.max(number('num_retention_days'), number('num_flex_logs_retention_days'))
  return { archived, searchableDays }
}
