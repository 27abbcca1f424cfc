/**
 * A stand-in for Datadog's logs intake (`POST /api/v2/logs`, `POST /v1/input`), with the limits and silences of the
 * real one: 5 MB and 1000 logs in a payload, a log over 1 MB is accepted and cut, one older than 18 hours is accepted
 * and never indexed. It can be made to fail in each way that a shipper must survive.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Json, listen, readBody, sendJson, stop, TooLarge } from './wire.ts'

export const intakeLimits = {
  /** Bytes of one payload, uncompressed. */
  payload: 5_000_000,
  /** Bytes of one log; what is over is cut off its message. */
  log: 1_000_000,
  /** Logs in one array. */
  items: 1000,
  /** Milliseconds into the past; what is older is accepted and not indexed. */
  age: 18 * 3_600_000,
} as const

/** One log as it was indexed. */
export interface PracticeLog {
  readonly arrivedAt: number
  /** What was sent, with `message` cut when the log was over 1 MB. */
  readonly record: Json
  /** Of the log's `ddtags` and of the query's. */
  readonly tags: readonly string[]
  readonly truncated: boolean
}

/** One request as it arrived, whatever came of it. */
export interface IntakeRequest {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** What was answered; 0 where the connection was cut instead. */
  readonly status: number
  /** How many logs were in it; 0 where that was not found out. */
  readonly count: number
}

export type IntakeFault =
  /** Every connection is cut before an answer; nothing is stored. */
  | { readonly kind: 'down' }
  /** Answers as usual, so many milliseconds later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** This status instead of looking at the payload: 401, 403, 408, 413, 429, 500, 503. A 429 gets rate headers. */
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** 400 for every batch that holds such a record; the others are stored. */
  | { readonly kind: 'poison'; readonly is: (record: Json) => boolean }
  /** Stores the batch, then cuts the connection before the answer is whole: the sender can't know. */
  | { readonly kind: 'reset-after-accept' }

export interface Intake {
  /** What was indexed, in order of arrival. */
  readonly logs: readonly PracticeLog[]
  /** What was answered 202 and silently dropped for its age. */
  readonly dropped: readonly PracticeLog[]
  /** The last 10,000 requests. */
  readonly requests: readonly IntakeRequest[]
  /** From the next request on, this goes wrong, `times` times (for ever unless said). `undefined` ends it. */
  fail(fault: IntakeFault | undefined, times?: number): void
  /** Resolves with all logs once there are so many; rejects after `timeoutMs` (10 s unless said). */
  waitFor(count: number, timeoutMs?: number): Promise<readonly PracticeLog[]>
  /** What happens to logs behind the intake: each becomes these, none or several of them. */
  tamper(change: (log: PracticeLog, index: number) => readonly PracticeLog[]): void
  /** Forgets logs and requests; the fault stays. */
  clear(): void
}

/** Which API keys may send. */
export interface KnownKeys {
  has(key: string): boolean
}

/** An intake that can be mounted in any server of node:http. */
export class LogsIntake implements Intake {
  readonly logs: PracticeLog[] = []
  readonly dropped: PracticeLog[] = []
  readonly requests: IntakeRequest[] = []
  readonly #keys: KnownKeys
  readonly #now: () => number
  readonly #closing = new AbortController()
  readonly #waiting = new Set<() => void>()
  #fault: IntakeFault | undefined
  #faultsLeft = 0

  /** `keys` are the API keys that may send; `now` gives milliseconds since the epoch. */
  constructor(keys: KnownKeys, now: () => number = Date.now) {
    this.#keys = keys
    this.#now = now
  }

  /** Whether this request is one for the logs intake. */
  takes(method: string | undefined, path: string): boolean {
    return method === 'POST' && (path === '/api/v2/logs' || path === '/v1/input')
  }

  fail(fault: IntakeFault | undefined, times = Infinity): void {
    this.#fault = fault
    this.#faultsLeft = times
  }

  tamper(change: (log: PracticeLog, index: number) => readonly PracticeLog[]): void {
    this.logs.splice(0, this.logs.length, ...this.logs.flatMap(change))
  }

  clear(): void {
    this.logs.length = 0
    this.dropped.length = 0
    this.requests.length = 0
  }

