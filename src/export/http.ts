/**
 * One POST and what its answer means, for sinks on HTTP. An answer's head is its word: what happens to the connection
 * after it changes nothing.
 */
import { Agent, request } from 'undici'
import type { SendResult } from './sink.ts'

const detailBytes = 300

/** A secret as it is now; asked before each call so that a rotated one needs no restart. */
export type SecretValue = () => string | Promise<string>

export interface HttpOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly secret: SecretValue
}

export interface HttpEnd {
  /**
   * Never throws. `headers` is made from the secret; undefined where the secret is of no use, which waits for a person.
   */
  post(
    body: Buffer,
    signal: AbortSignal,
    headers: (secret: string) => Readonly<Record<string, string>> | undefined,
  ): Promise<SendResult>
  close(): Promise<void>
}

/** No redirects, no proxies, at most two connections: the follower's and a backfill's. */
export function openHttp(options: HttpOptions): HttpEnd {
  const { url, timeoutMs } = options
  const agent = new Agent({
    connections: 2,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: Math.min(timeoutMs, 10_000) },
  })
  return {
    async post(body, signal, headersOf) {
      let secret: string
      try {
        secret = await options.secret()
      } catch {
        return { result: 'refused', detail: 'the secret can not be read' }
      }
      const headers = headersOf(secret)
      if (headers === undefined)
        return { result: 'refused', detail: 'the secret is not of the expected form' }
      try {
        const response = await request(url, {
          method: 'POST',
          dispatcher: agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
          headers,
          body,
        })
        if (response.statusCode >= 200 && response.statusCode < 300) {
          // Read to the end for the sake of keep-alive; a reset here does not take back the answer.
          await response.body.dump({ limit: 65_536 }).catch(() => undefined)
          return { result: 'accepted' }
        }
        const text = (await readStart(response.body).catch(() => '')).replaceAll(secret, '[secret]')
        const detail = text === '' ? String(response.statusCode) : `${response.statusCode} ${text}`
        return classify(response.statusCode, detail, retryAfter(response.headers, Date.now()))
      } catch (error) {
        return { result: 'retry', detail: faultOf(error, timeoutMs) }
      }
    },
    close: () => agent.destroy(),
  }
}

/**
 * Statuses by what they mean for the batch (Datadog: facts part 1.1). One that is not known waits for a person and
 * loses nothing: a wrong address answers 404 and a moved one 301.
 */
function classify(status: number, detail: string, afterMs: number | undefined): SendResult {
  if (status === 400 || status === 422) return { result: 'rejected', detail }
  if (status === 413) return { result: 'too-large', detail }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return { result: 'retry', detail, ...(afterMs === undefined ? {} : { afterMs }) }
  }
  return { result: 'refused', detail }
}

/**
 * `Retry-After` (RFC 9110 section 10.2.3: seconds or a date) or Datadog's `X-RateLimit-Reset` (seconds from now), as
 * milliseconds. What makes no sense counts as absent.
 */
export function retryAfter(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): number | undefined {
  for (const name of ['retry-after', 'x-ratelimit-reset']) {
    const value = headers[name]
    if (typeof value !== 'string' || value.length > 64) continue
    if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
    const date = name === 'retry-after' ? Date.parse(value) : Number.NaN
    if (!Number.isNaN(date)) return Math.max(0, date - now)
  }
  return undefined
}

/** The start of an error's body, on one line, without control characters. */
async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= detailBytes) break
  }
  const text = Buffer.concat(chunks).toString('utf8').slice(0, detailBytes)
  return text.replaceAll(/[\s\p{C}]+/gu, ' ').trim()
}

function faultOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'unknown fault'
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  return `connection: ${'code' in error && typeof error.code === 'string' ? error.code : error.name}`
}
