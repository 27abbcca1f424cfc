import { join } from 'node:path'
import { Agent, request } from 'undici'
import type { Entry } from '../../src/audit/events.ts'
import { until } from './until.ts'

/** An answer of the API. */
export interface ApiAnswer {
  readonly status: number
  readonly text: string
  readonly json: unknown
}

/** The API as this machine's own user reaches it, through the socket in the data directory. */
export class LocalApi {
  readonly #agent: Agent

  constructor(data: string) {
    this.#agent = new Agent({ connect: { socketPath: join(data, 'admin.sock') } })
  }

  async ask(path: string, method: 'GET' | 'POST' | 'DELETE' = 'GET', body?: unknown): Promise<ApiAnswer> {
    const response = await request(`http://localhost/api/v1${path}`, {
      method,
      dispatcher: this.#agent,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.body.text()
    const isJson = String(response.headers['content-type'] ?? '').endsWith('json')
    return { status: response.statusCode, text, json: isJson ? (JSON.parse(text) as unknown) : undefined }
  }

  /** Every entry that was durable when this was called, in order. */
  async entries(): Promise<Entry[]> {
    const { size } = await this.#log()
    await until('the index takes in the log', async () => (await this.#log()).indexed >= size)
    const entries: Entry[] = []
    for (let after: string | undefined; ; ) {
      const cursor = after === undefined ? '' : `&after=${after}`
      const { json } = await this.ask(`/audit/entries?limit=1000${cursor}`)
      const page = json as { entries: Entry[]; next?: string }
      entries.push(...page.entries)
      if (page.next === undefined || entries.length >= size) return entries.slice(0, size)
      after = page.next
    }
  }

  async close(): Promise<void> {
    if (!this.#agent.closed) await this.#agent.destroy()
  }

  async #log(): Promise<{ size: number; indexed: number }> {
    return ((await this.ask('/status')).json as { log: { size: number; indexed: number } }).log
  }
}
