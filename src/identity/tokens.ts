/**
 * Gateway tokens: credentials of the gateway's own, for machines without an identity provider. The store holds the
 * SHA-256 of a token, never the token; 256 random bits need no slower hash.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { TokensConfig } from '../config/identity.ts'
import { GatewayError } from '../errors.ts'
import type { Principal, Subject, SubjectKind } from '../model/subject.ts'
import type { StateStore, Versioned } from '../storage/storage.ts'
import { sha256 } from '../sha256.ts'
import type {
  Identified,
  IdentityProvider,
  PresentedCredential,
  ProviderStatus,
  Refusal,
} from './authenticator.ts'
import { BoundedCache } from './bounded-cache.ts'
import { isPlainText } from './claim.ts'
import { makeToken, readTokenId, tokenPrefix } from './token-format.ts'

/** The issuer of subjects that gateway tokens stand for. */
export const tokenIssuer = 'sallyport'

/** What is known of a token. Times are milliseconds since the epoch. */
export interface TokenRecord {
  /** `tok_...`; not secret, time-ordered. */
  readonly id: string
  readonly name: string
  readonly subject: {
    readonly id: string
    readonly kind: SubjectKind
    readonly name?: string
    readonly email?: string
  }
  readonly groups: readonly string[]
  readonly onBehalfOf?: Principal
  readonly created: number
  /** Who made it, as `subjectKey` or a word such as `cli`. */
  readonly createdBy: string
  readonly expires: number
  /** To the hour. */
  readonly lastUsed?: number
  readonly revoked?: { readonly at: number; readonly by: string }
}

export interface NewToken {
  readonly name: string
  readonly subject: TokenRecord['subject']
  readonly groups?: readonly string[]
  readonly onBehalfOf?: Principal
  readonly createdBy: string
  /** Milliseconds; default and longest are configured. */
  readonly lifetime?: number
}

interface Stored extends TokenRecord {
  /** SHA-256 of the whole token, hex. */
  readonly hash: string
}

interface Known {
  readonly stored: Stored
  readonly identified: Identified
  readonly checkedAt: number
}

const space = 'gateway-tokens'
const lastUsedGrainMs = 3_600_000
const attempts = 8

export interface GatewayTokensOptions {
  readonly state: StateStore
  readonly config: TokensConfig
  readonly clock: Clock
}

/**
 * Makes, lists, revokes and recognizes gateway tokens. Does not write to the log: whoever calls `create` or `revoke`
 * notes `identity.token_created` or `identity.token_revoked` first (P10).
 */
export class GatewayTokens implements IdentityProvider {
  readonly #state: StateStore
  readonly #config: TokensConfig
  readonly #clock: Clock
  readonly #known = new BoundedCache<Known>({ entries: 10_000, weight: 10_000 })
  readonly #loading = new Map<string, Promise<Known | undefined>>()
  readonly #marking = new Set<string>()
  #revocations = 0

  constructor(options: GatewayTokensOptions) {
    this.#state = options.state
    this.#config = options.config
    this.#clock = options.clock
  }

