/**
 * Tokens that people let the gateway have, each its person's own: sealed in the state store, and refreshed one at a
 * time. The refresh token that is kept is replaced only by a newer one, so that a refresh that fails midway loses
 * nothing that the authorization server had not already taken away.
 */
import { createHash } from 'node:crypto'
import { refreshTokenGrant } from 'openid-client'
import type { Clock } from '../../clock.ts'
import { GatewayError } from '../../errors.ts'
import type { OAuthCredential } from '../../model/credential.ts'
import type { Principal } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'
import { seal, unseal } from '../sealing-key.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { isStale, issuedToken, type IssuedToken } from './token.ts'

/** Whose token for what. */
export interface TokenPlace {
  readonly person: Principal
  readonly connection: string
  readonly credential: string
}

interface Kept {
  readonly token: IssuedToken
  /** When the person consented. */
  readonly since: number
  /** The upstream refused the access token: it is refreshed before it is used again. */
  readonly refused?: boolean
}

export interface TokenClient {
  readonly of: OAuthCredential
  readonly server: AuthorizationServer
}

const space = 'upstream-token'

export class PersonTokens {
  readonly #state: StateStore
  readonly #key: Buffer
  readonly #clock: Clock
  readonly #refreshing = new Map<string, Promise<IssuedToken | undefined>>()

  constructor(of: { readonly state: StateStore; readonly key: Buffer; readonly clock: Clock }) {
    this.#state = of.state
    this.#key = of.key
    this.#clock = of.clock
  }

  /** A token that holds. Undefined: the person has not consented, or must again. Throws `credential-unavailable`. */
  async read(place: TokenPlace, client: TokenClient): Promise<IssuedToken | undefined> {
    const name = nameOf(place, client.of)
    const found = await this.#find(name)
    if (found === undefined) return undefined
    const { token, refused } = found.kept
    const now = this.#clock.now()
    if (refused !== true && !isStale(token, client.of.refresh_ahead, now)) return token
    const over = refused === true || now >= (token.expiresAt ?? Infinity)
    if (token.refreshToken === undefined) return over ? undefined : token
    const refreshing = this.#refreshOnce(name, client)
    if (over) return await refreshing
    refreshing.catch(() => undefined)
    return token
  }

  /** Whether this person has consented, and since when. Asks nobody. */
  async since(place: TokenPlace, of: OAuthCredential): Promise<number | undefined> {
    return (await this.#find(nameOf(place, of)))?.kept.since
  }

  /** Durable when it resolves. */
  async keep(place: TokenPlace, of: OAuthCredential, token: IssuedToken): Promise<void> {
    await this.#put(nameOf(place, of), { token, since: this.#clock.now() })
  }

  /** Durable when it resolves. */
  async forget(place: TokenPlace, of: OAuthCredential): Promise<void> {
    await this.#state.delete(space, nameOf(place, of))
  }

  /** The upstream does not take this access token: the next `read` refreshes it. */
  async refused(place: TokenPlace, of: OAuthCredential, token: IssuedToken): Promise<void> {
    const name = nameOf(place, of)
    const found = await this.#find(name)
    if (found?.kept.token.accessToken !== token.accessToken) return
    await this.#state.put(space, name, this.#sealed(name, { ...found.kept, refused: true }), found.version)
  }

  #refreshOnce(name: string, client: TokenClient): Promise<IssuedToken | undefined> {
    let refreshing = this.#refreshing.get(name)
    if (refreshing === undefined) {
      refreshing = this.#refresh(name, client).finally(() => this.#refreshing.delete(name))
      this.#refreshing.set(name, refreshing)
    }
    return refreshing
  }

  async #refresh(name: string, { server, of }: TokenClient): Promise<IssuedToken | undefined> {
    const found = await this.#find(name)
    if (found === undefined) return undefined
    const { token, since, refused } = found.kept
    // Somebody else has just done it.
    if (refused !== true && !isStale(token, of.refresh_ahead, this.#clock.now())) return token
    if (token.refreshToken === undefined) return undefined
    const resource = of.resource === undefined ? {} : { resource: of.resource }
    const ended = new GatewayError('consent-needed')
    try {
      const answer = await server.ask(
        client => refreshTokenGrant(client, token.refreshToken!, resource),
        // The one answer that says that the refresh token is no good any more (RFC 6749 section 5.2).
        code => (code === 'invalid_grant' ? ended : undefined),
      )
      const next = issuedToken(answer, this.#clock, token)
      await this.#put(name, { token: next, since })
      return next
    } catch (error) {
      if (error !== ended) throw error
      const now = await this.#find(name)
      // Another process may have spent it in between, and kept what came of that.
      if (now !== undefined && now.version !== found.version) return now.kept.token
      await this.#state.delete(space, name)
      return undefined
    }
  }

  async #find(name: string): Promise<{ readonly kept: Kept; readonly version: number } | undefined> {
    const found = await this.#state.get<string>(space, name)
    const kept =
      found === undefined
        ? undefined
        : (unseal(this.#key, `${space} ${name}`, found.value) as Kept | undefined)
    return kept === undefined ? undefined : { kept, version: found!.version }
  }

  /** What is kept is the newest, whoever else wrote: an authorization server that rotates knows no other. */
  async #put(name: string, kept: Kept): Promise<void> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const version = (await this.#state.get(space, name))?.version ?? 0
      if (await this.#state.put(space, name, this.#sealed(name, kept), version)) return
    }
    throw new GatewayError('credential-unavailable', { internal: 'the token could not be kept' })
  }

  #sealed(name: string, kept: Kept): string {
    return seal(this.#key, `${space} ${name}`, kept)
  }
}

/** By issuer and client too: a token of one authorization server is never shown to another. */
export function nameOf({ person, connection, credential }: TokenPlace, of: OAuthCredential): string {
  const parts = [person.issuer, person.id, connection, credential, of.issuer, of.client_id, of.resource ?? '']
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
