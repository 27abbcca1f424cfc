/**
 * An issuer's keys as they are now. Refreshed behind the traffic, refetched for a key id nobody has seen (rarely, since
 * strangers choose key ids), and kept through an outage of the issuer for a stated time. One fetch at a time.
 */
import { importJWK, type CryptoKey, type JWK } from 'jose'
import type { Clock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import { GatewayError } from '../errors.ts'
import type { KeySource } from './key-source.ts'

/** A public key of the issuer. */
export interface VerificationKey {
  /** False once the issuer no longer publishes it: what it verified before is void then. */
  readonly live: boolean
  /** Rejects where the material is not fit for `alg`. */
  import(alg: string): Promise<CryptoKey>
}

export interface KeySetStatus {
  readonly keys: number
  /** Milliseconds since the epoch of the last fetch that went well. */
  readonly fetchedAt: number | undefined
  readonly lastError: string | undefined
}

const maxKeys = 256
const firstRetryMs = 1000
const lastRetryMs = 30_000

export class KeySet {
  readonly #issuer: string
  readonly #timing: IssuerConfig['keys']
  readonly #source: KeySource
  readonly #clock: Clock
  readonly #spiffe: boolean
  #keys = new Map<string, PublishedKey>()
  #fetchedAt: number | undefined
  #failures = 0
  #retryAt = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #lastError: Error | undefined
  #fetching: Promise<void> | undefined

  constructor(config: IssuerConfig, source: KeySource, clock: Clock) {
    this.#issuer = config.name
    this.#timing = config.keys
    this.#source = source
    this.#clock = clock
    this.#spiffe = config.issuer.startsWith('spiffe://')
  }

  /**
   * Whether the keys at hand may be used; starts a refresh in the background when they are due. Does not wait. False
   * when they were last confirmed longer ago than `max_age`.
   */
  usable(): boolean {
    if (this.#fetchedAt === undefined) return false
    const now = this.#clock.now()
    const age = now - this.#fetchedAt
    if (age >= this.#timing.refresh && now >= this.#retryAt) this.#fetch().catch(() => {})
    return age < this.#timing.max_age
  }

  /**
   * The keys that could have signed with this `alg` and `kid`; empty when the issuer has none. Throws
   * `identity-unavailable` when that cannot be known now.
   */
  async find(alg: string, kid: string | undefined): Promise<readonly VerificationKey[]> {
    if (!this.usable()) await this.#fetchNow()
    const known = this.#select(alg, kid)
    if (known.length > 0) return known
    if (this.#fetching !== undefined) {
      await this.#fetchNow()
    } else if (this.#clock.now() - this.#askedAt >= this.#timing.cooldown) {
      this.#askedAt = this.#clock.now()
      await this.#fetchNow()
    } else if (this.#failures > 0) {
      throw this.#unavailable()
    }
    return this.#select(alg, kid)
  }

  /** Fetches at once where nothing is there yet. */
  async warm(): Promise<void> {
    if (this.#fetchedAt === undefined) await this.#fetch().catch(() => {})
  }

  status(): KeySetStatus {
    return { keys: this.#keys.size, fetchedAt: this.#fetchedAt, lastError: this.#lastError?.message }
  }

  #select(alg: string, kid: string | undefined): PublishedKey[] {
    const fit: PublishedKey[] = []
    for (const key of this.#keys.values()) if (key.fits(alg, kid)) fit.push(key)
    return fit
  }

  async #fetchNow(): Promise<void> {
    if (this.#fetching === undefined && this.#clock.now() < this.#retryAt) throw this.#unavailable()
    try {
      await this.#fetch()
    } catch {
      throw this.#unavailable()
    }
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #load(): Promise<void> {
    try {
      this.#replace(readKeys(await this.#source.load(), this.#spiffe))
      this.#fetchedAt = this.#clock.now()
      this.#failures = 0
      this.#retryAt = 0
      this.#lastError = undefined
    } catch (error) {
      this.#lastError = error instanceof Error ? error : new Error('failed')
      this.#retryAt = this.#clock.now() + Math.min(firstRetryMs * 2 ** this.#failures++, lastRetryMs)
      throw error
    }
  }

  /** Keys that stay keep their identity, so that what they verified stays cached; the others die. */
  #replace(published: ReadonlyMap<string, JWK>): void {
    const next = new Map<string, PublishedKey>()
    for (const [print, jwk] of published) next.set(print, this.#keys.get(print) ?? new PublishedKey(jwk))
    for (const [print, key] of this.#keys) if (!next.has(print)) key.live = false
    this.#keys = next
  }

  #unavailable(): GatewayError {
    const internal = `the keys of issuer ${this.#issuer} cannot be had: ${this.#lastError?.message ?? 'no answer'}`
    return new GatewayError('identity-unavailable', { internal, cause: this.#lastError })
  }
}

class PublishedKey implements VerificationKey {
  live = true
  readonly #jwk: JWK
  readonly #imported = new Map<string, Promise<CryptoKey>>()

  constructor(jwk: JWK) {
    this.#jwk = jwk
  }

  fits(alg: string, kid: string | undefined): boolean {
    const jwk = this.#jwk
    if (kid !== undefined && jwk.kid !== kid) return false
    if (jwk.alg !== undefined && jwk.alg !== alg && !(isEdwards(jwk.alg) && isEdwards(alg))) return false
    const curve = curves[alg]
    if (curve !== undefined) return jwk.kty === 'EC' && jwk.crv === curve
    return isEdwards(alg) ? jwk.kty === 'OKP' && jwk.crv === 'Ed25519' : jwk.kty === 'RSA'
  }

  import(alg: string): Promise<CryptoKey> {
    let key = this.#imported.get(alg)
    if (key === undefined) {
      key = importJWK(this.#jwk, alg) as Promise<CryptoKey>
      this.#imported.set(alg, key)
    }
    return key
  }
}

const curves: Record<string, string | undefined> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

function isEdwards(alg: string): boolean {
  return alg === 'EdDSA' || alg === 'Ed25519'
}

/** The signing keys of a JWK set (RFC 7517 section 5), by what makes them the same key. Unfit ones are left out. */
function readKeys(document: unknown, spiffe: boolean): Map<string, JWK> {
  const list = (document as { readonly keys?: unknown } | null)?.keys
  if (!Array.isArray(list)) throw new Error('the key document is not a JWK set')
  if (list.length > maxKeys) throw new Error(`the key document has more than ${maxKeys} keys`)
  const keys = new Map<string, JWK>()
  for (const each of list as unknown[]) {
    const jwk = publicKey(each, spiffe)
    if (jwk !== undefined) keys.set(JSON.stringify(jwk), jwk)
  }
  return keys
}

/** The members that matter, in one order; undefined for secrets, encryption keys and what is not a key. */
function publicKey(value: unknown, spiffe: boolean): JWK | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const jwk = value as Record<string, unknown>
  const text = (name: string): string | undefined => (typeof jwk[name] === 'string' ? jwk[name] : undefined)
  const kty = text('kty')
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined
  // A private key that was published by mistake is everybody's key.
  if (jwk['d'] !== undefined) return undefined
  const { use, key_ops: operations } = jwk
  // SPIFFE bundles say what a key is for in words of their own (SPIFFE Trust Domain and Bundle, section 4.2.2).
  if (use !== undefined && use !== 'sig' && !(spiffe && use === 'jwt-svid')) return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return undefined
  const members = ['kid', 'alg', 'n', 'e', 'crv', 'x', 'y'] as const
  const read = members.flatMap(name => {
    const member = text(name)
    return member === undefined ? [] : [[name, member] as const]
  })
  return { kty, ...Object.fromEntries(read) }
}
