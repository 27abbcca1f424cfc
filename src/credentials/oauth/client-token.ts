import { clientCredentialsGrant } from 'openid-client'
import type { Clock } from '../../clock.ts'
import type { OAuthCredential } from '../../model/credential.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { issuedToken, isStale, type IssuedToken } from './token.ts'

/**
 * The token of the gateway itself (RFC 6749 section 4.4). Kept in memory; replaced ahead of its end, by one request for
 * all who wait. While the old one still holds, nobody waits for the new one.
 */
export class ClientToken {
  readonly #of: OAuthCredential
  readonly #server: AuthorizationServer
  readonly #clock: Clock
  #kept: IssuedToken | undefined
  #asking: Promise<IssuedToken> | undefined

  constructor(of: OAuthCredential, server: AuthorizationServer, clock: Clock) {
    this.#of = of
    this.#server = server
    this.#clock = clock
  }

  /** Throws `credential-unavailable`. */
  read(): IssuedToken | Promise<IssuedToken> {
    const token = this.#kept
    const now = this.#clock.now()
    if (token === undefined) return this.#renew()
    if (!isStale(token, this.#of.refresh_ahead, now)) return token
    const renewed = this.#renew()
    if (now >= token.expiresAt!) return renewed
    // The old one holds a little longer: a server that is down for a moment is no reason to refuse.
    renewed.catch(() => undefined)
    return token
  }

  /** The upstream does not take this one: the next `read` asks for another. */
  refused(token: IssuedToken): void {
    if (this.#kept === token) this.#kept = undefined
  }

  #renew(): Promise<IssuedToken> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(): Promise<IssuedToken> {
    const answer = await this.#server.ask(client => clientCredentialsGrant(client, this.#server.parameters()))
    this.#kept = issuedToken(answer, this.#clock)
    return this.#kept
  }
}
