/** Which header fields pass, in which direction. Lists are flat, `[name, value, name, value, ...]`, in wire order. */
import type { CredentialPlaces } from './flavour.ts'
import type { CommonSettings } from './settings.ts'

/** Fields that end at each hop (RFC 9110 section 7.6.1), and what old proxies add to them. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/**
 * Fields that no trailer may hold, since a recipient that merges them into the head would be told another message
 * (RFC 9110 section 6.5.1): framing, routing, credentials, content's form and control of the answer.
 */
const headOnly: ReadonlySet<string> = new Set([
  ...hopByHop,
  'age',
  'alt-svc',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'date',
  'expires',
  'host',
  'link',
  'location',
  'pragma',
  'retry-after',
  'set-cookie',
  'strict-transport-security',
  'vary',
  'warning',
  'www-authenticate',
])

/** Whether a trailer of this name (lower case) may pass. */
export function mayTrail(name: string): boolean {
  return !headOnly.has(name) && !name.startsWith('access-control-')
}

/** Fields that carry a client's own credential in common APIs. Stripped unless a connection passes them by name. */
const credentialHeaders = [
  'authorization',
  'cookie',
  'dd-api-key',
  'dd-application-key',
  'x-api-key',
  'api-key',
  'x-auth-token',
  'x-access-token',
  'x-amz-security-token',
  'x-goog-api-key',
  'private-token',
  'job-token',
]

/** What clients say about where they come from: no fact, so the upstream is not told (P9). */
const claimHeaders = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
]

/** Fields by which some servers replace the method or the path: the action judged would not be the one that runs. */
const overrideHeaders = [
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
]

/** What is done with a request header. */
export type RequestRule = 'drop' | 'refuse' | 'cookie' | 'encoding'

/** The rules of a connection by lower-case name; what has no rule passes. Compiled once. */
export function requestRules(
  settings: CommonSettings,
  credentials: CredentialPlaces,
  injected: readonly string[],
): ReadonlyMap<string, RequestRule> {
  const rules = new Map<string, RequestRule>()
  for (const name of overrideHeaders) rules.set(name, 'refuse')
  for (const name of credentialHeaders) rules.set(name, 'drop')
  for (const name of claimHeaders) rules.set(name, 'drop')
  rules.set('accept-encoding', 'encoding')
  for (const name of settings.headers.pass) rules.delete(name.toLowerCase())
  if (settings.headers.cookies.length > 0) rules.set('cookie', 'cookie')
  for (const name of settings.headers.strip) rules.set(name.toLowerCase(), 'drop')
  for (const name of credentials.headers) rules.set(name, 'drop')
  for (const name of injected) rules.set(name.toLowerCase(), 'drop')
  // Set anew for the upstream connection: address, framing, and the 100 that was ours to answer.
  for (const name of ['host', 'content-length', 'expect', 'range', 'if-range']) rules.set(name, 'drop')
  for (const name of hopByHop) rules.set(name, 'drop')
  return rules
}

/** The names that `Connection` lists as ending here too; undefined where it lists none of interest. */
export function connectionOptions(values: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (const value of values) {
    const plain = value.toLowerCase()
    if (plain === 'keep-alive' || plain === 'close') continue
    for (const option of plain.split(',')) (names ??= new Set()).add(option.trim())
  }
  return names
}

/** The named cookies of a `Cookie` value, as they stand; empty where none is left. */
export function keepCookies(value: string, names: readonly string[]): string {
  return value
    .split(';')
    .map(pair => pair.trim())
    .filter(pair => names.includes(cookieName(pair)))
    .join('; ')
}

/** The name in a `name=value` cookie or in a `Set-Cookie`. */
export function cookieName(text: string): string {
  const end = text.search(/[=;]/)
  return (end < 0 ? text : text.slice(0, end)).trim()
}

/** Encodings that the mask can look into. */
const readable: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'br', 'deflate', 'zstd', 'identity', '*'])

/** An `Accept-Encoding` without what could not be masked; as it stands where there is none of that. */
export function acceptReadable(value: string): string {
  const offers = value.split(',')
  const kept = offers.filter(offer => readable.has(offer.split(';', 1)[0]!.trim().toLowerCase()))
  if (kept.length === offers.length) return value
  return kept.length === 0 ? 'identity' : kept.join(',').trim()
}

/** A masked value in the characters that a field may hold (RFC 9110 section 5.5): the mask's own words may not be. */
export function fieldText(value: string): string {
  return /[^\t\x20-\x7e\x80-\xff]/.test(value) ? value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '*') : value
}
