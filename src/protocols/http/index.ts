/** The protocol `http`: any HTTP API, with operations named by method and path. */
import { z } from 'zod'
import type { Gateway } from '../../gateway/gateway.ts'
import type { OpenConnection, Protocol } from '../../gateway/protocol.ts'
import type { Risk } from '../../model/action.ts'
import type { Connection } from '../../model/connection.ts'
import { createHttpConnection } from './connection.ts'
import { type Flavour, type HttpOperation, upstreamBase } from './flavour.ts'
import { fillTemplate } from './inject.ts'
import { compileRoutes, type Route } from './routes.ts'
import { commonSettings } from './settings.ts'

export { createHttpConnection } from './connection.ts'
export { type Flavour, type HttpOperation, type HttpTarget, upstreamBase } from './flavour.ts'
export { commonSettings } from './settings.ts'

const template = z.string().describe('Text in which `${name}` stands for a secret of the `credential` block')

const injection = z.union([
  z.strictObject({ header: z.string(), value: template }).describe('A header, such as `Bearer ${api_token}`'),
  z.strictObject({ query: z.string(), value: template }).describe('A query parameter'),
  z
    .strictObject({ basic: z.strictObject({ username: template, password: template }) })
    .describe('Basic authentication (RFC 7617)'),
])

const route = z.strictObject({
  match: z
    .string()
    .regex(/^[A-Z]+ \/\S*$/, 'write a method and a path template: GET /users/{id}')
    .describe('Method and path template, `GET /users/{id}`; this is also the name of the operation'),
  operation: z.string().min(1).optional().describe('Another name for it'),
  risk: z.enum(['read', 'write', 'delete', 'admin']).optional().describe('Default: by the method'),
})

export const httpSettings = z.strictObject({
  url: z
    .string()
    .refine(isBase, 'write an http or https URL without credentials, query or fragment')
    .describe('Address of the upstream; a path is put before every request’s'),
  inject: z
    .array(injection)
    .default([])
    .describe('How the upstream is told who is asking: with secrets that no client sees'),
  token_headers: z
    .array(z.string())
    .default([])
    .describe('Headers besides Authorization in which clients may send the gateway’s token'),
  token_query: z.array(z.string()).default([]).describe('Query parameters in which clients may send it'),
  routes: z
    .array(route)
    .default([])
    .describe(
      'The operations of this API. Once there are any, a path that matches none is an unknown operation.',
    ),
  ...commonSettings,
})

export type HttpSettings = z.output<typeof httpSettings>

export const httpProtocol: Protocol = {
  name: 'http',
  settings: httpSettings,
  /** `*`: any names; `inject` and `tls.client` say which are used. */
  credential: { required: [], optional: ['*'] },
  open(connection: Connection, gateway: Gateway): OpenConnection {
    const settings = connection.settings as HttpSettings
    return createHttpConnection({ connection, gateway, flavour: httpFlavour(settings) })
  },
}

export function httpFlavour(settings: HttpSettings): Flavour {
  const upstream = upstreamBase(settings.url)
  const routes = compileRoutes(settings.routes.map(routeOf))
  const closed = settings.routes.length > 0
  const injected = settings.inject
  return {
    settings,
    upstreams: [upstream],
    credentials: {
      headers: ['authorization', ...settings.token_headers.map(name => name.toLowerCase())],
      query: settings.token_query,
    },
    injects: {
      headers: injected.flatMap(each =>
        'header' in each ? [each.header] : 'basic' in each ? ['authorization'] : [],
      ),
      query: injected.flatMap(each => ('query' in each ? [each.query] : [])),
    },
    operationOf({ method, path }): HttpOperation {
      const found = routes.find(method, path)
      if (found === undefined) {
        return { operation: `${method} ${path}`, params: {}, known: !closed, risk: riskOf(method), upstream }
      }
      const { operation, template: matched, risk } = found.route
      return { operation, template: matched, params: found.params, known: true, risk, upstream }
    },
    inject: (_operation, secrets) => ({
      headers: injected.flatMap(each => headerOf(each, secrets)),
      query: injected.flatMap(each =>
        'query' in each ? [[each.query, fillTemplate(each.value, secrets)] as const] : [],
      ),
    }),
  }
}

function headerOf(
  each: HttpSettings['inject'][number],
  secrets: Readonly<Record<string, string>>,
): (readonly [string, string])[] {
  if ('header' in each) return [[each.header, fillTemplate(each.value, secrets)]]
  if (!('basic' in each)) return []
  const pair = `${fillTemplate(each.basic.username, secrets)}:${fillTemplate(each.basic.password, secrets)}`
  return [['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`]]
}

function routeOf({ match, operation, risk }: HttpSettings['routes'][number]): Route {
  const space = match.indexOf(' ')
  const method = match.slice(0, space)
  return {
    method,
    template: match.slice(space + 1),
    operation: operation ?? match,
    risk: risk ?? riskOf(method),
  }
}

/** RFC 9110 section 9.2.1: the safe methods only read. What is unknown may do anything, so it writes. */
export function riskOf(method: string): Risk {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'QUERY':
    case 'SEARCH':
    case 'PROPFIND':
      return 'read'
    case 'DELETE':
    case 'PURGE':
      return 'delete'
    default:
      return 'write'
  }
}

function isBase(url: string): boolean {
  try {
    upstreamBase(url)
    return true
  } catch {
    return false
  }
}
