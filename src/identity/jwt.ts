/**
 * Takes a compact JWS apart (RFC 7515 section 7.1) without believing anything in it:
 *
 *   BASE64URL(header JSON) . BASE64URL(payload JSON) . BASE64URL(signature)
 *
 * Stricter than the libraries below it where leniency would give one token several spellings: base64url must be
 * canonical (no padding, no stray bits), JSON must be UTF-8 and name no member twice.
 */
import { parseUnambiguous } from '../unambiguous-json.ts'
import type { Refusal } from './authenticator.ts'
import type { RefusalReason } from './refusals.ts'

export type Claims = Readonly<Record<string, unknown>>

export interface UnverifiedJwt {
  readonly token: string
  readonly alg: string
  readonly kid: string | undefined
  /** To choose the verifier and, once the signature is verified, to read. */
  readonly claims: Claims
}

const maxDepth = 32
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Types of JWT that are access or ID tokens (RFC 9068 section 4); others are refused, as RFC 8725 section 3.11 asks. */
const tokenTypes = new Set(['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt'])

/**
 * Reads the form and the header. `maxBytes` holds for the whole token; `isType` says which `typ` may be there, undefined
 * for none.
 */
export function readJwt(
  token: string,
  maxBytes: number,
  isType: (typ: unknown) => boolean = isTokenType,
): UnverifiedJwt | { readonly refusal: Refusal } {
  if (token.length > maxBytes) return refuse('token-too-large')
  const segments = token.split('.', 6)
  if (segments.length === 5) return refuse('token-encrypted')
  if (segments.length !== 3) return refuse('token-malformed')
  const header = decodeObject(segments[0]!)
  const claims = decodeObject(segments[1]!)
  if (header === undefined || claims === undefined) return refuse('token-malformed')
  const { alg, kid } = header
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) {
    return refuse('token-malformed', claims)
  }
  // An unsigned token has an empty last segment; its algorithm is then the reason to refuse it.
  if (alg.toLowerCase() === 'none') return refuse('algorithm-refused', claims)
  if (!isCanonical(segments[2]!)) return refuse('token-malformed', claims)
  if (Object.hasOwn(header, 'crit')) return refuse('critical-header', claims)
  if (Object.hasOwn(header, 'jwk')) return refuse('embedded-key', claims)
  if (!isType(header['typ'])) return refuse('type-refused', claims)
  return { token, alg, kid, claims }
}

/** A refusal with what the token says of itself. */
export function refuse(reason: RefusalReason, claims?: Claims): { readonly refusal: Refusal } {
  const issuer = trimmed(claims?.['iss'])
  const subject = trimmed(claims?.['sub'])
  if (issuer === undefined && subject === undefined) return { refusal: { reason } }
  const claimed = {
    ...(issuer === undefined ? {} : { issuer }),
    ...(subject === undefined ? {} : { subject }),
  }
  return { refusal: { reason, claimed } }
}

function decodeObject(segment: string): Record<string, unknown> | undefined {
  if (!isCanonical(segment)) return undefined
  try {
    const text = utf8.decode(Buffer.from(segment, 'base64url'))
    // RFC 7519 section 4 lets a receiver refuse a name that is there twice.
    const value = parseUnambiguous(text, { maxDepth })?.value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return value as Record<string, unknown>
  } catch {
    return undefined
  }
}

function isCanonical(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment
}

function isTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && tokenTypes.has(typ.toLowerCase()))
}

/** What a stranger wrote, fit for a log: short, one line, well-formed. */
function trimmed(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  return value
    .slice(0, 200)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '\uFFFD')
}
