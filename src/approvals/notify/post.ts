/** One POST to a messaging service, and what its answer means. */
import { Agent, request } from 'undici'
import { retryAfter } from '../../export/http.ts'
import type { SendResult } from '../../export/sink.ts'

const mostAnswerBytes = 64 * 1024

export interface Answer {
  readonly status: number
  readonly text: string
  readonly afterMs?: number
}

export interface Poster {
  /** Resolves with the answer, whatever its status, or with what stood in the way. Follows no redirect. Never throws. */
  post(
    url: string,
    message: { readonly body: string | Buffer; readonly headers?: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<Answer | Extract<SendResult, { result: 'retry' }>>
  close(): Promise<void>
}

export function openPoster(timeoutMs: number): Poster {
  const agent = new Agent({ connections: 2, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  return {
    async post(url, { body, headers = {} }, signal) {
      try {
        const response = await request(url, {
          method: 'POST',
          dispatcher: agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
          headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
          body,
        })
        const text = await readStart(response.body)
        const afterMs = retryAfter(response.headers, Date.now())
        return { status: response.statusCode, text, ...(afterMs === undefined ? {} : { afterMs }) }
      } catch (error) {
        return { result: 'retry', detail: faultOf(error, timeoutMs) }
      }
    },
    close: () => agent.destroy(),
  }
}

/**
 * A status as the follower needs it. What is not known waits for a person and loses nothing. Of the answer's text only
 * the status is told: services repeat what they were sent.
 */
export function resultOf({ status, afterMs }: Answer): SendResult {
  const detail = `status ${status}`
  if (status >= 200 && status < 300) return { result: 'accepted' }
  if (status === 400 || status === 413 || status === 422) return { result: 'rejected', detail }
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return { result: 'retry', detail, ...(afterMs === undefined ? {} : { afterMs }) }
  return { result: 'refused', detail }
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length > mostAnswerBytes) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function faultOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'unknown fault'
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  return `connection: ${'code' in error && typeof error.code === 'string' ? error.code : error.name}`
}