  async waitFor(count: number, timeoutMs = 10_000): Promise<readonly PracticeLog[]> {
    if (this.logs.length >= count) return this.logs
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => this.logs.length >= count && resolve()
    const timer = setTimeout(() => {
      reject(new Error(`${this.logs.length} of ${count} logs after ${timeoutMs} ms`))
    }, timeoutMs)
    this.#waiting.add(look)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(look)
    }
    return this.logs
  }

  /** Ends what is being slow. */
  close(): void {
    this.#closing.abort()
  }

  /** Answers one request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://intake')
    const fault = this.#takeFault()
    const seen = (status: number, count: number) => {
      this.requests.push({ path: url.pathname, headers: request.headers, status, count })
      if (this.requests.length > 10_000) this.requests.shift()
    }
    try {
      if (fault?.kind === 'down') {
        seen(0, 0)
        request.socket.destroy()
        return
      }
      if (fault?.kind === 'slow') await sleep(fault.ms, undefined, { signal: this.#closing.signal })
      const judged = await this.#judge(request, url, fault)
      const { status, records } = judged
      seen(fault?.kind === 'reset-after-accept' ? 0 : status, records.length)
      if (status < 300) this.#store(records, url.searchParams.get('ddtags') ?? '')
      if (fault?.kind === 'reset-after-accept') {
        // The head has left, the body is promised and never comes.
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': 2 })
        response.write('{', () => request.socket.destroy())
        return
      }
      sendJson(response, status, judged.answer)
    } catch {
      request.socket.destroy() // the sender went away, or this intake is closing
    }
  }

  async #judge(
    request: IncomingMessage,
    url: URL,
    fault: IntakeFault | undefined,
  ): Promise<{
    status: number
    records: Json[]
    answer: { body: unknown; headers?: Record<string, string> }
  }> {
    const version = url.pathname === '/v1/input' ? 1 : 2
    const refuse = (status: number, title: string, headers?: Readonly<Record<string, string>>) => ({
      status,
      records: [],
      answer: { body: errorBody(version, status, title), ...(headers === undefined ? {} : { headers }) },
    })
    let body: Buffer
    try {
      body = await readBody(request, intakeLimits.payload)
    } catch (error) {
      if (error instanceof TooLarge) return refuse(413, 'Payload Too Large')
      if (error instanceof TypeError) return refuse(400, 'Bad Request')
      throw error
    }
    if (fault?.kind === 'status')
      return refuse(fault.status, 'Practice fault', { ...rateHeaders(fault.status), ...fault.headers })
    const key = request.headers['dd-api-key'] ?? url.searchParams.get('api_key')
    if (key === null) return refuse(401, 'Unauthorized')
    if (typeof key !== 'string' || !this.#keys.has(key)) return refuse(403, 'Forbidden')
    const records = parse(body, request.headers['content-type'] ?? '')
    if (records === undefined) return refuse(400, 'Bad Request')
    // The limit is documented, its status is not; 413 is what the documentation answers to "too much".
    if (records.length > intakeLimits.items) return refuse(413, 'Payload Too Large')
    if (fault?.kind === 'poison' && records.some(fault.is)) return refuse(400, 'Bad Request')
    return { status: version === 1 ? 200 : 202, records, answer: { body: {} } }
  }

  #takeFault(): IntakeFault | undefined {
    if (this.#faultsLeft <= 0) return undefined
    this.#faultsLeft--
    return this.#fault
  }

  #store(records: readonly Json[], queryTags: string): void {
    const arrivedAt = this.#now()
    for (const sent of records) {
      const tags = [sent['ddtags'], queryTags].flatMap(each =>
        typeof each === 'string' ? each.split(',') : [],
      )
      const record = cut(sent)
      const log = { arrivedAt, record, tags: tags.filter(each => each !== ''), truncated: record !== sent }
      const old = arrivedAt - timeOf(sent, arrivedAt) > intakeLimits.age
      ;(old ? this.dropped : this.logs).push(log)
    }
    for (const look of this.#waiting) look()
  }
}

/** An intake listening by itself. */
export interface PracticeIntake extends Intake {
  /** Base URL: append `/api/v2/logs`. */
  readonly url: string
  /** An API key it accepts. */
  readonly apiKey: string
  close(): Promise<void>
}

/** The key that a practice intake accepts when none is given. Public on purpose. */
export const practiceApiKey = '0123456789abcdef0123456789abcdef'

/** Starts an intake on loopback; `port` 0, the default, takes a free one. */
export async function startPracticeIntake(
  options: { readonly port?: number; readonly apiKey?: string; readonly now?: () => number } = {},
): Promise<PracticeIntake> {
  const apiKey = options.apiKey ?? practiceApiKey
  const intake = new LogsIntake(new Set([apiKey]), options.now)
  const server = createServer((request, response) => {
    if (intake.takes(request.method, new URL(request.url ?? '/', 'http://intake').pathname))
      void intake.handle(request, response)
    else sendJson(response, 404, { body: { errors: ['Not found'] } })
  })
  const url = await listen(server, options.port ?? 0)
  return {
    url,
    apiKey,
    logs: intake.logs,
    dropped: intake.dropped,
    requests: intake.requests,
    fail: (fault, times) => intake.fail(fault, times),
    waitFor: (count, timeoutMs) => intake.waitFor(count, timeoutMs),
    tamper: change => intake.tamper(change),
    clear: () => intake.clear(),
    close: async () => {
      intake.close()
      await stop(server)
    },
  }
}

function errorBody(version: 1 | 2, status: number, title: string): unknown {
  return version === 1 ? { code: status, message: title } : { errors: [{ status: String(status), title }] }
}

function rateHeaders(status: number): Record<string, string> {
  if (status !== 429) return {}
  return {
    'x-ratelimit-limit': '100',
    'x-ratelimit-period': '10',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': '1',
    'x-ratelimit-name': 'practice_logs_intake',
  }
}

/** The logs of a payload; undefined where it is none. */
function parse(body: Buffer, type: string): Json[] | undefined {
  const text = body.toString('utf8')
  if (!type.includes('json'))
    return text.split('\n').flatMap(line => (line === '' ? [] : [{ message: line }]))
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  return list.every(isRecord) ? list : undefined
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The very same log when it is under the limit. */
function cut(record: Json): Json {
  const over = Buffer.byteLength(JSON.stringify(record)) - intakeLimits.log
  if (over <= 0) return record
  const message = typeof record['message'] === 'string' ? record['message'] : ''
  return { ...record, message: message.slice(0, Math.max(0, message.length - over)) }
}

function timeOf(record: Json, otherwise: number): number {
  const stated = record['timestamp'] ?? record['@timestamp'] ?? record['date']
  if (typeof stated === 'number') return stated
  const parsed = typeof stated === 'string' ? Date.parse(stated) : Number.NaN
  return Number.isNaN(parsed) ? otherwise : parsed
}
