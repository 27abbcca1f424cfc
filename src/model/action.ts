/** What an action does to its resource, the gravest wins. `admin` changes who may do what, or blinds the watchers. */
export type Risk = 'read' | 'write' | 'delete' | 'admin'

/** All names by which rules may know one thing; the first is exact (`public.orders`), others are shorter (`orders`). */
export type ResourceNames = readonly [string, ...string[]]

/**
 * One thing asked for inside a session, free of protocol: an HTTP request, an SQL statement, an MCP call.
 * A protocol makes it from its own message; policy, guards, approvals and audit read nothing else.
 */
export interface Action {
  /** Unique, time-ordered (`a_` and a UUIDv7 in base32). */
  readonly id: string
  /** The name rules select by: `v1.updateMonitor`, `GET /status`, `DROP TABLE`, `tools/call:search_logs`. */
  readonly operation: string
  /** False where the protocol's catalogue does not know the operation: then only a rule that names it can permit. */
  readonly known: boolean
  readonly risk: Risk
  /** The canonical address of what is acted on, without secrets: a path, a table list, a tool. */
  readonly resource: string
  /**
   * What is acted on, thing by thing, where the protocol can tell; read only where `Demands.resources` asked for it.
   * What can't be told apart is listed with all that may be meant: rules that restrict match any, an allow needs all.
   */
  readonly resources?: readonly ResourceNames[]
  /**
   * What conditions see as `request`: plain JSON values, protocol-shaped, made from the very bytes that will be
   * forwarded. A part that was not read (a streamed body) is absent.
   */
  readonly content: Readonly<Record<string, unknown>>
  /**
   * SHA-256, hex, of the action's canonical bytes: equal exactly when the same thing would run. Approvals bind to
   * it. Only complete when the whole action was read (see `Demands` in policy).
   */
  digest(): string
  /** Facts for the entry, namespaced by protocol (`{ http: {...} }`), already masked, plain JSON, under 8 kB. */
  readonly facts: Readonly<Record<string, unknown>>
}
