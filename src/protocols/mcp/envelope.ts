/**
 * What a request says of itself outside its method: era, version, what its client can do, and whether the headers
 * that intermediaries route by agree with the body (specification 2026-07-28, streamable-http, "Server Validation").
 */
import { decodeHeaderValue } from './codec.ts'
import {
  codes,
  type Fields,
  fieldsOf,
  isFields,
  RpcError,
  type RpcMessage,
  type RpcRequest,
  textOf,
} from './rpc.ts'
import {
  type Era,
  latestLegacy,
  legacyVersions,
  metaKeys,
  modernVersions,
  supportedVersions,
} from './versions.ts'

/** Request headers by lower-case name; a name that came twice has both values, comma between, and so matches nothing. */
export type HeaderValues = ReadonlyMap<string, string>

/** What a client says of itself: claims, which decide nothing but the form of the answer (P9). */
export interface ClientProfile {
  readonly era: Era
  readonly version: string
  readonly capabilities: Fields
  readonly info: Fields | undefined
}

export function headerValues(raw: readonly string[]): HeaderValues {
  const values = new Map<string, string>()
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const before = values.get(name)
    values.set(name, before === undefined ? raw[i + 1]! : `${before}, ${raw[i + 1]!}`)
  }
  return values
}

/** Throws RpcError with HTTP status 415 for what is not said to be JSON in UTF-8 (RFC 8259 section 8.1). */
export function checkContentType(headers: HeaderValues): void {
  const [type = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';')
  const charset = parameters.map(each => each.trim()).find(each => each.startsWith('charset='))
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset)
  if (type.trim() === 'application/json' && isUtf8) return
  throw new RpcError(codes.invalidRequest, 'Unsupported media type: Content-Type must be application/json', {
    status: 415,
  })
}

/** Throws `unsupportedVersion` for a header that names neither era. */
export function eraOf(message: RpcMessage, headers: HeaderValues): Era {
  const claimed =
    message.kind === 'response' ? undefined : fieldsOf(message.params['_meta'])[metaKeys.version]
  if (claimed !== undefined) return 'modern'
  const header = headers.get('mcp-protocol-version')
  if (header === undefined || legacyVersions.includes(header)) return 'legacy'
  // The handshake says its version in the body; a header beside it says nothing.
  if (message.kind === 'request' && message.method === 'initialize') return 'legacy'
  if (modernVersions.includes(header)) return 'modern'
  throw unsupported(header)
}

/** The profile of a modern request. Throws RpcError with HTTP status 400 where it does not hold together. */
export function modernProfile(message: RpcRequest, headers: HeaderValues): ClientProfile {
  const meta = message.params['_meta']
  if (!isFields(meta)) throw malformed('_meta is missing')
  const version = textOf(meta[metaKeys.version])
  if (version === undefined) throw malformed(`_meta lacks ${metaKeys.version}`)
  const header = headers.get('mcp-protocol-version')
  if (header === undefined) throw mismatch('MCP-Protocol-Version is missing')
  if (header !== version) throw mismatch('MCP-Protocol-Version does not match the body')
  if (!modernVersions.includes(version)) throw unsupported(version)
  const capabilities = meta[metaKeys.capabilities]
  if (!isFields(capabilities)) throw malformed(`_meta lacks ${metaKeys.capabilities}`)
  const info = meta[metaKeys.clientInfo]
  if (info !== undefined && !isFields(info)) throw malformed(`${metaKeys.clientInfo} must be an object`)
  checkNames(message, headers)
  return { era: 'modern', version, capabilities, info }
}

/** A client of 2025 that never opened a session can be asked for nothing. */
export function bareClient(headers: HeaderValues): ClientProfile {
  const version = headers.get('mcp-protocol-version') ?? '2025-03-26'
  return {
    era: 'legacy',
    version: version === '' ? latestLegacy : version,
    capabilities: {},
    info: undefined,
  }
}

/** Which member of `params` the `Mcp-Name` header repeats. */
const named: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

function checkNames({ method, params }: RpcRequest, headers: HeaderValues): void {
  const header = headers.get('mcp-method')
  if (header === undefined) throw mismatch('Mcp-Method is missing')
  if (header !== method) throw mismatch('Mcp-Method does not match the body')
  const member = named.get(method)
  if (member === undefined) return
  const value = headers.get('mcp-name')
  if (value === undefined) throw mismatch('Mcp-Name is missing')
  if (decodeHeaderValue(value) !== params[member]) throw mismatch('Mcp-Name does not match the body')
}

/** One argument that a tool's schema has mirrored into a header. */
export interface MirroredArgument {
  /** Lower case, `mcp-param-region`. */
  readonly header: string
  /** As the schema spells it, `Mcp-Param-Region`. */
  readonly written: string
  readonly path: readonly string[]
}

/** Throws `headerMismatch` where a mirrored argument and its header differ. */
export function checkMirrored(
  mirrored: readonly MirroredArgument[],
  args: Fields,
  headers: HeaderValues,
): void {
  for (const { header, written, path } of mirrored) {
    const value = valueAt(args, path)
    const raw = headers.get(header)
    if (value === undefined || value === null) {
      if (raw !== undefined) throw mismatch(`${written} is there and its argument is not`)
      continue
    }
    if (raw === undefined) throw mismatch(`${written} is missing`)
    const said = decodeHeaderValue(raw)
    if (said === undefined || !sameValue(said, value)) throw mismatch(`${written} does not match the body`)
  }
}

export function valueAt(args: Fields, path: readonly string[]): unknown {
  let value: unknown = args
  for (const step of path) value = isFields(value) && Object.hasOwn(value, step) ? value[step] : undefined
  return value
}

function sameValue(said: string, value: unknown): boolean {
  if (typeof value === 'number') return /^-?[0-9]+(?:\.0+)?$/.test(said) && Number(said) === value
  return said === String(value)
}

function malformed(why: string): RpcError {
  return new RpcError(codes.invalidParams, `Invalid params: ${why}`, { status: 400 })
}

function mismatch(why: string): RpcError {
  return new RpcError(codes.headerMismatch, `Header mismatch: ${why}`, { status: 400 })
}

function unsupported(requested: string): RpcError {
  return new RpcError(codes.unsupportedVersion, 'Unsupported protocol version', {
    status: 400,
    data: { supported: supportedVersions, requested: requested.slice(0, 64) },
  })
}
