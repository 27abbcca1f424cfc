/**
 * One call and what its answer means, for sinks on HTTP. Where only the status counts, an answer's head is its word:
 * what happens to the connection after it changes nothing.
 */
import { Agent, request } from 'undici'
import type { SendResult } from './sink.ts'

const detailBytes = 300
const answerBytes = 4 * 1024 ** 2

/** A secret as it is now; asked before each call so that a rotated one needs no restart. */
export type SecretValue = () => string | Promise<string>

export interface HttpOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly secret: SecretValue
}

type Headers = Readonly<Record<string, string>> | undefined

export interface HttpCall {
  /** Default: POST. */
  readonly method?: 'POST' | 'PUT' | 'GET'
  /** In place of the configured address. */
  readonly url?: string
  readonly body?: Buffer
  /** Made from the secret; undefined where the secret is of no use, which waits for a person. */
  readonly headers: (secret: string) => Headers | Promise<Headers>
}

/** An answer of success, whole. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

export type Unanswered = Exclude<SendResult, { result: 'accepted' }> & { readonly status?: number }

export interface HttpEnd {
  /** Accepted upon a 2xx, whatever its body is. Never throws. */
  post(body: Buffer, signal: AbortSignal, headers: HttpCall['headers']): Promise<SendResult>
  /** The whole answer of a 2xx, at most 4 MiB of it, where the body says how it went. Never throws. */
  ask(call: HttpCall, signal: AbortSignal): Promise<Answer | Unanswered>
  close(): Promise<void>
}

/** No redirects, no proxies, at most two connections: the follower's and a backfill's. */
export function openHttp(options: HttpOptions): HttpEnd {
  const { timeoutMs } = options
  const agent = new Agent({
    connections: 2,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: Math.min(timeoutMs, 10_000) },
  })

  async function ask(call: HttpCall, signal: AbortSignal, whole = true): Promise<Answer | Unanswered> {
    let secret: string
    let headers: Headers
    try {
      secret = await options.secret()
      headers = await call.headers(secret)
    } catch {
      return { result: 'refused', detail: 'the secret can not be read' }
    }
    if (headers === undefined) return { result: 'refused', detail: 'the secret is not of the expected form' }
    try {
      const { statusCode: status, ...response } = await request(call.url ?? options.url, {
        method: call.method ?? 'POST',
        dispatcher: agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        headers,
        ...(call.body === undefined ? {} : { body: call.body }),
      })
      if (status >= 200 && status < 300) {
        if (whole) return { status, body: await readWhole(response.body) }
        // Read to the end for the sake of keep-alive; a reset here does not take back the answer.
        await response.body.dump({ limit: 65_536 }).catch(() => undefined)
        return { status, body: Buffer.alloc(0) }
      }
      const text = await readStart(response.body, credentialsIn(headers, secret)).catch(() => '')
      const detail = text === '' ? String(status) : `${status} ${text}`
      return { ...classify(status, detail, retryAfter(response.headers, Date.now())), status }
    } catch (error) {
      return { result: 'retry', detail: faultOf(error, timeoutMs) }
    }
  }

  return {
    ask,
    async post(body, signal, headers) {
      const answer = await ask({ body, headers }, signal, false)
      if (!('result' in answer)) return { result: 'accepted' }
      const { status: _, ...result } = answer
      return result
    },
    close: () => agent.destroy(),
  }
}

async function readWhole(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length > answerBytes) throw new RangeError('an answer of that length')
  }
  return Buffer.concat(chunks)
}

/** The members of a JSON object; undefined for anything else. */
export function jsonObject(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

/**
 * Statuses by what they mean for the batch (Datadog: facts part 1.1). One that is not known waits for a person and
 * loses nothing: a wrong address answers 404 and a moved one 301.
 */
function classify(status: number, detail: string, afterMs: number | undefined): Unanswered {
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

/** Headers of ours that say nothing worth hiding. */
const plainHeaders = new Set(['content-type', 'content-encoding', 'user-agent', 'x-amz-content-sha256'])

/** Texts by which an answer could give away what we called with: the secret, and what headers made of it. */
function credentialsIn(headers: NonNullable<Headers>, secret: string): string[] {
  const sent = Object.entries(headers).flatMap(([name, value]) =>
    plainHeaders.has(name.toLowerCase()) ? [] : [value, ...value.split(/[ ,]+/)],
  )
  // Longest first: a part of one that was replaced would leave the rest of it.
  return [secret, ...sent].filter(each => each.length >= 8).toSorted((a, b) => b.length - a.length)
}

/**
 * The start of an error's body, on one line, without control characters and without credentials. So much more is read
 * than is shown that none is cut in the middle, where it would not be found.
 */
async function readStart(body: AsyncIterable<Buffer>, credentials: readonly string[]): Promise<string> {
  const chunks: Buffer[] = []
  const enough = detailBytes + Buffer.byteLength(credentials[0] ?? '')
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= enough) break
  }
  let text = Buffer.concat(chunks).toString('utf8').slice(0, enough)
  for (const each of credentials) text = text.replaceAll(each, '[secret]')
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .slice(0, detailBytes)
    .trim()
}

function faultOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'unknown fault'
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  return `connection: ${'code' in error && typeof error.code === 'string' ? error.code : error.name}`
}
