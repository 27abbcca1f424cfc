/**
 * A stand-in for Datadog's API and intakes, all on one address, that keeps state: what is created can be read back.
 * It checks credentials per operation, answers in Datadog's shapes and errors, and can be made to fail. What it
 * does not have, though Datadog does, is 404 with a text that says so.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { findOperation } from '../../src/protocols/http/datadog/catalogue.ts'
import { type Intake, LogsIntake } from './intake.ts'
import { apiKeyId, isApiKey, mayCall, type PracticeKeys, practiceKeys } from './keys.ts'
import { type Answer, type Operations, Refusal } from './operation.ts'
import { dashboards } from './operations/dashboards.ts'
import { events } from './operations/events.ts'
import { keys as keyOperations } from './operations/keys.ts'
import { logConfig } from './operations/log-config.ts'
import { logs } from './operations/logs.ts'
import { metrics } from './operations/metrics.ts'
import { monitors } from './operations/monitors.ts'
import { others } from './operations/others.ts'
import { people } from './operations/people.ts'
import { security } from './operations/security.ts'
import { answerSandbox, sandboxPlace } from './planting.ts'
import { seededState } from './seed.ts'
import { PracticeState } from './state.ts'
import { listen, readBody, sendJson, stop, TooLarge } from './wire.ts'

const operations: Operations = {
  ...dashboards,
  ...events,
  ...keyOperations,
  ...logConfig,
  ...logs,
  ...metrics,
  ...monitors,
  ...others,
  ...people,
  ...security,
}

/** One request as it arrived, credentials included: for assertions. */
export interface PracticeRequest {
  readonly method: string
  /** Path and query, as received. */
  readonly target: string
  /** The catalogue's name, when it has one. */
  readonly operation: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  /** Decoded by its content encoding; empty for the logs intake. */
  readonly body: string
}

export type PracticeFault =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Cuts the connection in the middle of the answer's body. */
  | { readonly kind: 'reset' }
  /** Cuts it before any answer. */
  | { readonly kind: 'down' }

export interface PracticeDatadog {
  /** Base URL of the API and of all intakes, without a trailing slash. */
  readonly url: string
  readonly state: PracticeState
  /** The logs intake, with faults of its own. */
  readonly intake: Intake
  /** The last 10,000 requests, in order of arrival. */
  readonly requests: readonly PracticeRequest[]
  /** Credentials that are accepted. */
  readonly keys: PracticeKeys
  /** From the next request on (but not at the logs intake) this goes wrong, `times` times; `undefined` ends it. */
  fail(fault: PracticeFault | undefined, times?: number): void
  close(): Promise<void>
}

export interface PracticeOptions {
  /** 0, the default: a free one. */
  readonly port?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** An empty organisation that asks for no credentials and in which objects can be planted: see planting.ts. */
  readonly sandbox?: boolean
  /** A limit of calls a minute for the whole organisation, beyond which it answers 429; without it, one that is only told. */
  readonly callsPerMinute?: number
}

/** Starts on loopback. */
export async function startPracticeDatadog(options: PracticeOptions = {}): Promise<PracticeDatadog> {
  const practice = new Practice(options.now ?? Date.now, options)
  const server = createServer((request, response) => void practice.handle(request, response))
  const url = await listen(server, options.port ?? 0)
  return {
    url,
    state: practice.state,
    intake: practice.intake,
    requests: practice.requests,
    keys: practiceKeys,
    fail: (fault, times) => practice.fail(fault, times),
    close: async () => {
      practice.close()
      await stop(server)
    },
  }
}

const bodyLimit = 5 * 1024 * 1024

class Practice {
  readonly state: PracticeState
  readonly intake: LogsIntake
  readonly requests: PracticeRequest[] = []
  readonly #closing = new AbortController()
  #fault: PracticeFault | undefined
  #faultsLeft = 0
  #served = 0
  readonly #callsPerMinute: number | undefined
  #window = 0

  readonly #isSandbox: boolean

  constructor(now: () => number, { sandbox = false, callsPerMinute }: PracticeOptions) {
    this.#isSandbox = sandbox
    this.#callsPerMinute = callsPerMinute
    this.state = sandbox ? new PracticeState(now) : seededState(now)
    this.intake = new LogsIntake({ has: key => isApiKey(this.state, key) }, now)
  }

  fail(fault: PracticeFault | undefined, times = Infinity): void {
    this.#fault = fault
    this.#faultsLeft = times
  }

