import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { EventKind } from '../audit/events.ts'
import type { Subject } from '../model/subject.ts'
import type { Services } from './services.ts'

/** What the gateway's own API lets a role do. `public` asks for no credential. */
export type Permission = 'public' | 'user' | 'auditor' | 'approver' | 'admin'

export type Role = Exclude<Permission, 'public'>

/** Who calls the API. */
export interface Caller {
  readonly subject: Subject
  readonly roles: ReadonlySet<Role>
  /** Where the caller is a browser that signed in. */
  readonly browser?: BrowserCaller
  /** Fires when the caller's session is over, where it has one: streams that it opened end with it. */
  readonly ended?: AbortSignal
}

export interface BrowserCaller {
  /** What every request that changes something must bring in the header `X-Sallyport-Csrf`. */
  readonly csrf: string
  /** When the session ends, milliseconds since the epoch, unless it is idle before. */
  readonly expiresAt: number
}

/** What a handler is given: its inputs, already checked. */
export interface Call<P, Q, B> {
  readonly services: Services
  readonly caller: Caller
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly request: IncomingMessage
  /** For routes whose answer is a stream. */
  readonly response: ServerResponse
  /** Fires when the caller has gone away. */
  readonly signal: AbortSignal
}

/**
 * An endpoint as data. `permission` and `audit` are required, so an unguarded or unaudited route can't be written.
 * `openapi.json` is generated from these.
 */
export interface Route<P = unknown, Q = unknown, B = unknown> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** OpenAPI template below `/api/v1`, such as `/sessions/{id}`. */
  readonly path: string
  /** Noun first: `sessions.list`. */
  readonly id: string
  readonly summary: string
  readonly permission: Permission
  /** The entry that a call writes before anything is shown or changed, or why it writes none. */
  readonly audit: EventKind | { readonly none: string }
  readonly params?: z.ZodType<P>
  readonly query?: z.ZodType<Q>
  readonly body?: z.ZodType<B>
  /** The handler gets the body's exact bytes, whatever their type: for callers who sign them. Instead of `body`. */
  readonly raw?: true
  readonly responses: Readonly<
    Record<number, { readonly description: string; readonly schema?: z.ZodType; readonly type?: string }>
  >
  /** Returns the JSON of the first response, or `streamed` when it has written the answer itself. */
  handler(call: Call<P, Q, B>): unknown
}

/** What a handler returns once it has answered by itself. */
export const streamed: unique symbol = Symbol('streamed')

/** Gives a route its types from its schemas. */
export function route<P, Q>(definition: Route<P, Q, Buffer> & { readonly raw: true }): Route
export function route<P, Q, B>(definition: Route<P, Q, B> & { readonly raw?: never }): Route
export function route<P, Q, B>(definition: Route<P, Q, B>): Route {
  return definition as unknown as Route
}
