import type { TokenEndpointResponse } from 'openid-client'
import type { Clock } from '../../clock.ts'

/** What an authorization server issued. Times are milliseconds since the epoch. */
export interface IssuedToken {
  readonly accessToken: string
  readonly refreshToken?: string
  readonly issuedAt: number
  /** Absent: it did not say; the token serves until the upstream refuses it. */
  readonly expiresAt?: number
  /** What it is good for, as far as is known: as it was said, else what was asked for. */
  readonly scopes?: readonly string[]
  /** Everything secret that came along, for the masks (P4). */
  readonly secrets: readonly string[]
}

/**
 * A lifetime that is not a sensible number counts as none said. `before`: what is kept where it was not said anew, the
 * refresh token and the scopes.
 */
export function issuedToken(
  answer: TokenEndpointResponse,
  clock: Clock,
  before?: Pick<IssuedToken, 'refreshToken' | 'scopes'>,
): IssuedToken {
  const { access_token: accessToken, expires_in: lifetime, id_token: idToken, scope } = answer
  const scopes = typeof scope === 'string' ? scope.split(' ').slice(0, 1000) : before?.scopes
  const refreshToken = answer.refresh_token ?? before?.refreshToken
  const issuedAt = clock.now()
  const expiresAt =
    typeof lifetime === 'number' && Number.isFinite(lifetime) && lifetime > 0
      ? issuedAt + lifetime * 1000
      : undefined
  return {
    accessToken,
    issuedAt,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(scopes === undefined ? {} : { scopes }),
    secrets: [accessToken, refreshToken, idToken].filter(
      each => each !== undefined && each.length >= 8,
    ) as string[],
  }
}

/** Whether it should be replaced before it is used. A short one is used for at least half of its life. */
export function isStale({ issuedAt, expiresAt }: IssuedToken, aheadMs: number, now: number): boolean {
  if (expiresAt === undefined) return false
  return now >= expiresAt - Math.min(aheadMs, (expiresAt - issuedAt) / 2)
}
