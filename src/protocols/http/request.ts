/** Reads and checks a request's head: one pass over its header lines, refusing what two parties could frame apart. */
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors.ts'
import {
  canonicalHost,
  canonicalPath,
  judgedPath,
  parseQuery,
  type QueryPart,
  sentPath,
  splitTarget,
} from './codec.ts'
import type { CredentialPlaces } from './flavour.ts'
import { acceptReadable, connectionOptions, keepCookies, type RequestRule } from './headers.ts'
import type { CommonSettings } from './settings.ts'

/** What a connection knows in advance about its requests. */
export interface RequestPolicy {
  readonly settings: CommonSettings
  readonly rules: ReadonlyMap<string, RequestRule>
  readonly places: CredentialPlaces
  /** Query parameters that never go upstream, lower case. */
  readonly strippedQuery: ReadonlySet<string>
  /** See `Flavour`. */
  readonly keepsEscapes?: true | undefined
}

/** A request's head, checked and free of credentials. */
export interface RequestHead {
  readonly method: string
  /** `1.0`, `1.1` or `2.0`. */
  readonly version: string
  /** Canonical, without the connection's base. */
  readonly path: string
  /** As it is sent, where that is another spelling of `path`; what an approval binds to. */
  readonly sent?: string
  /** As it is judged: `path` without a trailing slash. */
  readonly judged: string
  /** In order, without credentials. */
  readonly query: readonly QueryPart[]
  /** Name and value in turn, as received and in order, without what ends here. */
  readonly headers: readonly string[]
  /** What the client calls us, canonical; empty with HTTP/1.0. */
  readonly authority: string
  readonly contentType: string | undefined
  /** Lower case, in the order applied. */
  readonly encodings: readonly string[]
  /** Declared body length; undefined where there is no body or it is chunked. */
  readonly contentLength: number | undefined
  readonly hasBody: boolean
  readonly expectsContinue: boolean
  readonly range: string | undefined
  readonly ifRange: string | undefined
  readonly agent: string | undefined
  /** The client asks for trailers (RFC 9110 section 10.1.4). */
  readonly takesTrailers?: boolean
  /** As it came (W3C Trace Context). */
  readonly traceparent?: string | undefined
  /** How long the client is ready to wait, from `Prefer: wait` (RFC 7240 section 4.3). */
  readonly waitSeconds: number | undefined
  /** The client would rather come back for the answer, from `Prefer: respond-async` (RFC 7240 section 4.1). */
  readonly respondAsync: boolean
  /** What the client presented, in the order of the places; never stored. */
  readonly tokens: readonly string[]
}

/** Gathers while the header lines are read. */
interface Scan {
  headers: string[]
  host: string | undefined
  length: string | undefined
  coding: string | undefined
  type: string | undefined
  encodings: string[]
  expect: string | undefined
  range: string | undefined
  ifRange: string | undefined
  agent: string | undefined
  trailers: boolean
  traceparent: string | undefined
  wait: number | undefined
  async: boolean
  options: string[] | undefined
  presented: Map<string, string> | undefined
}

/**
 * Throws GatewayError with the right code: `invalid-request`, `uri-too-long`, `headers-too-large`,
 * `body-too-large`, `method-not-allowed`, `expectation-failed`. `base` is the prefix of the target that named the connection.
 */
export function readHead(request: IncomingMessage, base: string, policy: RequestPolicy): RequestHead {
  const { limits } = policy.settings
  const method = request.method ?? ''
  const target = request.url ?? ''
  if (target.length > limits.url_length) throw new GatewayError('uri-too-long')
  if (method === 'TRACE' || method === 'CONNECT') throw new GatewayError('method-not-allowed')
  const { path, query } = splitTarget(withinBase(target, base))
  const canonical = canonicalPath(path)
  const scan = scanHeaders(request.rawHeaders, policy)
  const version = request.httpVersion
  const authority = checkHost(scan.host, request, version)
  const contentLength = checkFraming(scan, request, version)
  if (contentLength !== undefined && contentLength > limits.body) throw new GatewayError('body-too-large')
  if (scan.options !== undefined) dropOptions(scan)
  const parts = query === undefined || query === '' ? [] : parseQuery(query)
  const tokens = tokensOf(scan.presented, parts, policy.places)
  const expectsContinue = checkExpect(scan.expect)
  return {
    method,
    version,
    path: canonical,
    ...(policy.keepsEscapes === true && canonical !== path ? { sent: sentPath(path) } : {}),
    judged: judgedPath(canonical),
    query: parts.length === 0 ? parts : withoutCredentials(parts, tokens, policy.strippedQuery),
    headers: tokens.length === 0 ? scan.headers : withoutTokens(scan.headers, canonical, tokens),
    authority,
    contentType: scan.type,
    encodings: scan.encodings,
    contentLength,
    hasBody: hasBody(scan, request, contentLength),
    expectsContinue,
    range: scan.range,
    ifRange: scan.ifRange,
    agent: scan.agent,
    takesTrailers: scan.trailers,
    traceparent: scan.traceparent,
    waitSeconds: scan.wait,
    respondAsync: scan.async,
    tokens,
  }
}

