import { readFile } from 'node:fs/promises'
import { Agent, request } from 'undici'

/** Fetches one JSON document. Rejects with a plain Error that says why, fit for the gateway's own log. */
export interface FetchDocument {
  (url: URL, limits: FetchLimits): Promise<unknown>
  close(): Promise<void>
}

export interface FetchLimits {
  readonly maxBytes: number
  /** For the whole fetch, redirects included. */
  readonly timeoutMs: number
}

const maxRedirects = 2

/**
 * A fetcher with its own connections. `ca`: path of a PEM file with the only authorities to trust. Follows a redirect
 * within the same origin alone: an issuer's keys never come from a host that nobody named.
 */
export function createFetchDocument(options: { readonly ca?: string } = {}): FetchDocument {
  let agent: Promise<Agent> | undefined
  const open = (): Promise<Agent> => {
    agent ??= connect(options.ca).catch((error: unknown) => {
      agent = undefined
      throw error
    })
    return agent
  }
  const fetchDocument = async (url: URL, limits: FetchLimits): Promise<unknown> => {
    const signal = AbortSignal.timeout(limits.timeoutMs)
    const dispatcher = await open()
    let at = url
    for (let redirects = 0; ; redirects++) {
      const response = await request(at, { dispatcher, signal, headers: { accept: 'application/json' } })
      if (response.statusCode === 200)
        return JSON.parse(await readText(response.body, limits.maxBytes)) as unknown
      response.body.on('error', () => {}).destroy()
      const { location } = response.headers
      if (response.statusCode < 300 || response.statusCode > 399 || typeof location !== 'string') {
        throw new StatusError(response.statusCode)
      }
      const next = URL.parse(location, at.href)
      if (next?.origin !== url.origin || redirects >= maxRedirects) throw new Error('redirected elsewhere')
      at = next
    }
  }
  return Object.assign(fetchDocument, { close: async () => (await agent)?.destroy() })
}

/** An answer that is not the document. */
export class StatusError extends Error {
  readonly status: number

  constructor(status: number) {
    super(`answered with status ${status}`)
    this.status = status
  }
}

async function connect(ca: string | undefined): Promise<Agent> {
  const trust = ca === undefined ? {} : { ca: await readFile(ca, 'utf8') }
  return new Agent({ connections: 2, keepAliveTimeout: 4000, connect: { timeout: 5000, ...trust } })
}

async function readText(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of body) {
    size += part.length
    if (size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