  close(): void {
    this.#closing.abort()
    this.intake.close()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://practice')
      if (this.intake.takes(request.method, url.pathname)) {
        this.#note(request, findOperation('POST', url.pathname)?.operation.name, '')
        await this.intake.handle(request, response)
        return
      }
      await this.#answer(request, response, url)
    } catch {
      request.socket.destroy() // the client went away, or this server is closing
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const method = request.method ?? ''
    const match = findOperation(method, url.pathname)
    const legacy = legacyOperation(method, url.pathname)
    const name = match?.operation.name ?? legacy?.name
    const fault = this.#takeFault()
    if (fault?.kind === 'down') {
      this.#note(request, name, '')
      request.socket.destroy()
      return
    }
    if (fault?.kind === 'delay') await sleep(fault.ms, undefined, { signal: this.#closing.signal })
    const body = await bodyOf(request)
    this.#note(request, name, body ?? '')
    const kind = match?.operation.credentials ?? 'keys'
    const place = this.#isSandbox ? sandboxPlace(url.pathname) : undefined
    if (place !== undefined) {
      const answer = refusable(() => answerSandbox(this.state, { method, place, body: parse(body ?? '') }))
      return sendJson(response, answer.status, answer)
    }
    const refused = this.#isSandbox
      ? undefined
      : mayCall(this.state, kind, { headers: request.headers, query: url.searchParams })
    const limited = kind === 'none' ? undefined : this.#limited()
    const answer =
      fault?.kind === 'status'
        ? { status: fault.status, body: { errors: ['Practice fault'] } }
        : refused !== undefined
          ? { status: refused, body: { errors: [refused === 401 ? 'Unauthorized' : 'Forbidden'] } }
          : limited === true
            ? { status: 429, body: { errors: ['Rate limited'] } }
            : this.#perform(name, body, {
                params: match?.params ?? legacy?.params ?? {},
                query: url.searchParams,
              })
    const headers = { ...this.#rateHeaders(kind), ...(fault?.kind === 'status' ? fault.headers : {}) }
    if (fault?.kind === 'reset') {
      const half = JSON.stringify(answer.body ?? {}).slice(0, -1)
      response.writeHead(answer.status, {
        'content-type': 'application/json',
        'content-length': half.length + 64,
      })
      response.write(half, () => request.socket.destroy())
      return
    }
    this.#noteAudit(request, url, answer.status)
    sendJson(response, answer.status, { ...answer, headers })
  }

  /** As Datadog's audit trail has a request: who, with which key, from where. */
  #noteAudit(request: IncomingMessage, url: URL, status: number): void {
    const { auditTrail, users, currentUser } = this.state
    const key = apiKeyId(this.state, { headers: request.headers, query: url.searchParams })
    const user = users.get(currentUser)
    const { method = '' } = request
    auditTrail.push({
      timestamp: this.state.now(),
      message: `${method} request made to ${url.pathname} by ${user?.email ?? 'nobody'} with response ${status}`,
      action: 'accessed',
      auth_method: 'API_AND_APP_KEY',
      evt: { name: 'Request', actor: { type: 'USER' } },
      http: { method, status_code: status, url_details: { path: url.pathname, host: url.host } },
      network: { client: { ip: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '') } },
      usr: { id: user?.id, uuid: user?.id, email: user?.email },
      ...(key === undefined ? {} : { metadata: { api_key: { id: key } } }),
    })
    if (auditTrail.length > 10_000) auditTrail.shift()
  }

  #perform(
    name: string | undefined,
    body: string | undefined,
    of: { readonly params: Readonly<Record<string, string>>; readonly query: URLSearchParams },
  ): Answer {
    return refusable(() => {
      if (body === undefined) throw new Refusal(413, 'Payload too big')
      if (name === undefined) throw new Refusal(404, 'Not found')
      const operation = Object.hasOwn(operations, name) ? operations[name] : undefined
      if (operation === undefined) throw new Refusal(404, `The practice Datadog has no ${name}`)
      return operation({ state: this.state, intake: this.intake, body: parse(body), ...of })
    })
  }

  #takeFault(): PracticeFault | undefined {
    if (this.#faultsLeft <= 0) return undefined
    this.#faultsLeft--
    return this.#fault
  }

  /** Counts a call. True: it is one too many of this minute. */
  #limited(): boolean {
    const window = Math.floor(this.state.now() / 60_000)
    if (window !== this.#window) this.#served = 0
    this.#window = window
    return this.#callsPerMinute !== undefined && ++this.#served > this.#callsPerMinute
  }

  #rateHeaders(kind: string): Record<string, string> {
    if (kind === 'none') return {}
    const limit = this.#callsPerMinute ?? 1000
    return {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-period': '60',
      'x-ratelimit-remaining': String(Math.max(0, limit - this.#served)),
      'x-ratelimit-reset': String(60 - Math.floor((this.state.now() % 60_000) / 1000)),
      'x-ratelimit-name': 'practice_api',
    }
  }

  #note(request: IncomingMessage, operation: string | undefined, body: string): void {
    const { method = '', url: target = '', headers, rawHeaders } = request
    this.requests.push({ method, target, operation, headers, rawHeaders, body })
    if (this.requests.length > 10_000) this.requests.shift()
  }
}

/** The answer, or the refusal as Datadog tells it. */
function refusable(answer: () => Answer): Answer {
  try {
    return answer()
  } catch (error) {
    if (error instanceof Refusal) return { status: error.status, body: { errors: [error.message] } }
    throw error
  }
}

/** The body as text; undefined when it is too big. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  try {
    return (await readBody(request, bodyLimit)).toString('utf8')
  } catch (error) {
    if (error instanceof TooLarge) return undefined
    throw error
  }
}

function parse(body: string): unknown {
  if (body === '') return undefined
  try {
    return JSON.parse(body)
  } catch {
    throw new Refusal(400, 'JSON is not valid')
  }
}

/** Muting a monitor: in the API for years, no longer in the official client. */
function legacyOperation(method: string, path: string) {
  const match = method === 'POST' ? /^\/api\/v1\/monitor\/(\d+)\/(mute|unmute)$/.exec(path) : null
  if (match === null) return undefined
  return { name: `POST /api/v1/monitor/{monitor_id}/${match[2]}`, params: { monitor_id: match[1]! } }
}
