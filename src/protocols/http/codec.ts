/**
 * Request targets and hosts in one spelling. What is judged is what is sent, so each path has exactly one form here,
 * and what two servers could read differently is refused (RFC 3986 section 6.2.2, RFC 9110 section 4.2.3).
 */
import { GatewayError } from '../../errors.ts'

/** One `name=value` of a query: the bytes as received, and what they decode to. */
export interface QueryPart {
  readonly raw: string
  readonly name: string
  readonly value: string
}

/** Splits an origin-form target (RFC 9112 section 3.2.1). Throws `invalid-request` for anything else. */
export function splitTarget(target: string): { readonly path: string; readonly query: string | undefined } {
  if (!target.startsWith('/')) throw invalid('the request target must be a path')
  if (target.includes('#')) throw invalid('a fragment in the request target')
  const mark = target.indexOf('?')
  return mark < 0
    ? { path: target, query: undefined }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/** Already canonical: plain segments that begin with no dot. Each `/` starts a segment, so this can't backtrack. */
const plainPath = /^(?:\/[A-Za-z0-9_~:@!$&'()*+,=-][A-Za-z0-9._~:@!$&'()*+,=-]*)+\/?$/

/**
 * The one spelling of a path: escapes of characters that a segment may hold are decoded, the others upper-cased;
 * characters that it may not hold are escaped; dot segments and empty segments are gone. An escaped slash stays
 * escaped and so never equals a slash. A trailing slash is kept.
 *
 * Throws `invalid-request` for what servers are known to disagree on: backslashes, `;` parameters, control
 * characters, broken escapes, escapes that are no UTF-8 (overlong dots and slashes among them), escapes of escapes
 * that hide a separator, and dot segments that climb above the root.
 */
export function canonicalPath(path: string): string {
  if (path === '/' || plainPath.test(path)) return path
  return withoutDots(unescapePath(path))
}

/**
 * The same path in its sender's spelling where that is another: escapes of reserved characters (RFC 3986 section 2.2:
 * `:@!$&'()*+,=`) stay escapes. Throws as `canonicalPath`.
 */
export function sentPath(path: string): string {
  if (!path.includes('%')) return canonicalPath(path)
  return withoutDots(unescapePath(path, unreservedCharacter))
}

/** What is judged: `/admin/` and `/admin` reach the same thing in most servers, so a rule sees one of them. */
export function judgedPath(canonical: string): string {
  return canonical.length > 1 && canonical.endsWith('/') ? canonical.slice(0, -1) : canonical
}

const segmentCharacter = /[A-Za-z0-9._~:@!$&'()*+,=-]/
const unreservedCharacter = /[A-Za-z0-9._~-]/
/** `%25` and then hex digits that would decode to a separator, a dot, `;` or a control character. */
const hiddenSeparator = /%25(?:2[ef]|5c|3b|[01][0-9a-f]|7f|25)/i

/** Decodes the escapes of characters that are `plain`. */
function unescapePath(path: string, plain = segmentCharacter): string {
  if (hiddenSeparator.test(path)) throw invalid('an escaped escape in the path')
  let out = ''
  let beyondAscii = false
  for (let at = 0; at < path.length; at++) {
    const character = path[at]!
    const code = character.charCodeAt(0)
    if (character === '%') {
      const byte = hexByte(path, at + 1)
      out += unescaped(byte, plain)
      if (byte > 0x7f) beyondAscii = true
      at += 2
    } else if (character === '/' || segmentCharacter.test(character)) out += character
    else if (character === '\\') throw invalid('a backslash in the path')
    else if (character === ';') throw invalid('path parameters (;) are not supported')
    else if (code < 0x20 || code >= 0x7f) throw invalid('a character in the path that must be escaped')
    else out += escapeByte(code)
  }
  if (beyondAscii) requireUtf8(out)
  return out
}

function unescaped(byte: number, plain: RegExp): string {
  if (byte < 0x20 || byte === 0x7f) throw invalid('a control character in the path')
  if (byte === 0x5c) throw invalid('a backslash in the path')
  const character = String.fromCharCode(byte)
  return plain.test(character) ? character : escapeByte(byte)
}

function hexByte(text: string, at: number): number {
  const digits = text.slice(at, at + 2)
  if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw invalid('a broken escape in the path')
  return Number.parseInt(digits, 16)
}

function escapeByte(byte: number): string {
  return `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`
}

function requireUtf8(path: string): void {
  try {
    decodeURIComponent(path)
  } catch {
    throw invalid('an escape in the path that is no UTF-8')
  }
}

function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!
    if (segment === '' || segment === '.') continue
    if (segment !== '..') kept.push(segment)
    else if (kept.pop() === undefined) throw invalid('a path that climbs above its root')
  }
  const last = segments.at(-1)
  const open = last === '' || last === '.' || last === '..'
  return kept.length === 0 ? '/' : `/${kept.join('/')}${open ? '/' : ''}`
}

/**
 * Splits a query at `&`, in order. Names and values are decoded as forms are (`+` is a space); what does not decode
 * is taken as it stands. Throws `invalid-request` for characters that have no place in a query.
 */
export function parseQuery(query: string): QueryPart[] {
  if (/[^\x21-\x7e]/.test(query)) throw invalid('a character in the query that must be escaped')
  const parts: QueryPart[] = []
  for (const raw of query.split('&')) {
    if (raw === '') continue
    const equals = raw.indexOf('=')
    parts.push({
      raw,
      name: decodePart(equals < 0 ? raw : raw.slice(0, equals)),
      value: equals < 0 ? '' : decodePart(raw.slice(equals + 1)),
    })
  }
  return parts
}

function decodePart(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

/** Query parameters by name, for conditions: text, or a list where a name is repeated. */
export function queryValues(parts: readonly QueryPart[]): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null)
  for (const { name, value } of parts) {
    const earlier = values[name]
    if (earlier === undefined) values[name] = value
    else if (typeof earlier === 'string') values[name] = [earlier, value]
    else earlier.push(value)
  }
  return values
}

const hostForm = /^([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_-])?|\[[0-9a-f:.]+\])\.?(?::([0-9]{1,5}))?$/

/**
 * A `Host` or `:authority` in one spelling: lower case, no trailing dot, no default port. Undefined where it is no
 * host (RFC 9110 section 7.2), a user part included.
 */
export function canonicalHost(
  host: string,
  secure: boolean,
): { name: string; authority: string } | undefined {
  if (host.length > 261) return undefined
  const match = hostForm.exec(host.toLowerCase())
  if (match === null) return undefined
  const name = match[1]!
  const port = match[2] === undefined ? undefined : Number(match[2])
  if (port !== undefined && (port === 0 || port > 65_535)) return undefined
  const standard = port === undefined || port === (secure ? 443 : 80)
  return { name, authority: standard ? name : `${name}:${port}` }
}

function invalid(detail: string): GatewayError {
  return new GatewayError('invalid-request', { detail })
}
