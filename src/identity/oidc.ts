/**
 * Tokens of OIDC issuers. The unverified `iss` chooses who verifies, by exact match in one lookup, and nothing else.
 */
import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import type { Identified, IdentityProvider, PresentedCredential, ProviderStatus } from './authenticator.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { Subject } from '../model/subject.ts'
import { audiencesOf, checkValidity } from './check-claims.ts'
import { Issuer, type Verified } from './issuer.ts'
import { type Claims, readJwt, refuse } from './jwt.ts'
import type { IssuerKeys } from './issuer-keys.ts'

export interface OidcOptions {
  readonly issuers: readonly IssuerConfig[]
  readonly clock: Clock
  /** Most verified tokens to remember. */
  readonly cachedTokens: number
  readonly keys: IssuerKeys
}

const maxCacheBytes = 64 * 1024 * 1024
const maxWaiting = 10_000
/** An issuer’s smaller limit is kept by the issuer. */
const leastMaxTokenBytes = 16 * 1024

export function createOidcProvider(options: OidcOptions): IdentityProvider {
  return new OidcProvider(options)
}

interface Cached extends Verified {
  readonly issuer: Issuer
  readonly identified: Identified
}

class OidcProvider implements IdentityProvider {
  readonly #issuers = new Map<string, Issuer>()
  readonly #clock: Clock
  readonly #maxTokenBytes: number
  /** By SHA-256 of the token, so that no token is kept. */
  readonly #verified: BoundedCache<Cached>
  /** Subjects whose token is for one address alone. */
  readonly #bound = new WeakSet<Subject>()
  readonly #waiting = new Map<string, Promise<Identified>>()

  constructor(options: OidcOptions) {
    this.#clock = options.clock
    this.#verified = new BoundedCache({ entries: options.cachedTokens, weight: maxCacheBytes })
    this.#maxTokenBytes = Math.max(leastMaxTokenBytes, ...options.issuers.map(each => each.max_token_bytes))
    for (const config of options.issuers) {
      this.#issuers.set(config.issuer, new Issuer(config, options.keys.of(config), options.clock))
    }
  }

  recognizes(credential: PresentedCredential): boolean {
    return credential.token.includes('.')
  }

  identify({ token, resource }: PresentedCredential): Identified | Promise<Identified> {
    const found = this.#identify(token)
    return found instanceof Promise
      ? found.then(each => this.#atResource(each, resource))
      : this.#atResource(found, resource)
  }

  /** A token for one address of the gateway is none at another. */
  #atResource(found: Identified, resource: string | undefined): Identified {
    if ('refusal' in found || !this.#bound.has(found.subject)) return found
    const { claims } = found.subject
    return resource !== undefined && audiencesOf(claims).includes(resource)
      ? found
      : refuse('audience-mismatch', claims)
  }

  #identify(token: string): Identified | Promise<Identified> {
    if (token.length > this.#maxTokenBytes) return refuse('token-too-large')
    const digest = hash('sha256', token, 'base64')
    const cached = this.#verified.get(digest)
    if (cached !== undefined) {
      if (this.#stillHolds(cached)) return cached.identified
      this.#verified.delete(digest)
    }
    const waiting = this.#waiting.get(digest)
    if (waiting !== undefined) return waiting
    const jwt = readJwt(token, this.#maxTokenBytes)
    if ('refusal' in jwt) return jwt
    const issuer = this.#issuers.get(issuerNamed(jwt.claims) ?? '')
    if (issuer === undefined) return refuse('issuer-unknown', jwt.claims)
    const verifying = issuer.verify(jwt).then(verified => this.#settle(digest, issuer, verified))
    if (this.#waiting.size >= maxWaiting) return verifying
    // One verification for all who show the same token at the same time.
    const shared = verifying.finally(() => this.#waiting.delete(digest))
    this.#waiting.set(digest, shared)
    return shared
  }

  status(): readonly ProviderStatus[] {
    return [...this.#issuers.values()].map(({ config, keys }) => {
      const { keys: count, fetchedAt, lastError } = keys.status()
      const since = fetchedAt === undefined ? 'never fetched' : `fetched ${new Date(fetchedAt).toISOString()}`
      const detail = `${count} keys, ${since}${lastError === undefined ? '' : `; last attempt: ${lastError}`}`
      return { name: config.name, ok: keys.usable() && lastError === undefined, detail }
    })
  }

  async warm(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map(issuer => issuer.keys.warm()))
  }

  close(): Promise<void> {
    this.#verified.clear()
    return Promise.resolve()
  }

  /** What must be true of a token each time it is shown: its times, its key still published, the keys not too old. */
  #stillHolds(cached: Cached): boolean {
    const now = this.#clock.now()
    return checkValidity(cached.validity, now) === undefined && cached.issuer.keys.usable() && cached.key.live
  }

  #settle(digest: string, issuer: Issuer, verified: Awaited<ReturnType<Issuer['verify']>>): Identified {
    if ('refusal' in verified) return verified
    const identified = { subject: Object.freeze(verified.subject) }
    if (verified.bound) this.#bound.add(verified.subject)
    const weight = 1024 + 4 * JSON.stringify(verified.subject).length
    this.#verified.set(digest, { ...verified, issuer, identified }, weight)
    return identified
  }
}

/** `iss`; for a JWT-SVID, which need not have one, its trust domain (SPIFFE JWT-SVID section 3). */
function issuerNamed(claims: Claims): string | undefined {
  if (typeof claims['iss'] === 'string') return claims['iss']
  if (claims['iss'] !== undefined || typeof claims['sub'] !== 'string') return undefined
  return /^spiffe:\/\/[a-z0-9._-]{1,255}(?=\/)/.exec(claims['sub'])?.[0]
}
