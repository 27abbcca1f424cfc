/** Datadog's API as this project reads and configures it: JSON, two keys, no redirects, errors in its own words. */
import { Agent, request } from 'undici'
import { realTiming, type Timing } from '../backoff.ts'
import type { SecretValue } from '../http.ts'

const largestAnswer = 32 * 1024 * 1024

export interface DatadogApiOptions {
  /** Base address, without a trailing slash. */
  readonly url: string
  readonly apiKey: SecretValue
  /** Application key, or a token that stands in its place. */
  readonly appKey: SecretValue
  readonly timeoutMs?: number
  /** How often a call is made at most. */
  readonly tries?: number
  /** For tests. */
  readonly timing?: Pick<Timing, 'sleep'>
}

/** The API said no, or not at all. `status` 0: no answer. The message holds no secret. */
export class DatadogApiError extends Error {
  override readonly name = 'DatadogApiError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface DatadogApi {
  /**
   * One call; `path` with its query. Resolves with the answer's JSON, undefined where there is none. Throws
   * DatadogApiError. Waits and asks again where the API says 429.
   */
  call(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<unknown>
  /** A POST that only reads: as `call`, and asked again as well where the API fails or does not answer. */
  search(path: string, body: unknown, signal: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

/** The API's base address of a site, where no `api_url` says otherwise. */
export function apiUrl(site: string): string {
  return `https://api.${site}`
}

export function openDatadogApi(options: DatadogApiOptions): DatadogApi {
  const { url, timeoutMs = 30_000, tries: most = 6, timing = realTiming } = options
  const agent = new Agent({ connections: 4, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })

  async function once({ method, path, body, signal }: Call) {
    const [apiKey, appKey] = [await options.apiKey(), await options.appKey()]
    const clean = (text: string) => text.replaceAll(apiKey, '[key]').replaceAll(appKey, '[key]')
    try {
      const response = await request(`${url}${path}`, {
        method: method as 'GET',
        dispatcher: agent,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          'dd-api-key': apiKey,
          'dd-application-key': appKey,
          accept: 'application/json',
          'user-agent': 'sallyport',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const { statusCode: status, headers } = response
      return { status, reset: headers['x-ratelimit-reset'], text: clean(await textOf(response.body)) }
    } catch (error) {
      if (error instanceof DatadogApiError) throw error
      const { code, message } = error as NodeJS.ErrnoException
      throw new DatadogApiError(0, `${method} ${path}: no answer from ${url} (${code ?? clean(message)})`)
    }
  }

  async function patiently(call: Call): Promise<unknown> {
    const { method, path, signal } = call
    for (let tries = 1; ; tries++) {
      const last = tries >= most || signal?.aborted === true
      const answer = await once(call).catch((error: unknown) => {
        if (signal === undefined || last || !(error instanceof DatadogApiError)) throw error
        return { status: 503, reset: undefined, text: '' }
      })
      const { status, reset, text } = answer
      if (!last && (status === 429 || (signal !== undefined && status >= 500))) {
        await timing.sleep(waitOf(reset), signal ?? new AbortController().signal)
        continue
      }
      if (status >= 200 && status < 300) return text === '' ? undefined : jsonOf(text, status)
      throw new DatadogApiError(status, `${method} ${path}: ${status} ${said(text)}`.trimEnd())
    }
  }

  return {
    call: (method, path, body) => patiently({ method, path, body }),
    search: (path, body, signal) => patiently({ method: 'POST', path, body, signal }),
    close: () => agent.close(),
  }
}

interface Call {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  /** Of a call that only reads. */
  readonly signal?: AbortSignal
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > largestAnswer) throw new DatadogApiError(0, 'an answer of more than 32 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string, status: number): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new DatadogApiError(status, 'the answer is not JSON')
  }
}

/** The `errors` of an answer, v1 (strings) or v2 (objects), else its start; on one line. */
function said(text: string): string {
  let words = text.slice(0, 300)
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown }
    if (Array.isArray(errors)) {
      words = errors
        .map(each => (typeof each === 'string' ? each : ((each as { detail?: string }).detail ?? '')))
        .join('; ')
    }
  } catch {
    // Not JSON: shown as it came.
  }
  return words.replaceAll(/[\s\p{C}]+/gu, ' ').slice(0, 500)
}

/** `X-RateLimit-Reset` is in seconds from now. */
function waitOf(reset: string | string[] | undefined): number {
  const seconds = Number(reset)
  return Number.isFinite(seconds) ? Math.min(60, Math.max(1, seconds)) * 1000 : 5000
}