  /** The only time that the token itself is seen. Durable when it resolves. Throws `invalid-request`. */
  async create(input: NewToken): Promise<{ readonly token: string; readonly record: TokenRecord }> {
    const lifetime = input.lifetime ?? this.#config.default_lifetime
    check(input, lifetime, this.#config.max_lifetime)
    const created = this.#clock.now()
    const { id, token } = makeToken(created)
    const record: TokenRecord = {
      id,
      name: input.name,
      subject: input.subject,
      groups: [...(input.groups ?? [])],
      ...(input.onBehalfOf === undefined ? {} : { onBehalfOf: input.onBehalfOf }),
      created,
      createdBy: input.createdBy,
      expires: created + lifetime,
    }
    const stored: Stored = { ...record, hash: hash('sha256', token) }
    if (!(await this.#state.put(space, id, stored, 0))) throw new GatewayError('conflict')
    return { token, record }
  }

  /** Oldest first; `after` is the last id of the page before. */
  async list(
    page: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly TokenRecord[]> {
    return (await this.#state.list<Stored>(space, page)).map(each => withoutHash(each.value))
  }

  async get(id: string): Promise<TokenRecord | undefined> {
    const found = await this.#state.get<Stored>(space, id)
    return found && withoutHash(found.value)
  }

  /**
   * From here on the token is refused: in this process at once, in others within `recheck`. Revoking twice keeps the
   * first revocation. Undefined when there is no such token. Durable when it resolves.
   */
  async revoke(id: string, by: string): Promise<TokenRecord | undefined> {
    const revoked = { at: this.#clock.now(), by }
    const stored = await this.#change(id, each =>
      each.revoked === undefined ? { ...each, revoked } : undefined,
    )
    this.#revocations++
    this.#known.delete(id)
    return stored && withoutHash(stored)
  }

  recognizes(credential: PresentedCredential): boolean {
    return credential.token.startsWith(tokenPrefix)
  }

  identify(credential: PresentedCredential): Identified | Promise<Identified> {
    const id = readTokenId(credential.token)
    if (id === undefined) return refused('token-malformed')
    const digest = sha256(credential.token)
    const known = this.#known.get(id)
    const fresh = known !== undefined && this.#clock.now() - known.checkedAt < this.#config.recheck
    return fresh ? this.#judge(known, digest) : this.#load(id).then(loaded => this.#judge(loaded, digest))
  }

  status(): readonly ProviderStatus[] {
    return [{ name: 'gateway tokens', ok: true, detail: `${this.#known.size} in use` }]
  }

  warm(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#known.clear()
    return Promise.resolve()
  }

  #judge(known: Known | undefined, digest: Buffer): Identified {
    if (known === undefined) return refused('token-unknown')
    const { stored } = known
    if (!timingSafeEqual(Buffer.from(stored.hash, 'hex'), digest)) return refused('token-unknown')
    const now = this.#clock.now()
    if (stored.revoked !== undefined) return refused('token-revoked', stored)
    if (now >= stored.expires) return refused('token-expired', stored)
    if (now - (stored.lastUsed ?? 0) >= lastUsedGrainMs) this.#markUsed(stored.id, now)
    return known.identified
  }

  /** Reads a record, once for all who ask at the same time. */
  #load(id: string): Promise<Known | undefined> {
    let loading = this.#loading.get(id)
    if (loading === undefined) {
      loading = this.#read(id).finally(() => this.#loading.delete(id))
      this.#loading.set(id, loading)
    }
    return loading
  }

  async #read(id: string): Promise<Known | undefined> {
    const checkedAt = this.#clock.now()
    const revocations = this.#revocations
    let found: Versioned<Stored> | undefined
    try {
      found = await this.#state.get<Stored>(space, id)
    } catch (cause) {
      throw new GatewayError('identity-unavailable', { internal: 'the token store cannot be read', cause })
    }
    if (found === undefined) return undefined
    const known = { stored: found.value, identified: { subject: subjectOf(found.value) }, checkedAt }
    // What was read before a revocation must not be remembered after it.
    if (revocations === this.#revocations) this.#known.set(id, known, 1)
    return known
  }

  /** Off the path of the request; a mark that is lost is made by a later request. */
  #markUsed(id: string, now: number): void {
    if (this.#marking.has(id)) return
    this.#marking.add(id)
    const lastUsed = now - (now % lastUsedGrainMs)
    this.#change(id, each => (lastUsed > (each.lastUsed ?? 0) ? { ...each, lastUsed } : undefined))
      .then(stored => {
        const known = this.#known.get(id)
        if (stored !== undefined && known !== undefined) this.#known.set(id, { ...known, stored }, 1)
      })
      .catch(() => {})
      .finally(() => this.#marking.delete(id))
  }

  /** Compare and swap until it holds. `edit` gives undefined where nothing needs to change. */
  async #change(id: string, edit: (stored: Stored) => Stored | undefined): Promise<Stored | undefined> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const found = await this.#state.get<Stored>(space, id)
      if (found === undefined) return undefined
      const next = edit(found.value)
      if (next === undefined) return found.value
      if (await this.#state.put(space, id, next, found.version)) return next
    }
    throw new GatewayError('conflict', { detail: 'the token is being changed by others' })
  }
}

function subjectOf(stored: Stored): Subject {
  return Object.freeze({
    issuer: tokenIssuer,
    ...stored.subject,
    groups: stored.groups,
    ...(stored.onBehalfOf === undefined ? {} : { onBehalfOf: stored.onBehalfOf }),
    method: 'token',
    claims: { token_id: stored.id, token_name: stored.name },
    expiresAt: stored.expires,
  })
}

function check(input: NewToken, lifetime: number, maxLifetime: number): void {
  const invalid = (detail: string): never => {
    throw new GatewayError('invalid-request', { detail })
  }
  if (!isPlainText(input.name, 100)) invalid('a token needs a name of at most 100 characters')
  if (!isPlainText(input.subject.id, 320)) invalid('a token needs the id of its subject')
  if ((input.groups ?? []).length > 100) invalid('at most 100 groups')
  if (!(input.groups ?? []).every(group => isPlainText(group, 320))) invalid('groups are lines of text')
  if (input.onBehalfOf !== undefined && input.subject.kind !== 'agent')
    invalid('only an agent acts for somebody')
  if (!(Number.isSafeInteger(lifetime) && lifetime > 0))
    invalid('a lifetime is a whole number of milliseconds')
  if (lifetime > maxLifetime)
    invalid(`the longest lifetime of a token here is ${Math.floor(maxLifetime / 1000)} s`)
}

function withoutHash({ hash: _hash, ...record }: Stored): TokenRecord {
  return record
}

function refused(reason: Refusal['reason'], stored?: Stored): Identified {
  return {
    refusal: {
      reason,
      ...(stored === undefined ? {} : { claimed: { issuer: tokenIssuer, subject: stored.subject.id } }),
    },
  }
}
