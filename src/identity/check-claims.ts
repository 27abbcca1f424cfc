import type { IssuerConfig } from '../config/identity.ts'
import { claimAt, claimIsOneOf } from './claim.ts'
import type { Claims } from './jwt.ts'
import type { RefusalReason } from './refusals.ts'

/** Names under which issuers say which client a token was given to: OIDC, RFC 9068, Entra v1, Okta. */
export const partyClaims = ['azp', 'client_id', 'appid', 'cid'] as const

/** From when until when a token counts, milliseconds since the epoch, skew included; `until` is exclusive. */
export interface Validity {
  readonly from: number
  readonly until: number
  /** `exp` itself. */
  readonly expiresAt: number
}

/** The times of a token (RFC 7519 section 4.1.4 to 4.1.6). Pure: says nothing about now. */
export function validityOf(claims: Claims, skewMs: number): Validity | RefusalReason {
  const { exp, nbf, iat } = claims
  if (exp === undefined) return 'expiry-missing'
  for (const time of [exp, nbf ?? 0, iat ?? 0]) {
    if (typeof time !== 'number' || !Number.isFinite(time) || Math.abs(time) > 1e12) return 'token-malformed'
  }
  const from = Math.max((nbf as number | undefined) ?? 0, (iat as number | undefined) ?? 0) * 1000 - skewMs
  const expiresAt = (exp as number) * 1000
  return { from, until: expiresAt + skewMs, expiresAt }
}

export function checkValidity(validity: Validity, now: number): RefusalReason | undefined {
  if (now >= validity.until) return 'token-expired'
  return now < validity.from ? 'not-yet-valid' : undefined
}

/** The `aud` of a token; empty where it has none, or one that is not text. */
export function audiencesOf({ aud }: Claims): readonly string[] {
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud]
  return audiences.every(each => typeof each === 'string') ? audiences : []
}

/**
 * Whether a verified token was meant for this gateway, by the issuer's configuration. Where the issuer may name single
 * addresses of the gateway (`resources`), whether it names the right one is for who knows the address to say.
 */
export function checkClaims(claims: Claims, config: IssuerConfig): RefusalReason | undefined {
  const audiences = audiencesOf(claims)
  if (audiences.length === 0) return 'audience-mismatch'
  if (!config.resources && !claimIsOneOf(audiences, config.audience)) return 'audience-mismatch'
  if (config.authorized_parties !== undefined) {
    const parties = partyClaims.filter(name => Object.hasOwn(claims, name)).map(name => claims[name])
    const allowed: readonly unknown[] = config.authorized_parties
    if (parties.length === 0 || !parties.every(party => allowed.includes(party))) return 'party-refused'
  }
  const missing = checkRequired(claims, config)
  if (missing !== undefined) return missing
  // Taking a bound token as a bearer token would undo the binding (RFC 7800, RFC 8705, RFC 9449).
  return claims['cnf'] === undefined ? undefined : 'proof-required'
}

/** Whether the claims that the configuration requires are there. */
export function checkRequired(
  claims: Claims,
  { required_claims }: Pick<IssuerConfig, 'required_claims'>,
): RefusalReason | undefined {
  const held = Object.entries(required_claims).every(([name, values]) =>
    claimIsOneOf(claimAt(claims, name), values),
  )
  return held ? undefined : 'claim-mismatch'
}
