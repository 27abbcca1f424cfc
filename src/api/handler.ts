/**
 * The one door for the CLI, the console and scripts: checks who calls, what they may, and what they sent; then runs
 * the route. Nothing here reaches an upstream.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import { asGatewayError, GatewayError } from '../errors.ts'
import { EntriesPrunedError } from '../storage/storage.ts'
import { problemOf } from './problem.ts'
import { parseJson, readBytes } from './read-body.ts'
import { type Call, type Caller, type Role, type Route, streamed } from './route.ts'
import { createRouter } from './router.ts'
import type { Services } from './services.ts'

export const apiBase = '/api/v1'
const bodyLimit = 1024 * 1024

/** Says who is behind a request: a credential in `Authorization`, or the local socket. Throws `unauthenticated`. */
export type Identify = (request: IncomingMessage) => Promise<Caller>

export interface ApiHandler {
  /** Answers a request whose path begins with `/api/v1`. Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse, identify: Identify): Promise<void>
  /**
   * The same door for what stands in this process: a route by its id, with the same checks of role and inputs. Not for
   * routes that stream. Throws GatewayError.
   */
  call(id: string, asked: Asked): Promise<unknown>
}

/** What `call` is asked with. `request` and `response` are those of the caller's own conversation. */
export interface Asked
  extends Pick<Call<unknown, unknown, unknown>, 'caller' | 'request' | 'response' | 'signal'> {
  readonly params?: unknown
  readonly query?: unknown
  readonly body?: unknown
}

export function createApi(services: Services, routes: readonly Route[]): ApiHandler {
  const find = createRouter(routes)

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    identify: Identify,
  ): Promise<void> {
    const [path, search] = splitTarget(request.url ?? '/')
    const match = find(request.method ?? 'GET', path.slice(apiBase.length))
    if ('allowed' in match) {
      if (match.allowed.length === 0) throw new GatewayError('not-found')
      response.setHeader('allow', match.allowed.join(', '))
      throw new GatewayError('method-not-allowed')
    }
    const { route } = match
    const caller = route.permission === 'public' ? nobody : await identify(request)
    checkCaller(services, route, caller)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const { ended } = caller
    const call: Call<unknown, unknown, unknown> = {
      services,
      caller,
      request,
      response,
      signal: ended === undefined ? gone.signal : AbortSignal.any([gone.signal, ended]),
      params: check(route.params, match.params, 'path'),
      query: check(route.query, queryOf(search), 'query'),
      body: await bodyOf(route, request),
    }
    const result = await route.handler(call)
    if (result !== streamed) send(response, Number(Object.keys(route.responses)[0] ?? 200), result)
  }

  return {
    async call(id, { caller, params = {}, query = {}, body, ...asked }) {
      const route = routes.find(each => each.id === id)
      if (route === undefined) throw new TypeError(`no route ${id}`)
      checkCaller(services, route, caller)
      try {
        const result = await route.handler({
          services,
          caller,
          ...asked,
          params: check(route.params, params, 'path'),
          query: check(route.query, query, 'query'),
          body: check(route.body, body, 'body'),
        })
        if (result === streamed) throw new TypeError(`${id} is a stream`)
        return result
      } catch (cause) {
        throw faultOf(cause)
      }
    },
    async handle(request, response, identify) {
      response.setHeader('cache-control', 'no-store')
      response.setHeader('x-content-type-options', 'nosniff')
      try {
        await answer(request, response, identify)
      } catch (cause) {
        const error = faultOf(cause)
        if (error.code === 'internal')
          services.logger.error('api', { path: request.url?.split('?')[0], error: String(cause) })
        // Where a body was left unread nobody knows where the next request begins.
        if (error.code === 'body-too-large' && !response.headersSent)
          response.setHeader('connection', 'close')
        refuse(response, error)
      }
    },
  }
}

/** Throws `denied` for who lacks the role, or is suspended. */
function checkCaller(services: Services, { permission }: Route, { roles, subject }: Caller): void {
  if (permission === 'public') return
  if (!roles.has(permission))
    throw new GatewayError('denied', { detail: `this needs the role ${permission}` })
  // Whoever runs the gateway on this machine is not shut out of it.
  const suspended = subject.method === 'local' ? undefined : services.restrictions.suspension(subject)
  if (suspended === undefined) return
  throw new GatewayError('denied', { detail: `you are suspended until a person clears it (${suspended.id})` })
}

/** What retention removed is no fault of the gateway. */
function faultOf(cause: unknown): GatewayError {
  if (!(cause instanceof EntriesPrunedError)) return asGatewayError(cause)
  return new GatewayError('not-found', { detail: cause.message, cause })
}

const nobody: Caller = {
  subject: { issuer: 'sallyport', id: 'anonymous', kind: 'service', groups: [], method: 'none', claims: {} },
  roles: new Set<Role>(),
}

function refuse(response: ServerResponse, error: GatewayError): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (error.code === 'unauthenticated') response.setHeader('www-authenticate', 'Bearer realm="sallyport"')
  response.setHeader('content-type', 'application/problem+json')
  response.statusCode = error.status
  response.end(JSON.stringify(problemOf(error)))
}

function send(response: ServerResponse, status: number, result: unknown): void {
  response.statusCode = status
  if (result === undefined) {
    response.end()
    return
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(result))
}

function splitTarget(target: string): [string, string] {
  const at = target.indexOf('?')
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
}

/** One value per name as a string, several as a list. */
function queryOf(search: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {}
  for (const [name, value] of new URLSearchParams(search)) {
    const earlier = Object.hasOwn(query, name) ? query[name] : undefined
    query[name] =
      earlier === undefined ? value : Array.isArray(earlier) ? [...earlier, value] : [earlier, value]
  }
  return query
}

function check(schema: z.ZodType | undefined, value: unknown, where: string): unknown {
  if (schema === undefined) return value
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const detail = result.error.issues
    .map(issue => `${[where, ...issue.path].join('.')}: ${issue.message}`)
    .join('; ')
  throw new GatewayError('invalid-request', { detail })
}

async function bodyOf(route: Route, request: IncomingMessage): Promise<unknown> {
  if (route.raw === true) return await readBytes(request, bodyLimit)
  return route.body === undefined ? undefined : check(route.body, await readJson(request), 'body')
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  const bytes = await readBytes(request, bodyLimit)
  if (bytes.length === 0) return {}
  // A form post from another site can't send this type without asking first, so this also stops cross-site posts.
  if (type !== 'application/json')
    throw new GatewayError('invalid-request', { detail: 'send application/json' })
  return parseJson(bytes)
}