/** The connection's own part of a target: `/c/demo?x` and `/c/demo` mean its root. */
function withinBase(target: string, base: string): string {
  const rest = target.slice(base.length)
  return rest === '' || rest.startsWith('?') ? `/${rest}` : rest
}

function scanHeaders(raw: readonly string[], policy: RequestPolicy): Scan {
  const { limits, headers: settings } = policy.settings
  if (raw.length > limits.header_count * 2) throw new GatewayError('headers-too-large')
  const scan: Scan = {
    headers: [],
    host: undefined,
    length: undefined,
    coding: undefined,
    type: undefined,
    encodings: [],
    expect: undefined,
    range: undefined,
    ifRange: undefined,
    agent: undefined,
    trailers: false,
    traceparent: undefined,
    wait: undefined,
    async: false,
    options: undefined,
    presented: undefined,
  }
  let size = 0
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    size += name.length + value.length + 4
    if (name.charCodeAt(0) === 0x3a) continue // pseudo-headers of HTTP/2 are in method, url and :authority
    const lower = name.toLowerCase()
    note(scan, lower, value)
    if (policy.places.headers.includes(lower)) present(scan, lower, value)
    const rule = policy.rules.get(lower)
    if (rule === undefined) scan.headers.push(name, value)
    else if (rule === 'refuse') throw invalid(`the header ${lower} would change what runs`)
    else if (rule === 'encoding') scan.headers.push(name, acceptReadable(value))
    else if (rule === 'cookie') {
      const kept = keepCookies(value, settings.cookies)
      if (kept !== '') scan.headers.push(name, kept)
    }
  }
  if (size > limits.headers) throw new GatewayError('headers-too-large')
  return scan
}

function note(scan: Scan, name: string, value: string): void {
  switch (name) {
    case 'host':
      if (scan.host !== undefined) throw invalid('more than one Host')
      scan.host = value
      break
    case 'content-length':
      if (scan.length !== undefined) throw invalid('more than one Content-Length')
      scan.length = value
      break
    case 'transfer-encoding':
      if (scan.coding !== undefined) throw invalid('more than one Transfer-Encoding')
      scan.coding = value
      break
    case 'content-type':
      if (scan.type !== undefined) throw invalid('more than one Content-Type')
      scan.type = value
      break
    case 'content-encoding':
      for (const coding of value.toLowerCase().split(',')) {
        if (coding.trim() !== '' && coding.trim() !== 'identity') scan.encodings.push(coding.trim())
      }
      break
    case 'connection':
      ;(scan.options ??= []).push(value)
      break
    case 'expect':
      scan.expect = scan.expect === undefined ? value : `${scan.expect},${value}`
      break
    case 'range':
      scan.range = value
      break
    case 'if-range':
      scan.ifRange = value
      break
    case 'prefer': {
      const seconds = /(?:^|[,;])[ \t]*wait=([0-9]{1,5})/i.exec(value)?.[1]
      if (seconds !== undefined) scan.wait = Number(seconds)
      if (/(?:^|,)[ \t]*respond-async[ \t]*(?:[,;]|$)/i.test(value)) scan.async = true
      break
    }
    case 'te':
      if (/(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)) scan.trailers = true
      break
    case 'traceparent':
      scan.traceparent ??= value
      break
    case 'user-agent':
      scan.agent ??= value
      break
    default:
  }
}

function present(scan: Scan, name: string, value: string): void {
  const presented = (scan.presented ??= new Map<string, string>())
  if (presented.has(name)) throw invalid(`more than one ${name}`)
  presented.set(name, value)
}

/** RFC 9112 section 3.2: exactly one Host with HTTP/1.1. With HTTP/2 a Host may only repeat the authority. */
function checkHost(host: string | undefined, request: IncomingMessage, version: string): string {
  const secure = 'encrypted' in request.socket
  const authority = version === '2.0' ? (request.headers as Record<string, unknown>)[':authority'] : undefined
  const named = typeof authority === 'string' ? authority : host
  if (named === undefined) {
    if (version === '1.0') return ''
    throw invalid('no Host')
  }
  const canonical = canonicalHost(named, secure)
  if (canonical === undefined) throw invalid('the Host is not valid')
  if (typeof authority === 'string' && host !== undefined) {
    if (canonicalHost(host, secure)?.authority !== canonical.authority)
      throw invalid('Host and :authority differ')
  }
  return canonical.authority
}

