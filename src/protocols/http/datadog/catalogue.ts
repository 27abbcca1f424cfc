/**
 * Datadog's operations, found by method and canonical path. Segment by segment through a tree: a literal segment wins
 * over a parameter, and where the literal leads nowhere the parameter is tried (`DELETE /api/v1/monitor/search` is the
 * deletion of a monitor called `search`). The tree bounds the work, whatever the path.
 */
import type { Risk } from '../../../model/action.ts'
import { clientVersion, operationTable } from './operations.generated.ts'

export { clientVersion }

/** Which of Datadog's hosts an operation lives at, by the first part of their names. */
export type HostKind =
  | 'api'
  | 'http-intake.logs'
  | 'event-management-intake'
  | 'ip-ranges'
  | 'app'
  | 'navy.oncall'
  | 'browser-intake'

/** What it wants: the pair of keys or a token, the API key alone, a bearer token alone, nothing. */
export type CredentialKind = 'keys' | 'api-key' | 'oauth' | 'none'

export interface DatadogOperation {
  /** `v1.createDashboard`. */
  readonly name: string
  readonly method: string
  /** `/api/v1/monitor/{monitor_id}`. */
  readonly template: string
  /** Datadog's grouping: `Dashboards`, `KeyManagement`. */
  readonly tag: string
  readonly risk: Risk
  readonly host: HostKind
  readonly credentials: CredentialKind
  /** Datadog may still change it. */
  readonly unstable: boolean
  /** Whether its request may carry secrets, by Datadog's own models. */
  readonly takesSecrets: boolean
  /** Whether its answer may. */
  readonly returnsSecrets: boolean
  /** Whether its very path does (`/api/v1/api_key/{key}`). */
  readonly secretPath: boolean
}

export interface Match {
  readonly operation: DatadogOperation
  /** Percent-decoded. */
  readonly params: Readonly<Record<string, string>>
}

interface Node {
  readonly literals: Map<string, Node>
  parameter: Node | undefined
  readonly operations: Map<
    string,
    { readonly operation: DatadogOperation; readonly names: readonly string[] }
  >
}

/** Every operation, in the order of the table. */
export const operations: readonly DatadogOperation[] = operationTable.trim().split('\n').map(operationOf)

const deepest = Math.max(...operations.map(({ template }) => template.split('/').length - 1))
const root: Node = node()
for (const operation of operations) insert(operation)

/**
 * The operation that this request asks for; undefined where there is none. HEAD is looked up as GET (RFC 9110
 * section 9.3.2), a trailing slash is ignored. A segment that holds an escaped slash matches no parameter: servers
 * disagree on what it is, so `monitor/1%2Fmute` is an unknown operation and not a read of a monitor.
 */
export function findOperation(method: string, path: string): Match | undefined {
  const segments = path === '/' ? [] : path.slice(1, path.endsWith('/') ? -1 : undefined).split('/')
  if (segments.length > deepest) return undefined
  return find(root, segments, { method: method === 'HEAD' ? 'GET' : method, at: 0, values: [] })
}

interface Search {
  readonly method: string
  readonly at: number
  readonly values: readonly string[]
}

function find(from: Node, segments: readonly string[], { method, at, values }: Search): Match | undefined {
  const segment = segments[at]
  if (segment === undefined) {
    const end = from.operations.get(method)
    if (end === undefined) return undefined
    return {
      operation: end.operation,
      params: Object.fromEntries(end.names.map((name, i) => [name, values[i]!])),
    }
  }
  const literal = from.literals.get(segment)
  const match = literal === undefined ? undefined : find(literal, segments, { method, at: at + 1, values })
  if (match !== undefined) return match
  if (from.parameter === undefined) return undefined
  const value = parameterValue(segment)
  if (value === undefined) return undefined
  return find(from.parameter, segments, { method, at: at + 1, values: [...values, value] })
}

function parameterValue(segment: string): string | undefined {
  if (segment === '') return undefined
  if (!segment.includes('%')) return segment
  try {
    const value = decodeURIComponent(segment)
    return value.includes('/') || value.includes('\\') ? undefined : value
  } catch {
    return undefined
  }
}

function insert(operation: DatadogOperation): void {
  let at = root
  const names: string[] = []
  for (const segment of operation.template.split('/').slice(1)) {
    if (segment === '') continue
    if (segment.startsWith('{')) {
      names.push(segment.slice(1, -1))
      at = at.parameter ??= node()
    } else {
      let next = at.literals.get(segment)
      if (next === undefined) at.literals.set(segment, (next = node()))
      at = next
    }
  }
  at.operations.set(operation.method, { operation, names })
}

function node(): Node {
  return { literals: new Map(), parameter: undefined, operations: new Map() }
}

function operationOf(row: string): DatadogOperation {
  const [version, method, template, name, tag, risk, host, credentials, flags] = row.split(' ')
  return {
    name: `${version}.${name}`,
    method: method!,
    template: template!,
    tag: tag!,
    risk: risk as Risk,
    host: host as HostKind,
    credentials: credentials as CredentialKind,
    unstable: flags!.includes('u'),
    takesSecrets: flags!.includes('q'),
    returnsSecrets: flags!.includes('r'),
    secretPath: /\{(?:key|token)\}/.test(template!),
  }
}