/** RFC 9112 section 6.3. Node's parser refuses most of it before; what it lets through ends here. */
function checkFraming(scan: Scan, request: IncomingMessage, version: string): number | undefined {
  // A request line may claim HTTP/2.0; only the compatibility layer of HTTP/2 has a stream.
  const supported = version === '2.0' ? 'stream' in request : version === '1.1' || version === '1.0'
  if (!supported) throw invalid('the HTTP version is not supported')
  if (request.rawHeaders.length === 0 && version === '1.0') throw invalid('a request without a head')
  if (scan.coding !== undefined) {
    if (version !== '1.1') throw invalid('Transfer-Encoding outside HTTP/1.1')
    if (scan.length !== undefined) throw invalid('both Content-Length and Transfer-Encoding')
    if (scan.coding.trim().toLowerCase() !== 'chunked')
      throw invalid('a transfer coding that is not supported')
    return undefined
  }
  if (scan.length === undefined) return undefined
  if (!/^[0-9]{1,15}$/.test(scan.length)) throw invalid('the Content-Length is not valid')
  return Number(scan.length)
}

function hasBody(scan: Scan, request: IncomingMessage, length: number | undefined): boolean {
  if (length !== undefined) return length > 0
  if (scan.coding !== undefined) return true
  // Without a length, HTTP/2 tells by END_STREAM on the head; the compatibility layer has ended the stream then.
  const stream = (request as { stream?: { endAfterHeaders?: boolean } }).stream
  return stream?.endAfterHeaders === false
}

function checkExpect(expect: string | undefined): boolean {
  if (expect === undefined) return false
  if (expect.toLowerCase() !== '100-continue') throw new GatewayError('expectation-failed')
  return true
}

function dropOptions(scan: Scan): void {
  const names = connectionOptions(scan.options ?? [])
  if (names === undefined) return
  const kept: string[] = []
  for (let i = 0; i < scan.headers.length; i += 2) {
    if (!names.has(scan.headers[i]!.toLowerCase())) kept.push(scan.headers[i]!, scan.headers[i + 1]!)
  }
  scan.headers = kept
}

function tokensOf(
  presented: ReadonlyMap<string, string> | undefined,
  query: readonly QueryPart[],
  places: CredentialPlaces,
): string[] {
  const tokens: string[] = []
  const add = (token: string | undefined): void => {
    if (token !== undefined && token !== '' && !tokens.includes(token)) tokens.push(token)
  }
  if (presented !== undefined) {
    for (const name of places.headers) {
      const value = presented.get(name)
      if (value !== undefined) add(name === 'authorization' ? authorizationToken(value) : value.trim())
    }
  }
  for (const name of places.query) {
    for (const part of query) if (part.name === name) add(part.value)
  }
  return tokens
}

/** Bearer (RFC 6750 section 2.1), or the password of Basic (RFC 7617) for clients that know nothing else. */
function authorizationToken(value: string): string | undefined {
  const bearer = /^bearer +([^ ]+) *$/i.exec(value)
  if (bearer !== null) return bearer[1]
  const basic = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(value)
  if (basic === null) return undefined
  const pair = Buffer.from(basic[1]!, 'base64').toString()
  return pair.slice(pair.indexOf(':') + 1)
}

/** Removes parameters by name, in any case and with a `[]` suffix, and any that repeat the token elsewhere. */
function withoutCredentials(
  parts: readonly QueryPart[],
  tokens: readonly string[],
  stripped: ReadonlySet<string>,
): readonly QueryPart[] {
  const kept = parts.filter(
    part =>
      !stripped.has(part.name.toLowerCase().split('[', 1)[0]!) &&
      !tokens.some(token => part.value.includes(token) || part.name.includes(token)),
  )
  return kept.length === parts.length ? parts : kept
}

/** A token that was also put where no credential belongs must not travel on (P4). */
function withoutTokens(
  headers: readonly string[],
  path: string,
  tokens: readonly string[],
): readonly string[] {
  if (tokens.some(token => holds(path, token))) throw invalid('a credential in the path')
  let kept: string[] | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const held = tokens.some(token => holds(headers[i + 1]!, token))
    if (held) kept ??= headers.slice(0, i)
    else kept?.push(headers[i]!, headers[i + 1]!)
  }
  return kept ?? headers
}

/** Shorter tokens would be found in what is none. */
function holds(text: string, token: string): boolean {
  return token.length >= 8 && text.length >= token.length && text.includes(token)
}

function invalid(detail: string): GatewayError {
  return new GatewayError('invalid-request', { detail })
}
