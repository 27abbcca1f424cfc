/**
 * Identity assertions exchanged for tokens of the gateway's own: the Identity Assertion JWT Authorization Grant
 * (draft-ietf-oauth-identity-assertion-authz-grant, "Access Token Request"), which MCP calls enterprise-managed
 * authorization. The identity provider says that this person may use this client at this address; the client shows that
 * it is that client; the token that it gets is for that address alone and ends soon.
 */
import type { Clock } from '../../clock.ts'
import type { AssertionsConfig } from '../../config/assertions.ts'
import type { IssuerConfig } from '../../config/identity.ts'
import type { Subject } from '../../model/subject.ts'
import type {
  Identified,
  IdentityProvider,
  PresentedCredential,
  ProviderStatus,
  Refusal,
} from '../authenticator.ts'
import { isPlainText } from '../claim.ts'
import { Issuer } from '../issuer.ts'
import type { IssuerKeys } from '../issuer-keys.ts'
import { type Claims, readJwt, refuse } from '../jwt.ts'
import { subjectOf } from '../subject-of.ts'
import type { RefusalReason } from '../refusals.ts'
import { AssertedTokens } from './asserted-tokens.ts'
import { grantedResources, grantedScope } from './granted.ts'
import type { SpentAssertions } from './spent-assertions.ts'
import { authenticateClient, type TokenClient, type TokenClientConfig } from './token-clients.ts'

export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
export const idJagProfile = 'urn:ietf:params:oauth:grant-profile:id-jag'

const assertionTypes: ReadonlySet<unknown> = new Set(['oauth-id-jag+jwt', 'application/oauth-id-jag+jwt'])
/** An assertion is used at once; what ends later would have to be remembered for longer. */
const longestAssertionMs = 3_600_000

/** Error codes of RFC 6749 section 5.2 and RFC 8707 section 2. */
export type GrantError =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unsupported_grant_type'

/** Why there is no token. `refusal` is for the log, never for the client. */
export class GrantRefused extends Error {
  override readonly name = 'GrantRefused'
  readonly code: GrantError
  readonly refusal: Refusal | undefined

  constructor(code: GrantError, message: string, refusal?: Refusal) {
    super(message)
    this.code = code
    this.refusal = refusal
  }
}

export interface Granted {
  readonly subject: Subject
  readonly client: string
  /** Name of the issuer of the assertion. */
  readonly issuer: string
  readonly resources: readonly string[]
  readonly scope: string | undefined
  readonly expiresAt: number
  readonly token: string
}

export interface GrantPlace {
  /** The gateway as the assertion's audience: its issuer identifier (RFC 8414). */
  readonly issuer: string
  /** Whether this is the address of something here. */
  isResource(address: string): boolean
}

export interface AssertionGrantsParts {
  readonly config: AssertionsConfig
  readonly issuers: readonly IssuerConfig[]
  readonly keys: IssuerKeys
  readonly clock: Clock
  readonly spent: SpentAssertions
  /** 32 bytes: what the tokens are sealed with. */
  readonly key: Buffer
  /** How the secret of a client is read. */
  readonly secretOf: (reference: string) => TokenClient['secret']
}

export class AssertionGrants implements IdentityProvider {
  readonly #clients: ReadonlyMap<string, TokenClient>
  readonly #issuers: ReadonlyMap<string, Issuer>
  readonly #parts: AssertionGrantsParts
  readonly #tokens: AssertedTokens

  constructor(parts: AssertionGrantsParts) {
    const { config, issuers, keys, clock } = parts
    this.#parts = parts
    this.#clients = new Map(
      config.clients.map(each => [each.id, { config: each, secret: parts.secretOf(each.secret) }]),
    )
    this.#issuers = new Map(issuers.map(each => [each.issuer, new Issuer(each, keys.of(each), clock)]))
    this.#tokens = new AssertedTokens({ key: parts.key, issuers, clients: config.clients, clock })
  }

  /** Whether anybody may exchange anything. */
  get enabled(): boolean {
    return this.#clients.size > 0
  }

  /** Whether clients are told of the gateway before they are told of the issuers. */
  get preferred(): boolean {
    return this.#parts.config.prefer
  }

  /**
   * Exchanges the assertion in `form`. The assertion counts no more from then on, also where the answer is lost. Throws
   * GrantRefused, and GatewayError where no answer is possible now.
   */
  async grant(form: URLSearchParams, authorization: string | undefined, place: GrantPlace): Promise<Granted> {
    const client = await authenticateClient(this.#clients, form, authorization)
    if (client === undefined)
      throw new GrantRefused('invalid_client', 'unknown client or wrong secret', { reason: 'client-refused' })
    if (form.get('grant_type') !== jwtBearerGrant)
      throw new GrantRefused('unsupported_grant_type', `only ${jwtBearerGrant}`)
    const assertion = form.get('assertion')
    if (assertion === null) throw new GrantRefused('invalid_request', 'no assertion')
    const { issuer, claims, until } = await this.#verified(assertion, client, place.issuer)
    const resources = grantedResources(claims, form.getAll('resource'), place)
    if (resources === undefined)
      throw new GrantRefused('invalid_target', 'not an address that is here and that the assertion names', {
        ...refuse('resource-refused', claims).refusal,
      })
    const scoped = grantedScope(claims, form.get('scope'))
    if (scoped === undefined) throw new GrantRefused('invalid_scope', 'more than the assertion allows')
    const { scope } = scoped
    const expiresAt = this.#parts.clock.now() + this.#parts.config.lifetime
    const kept: Claims = { ...claims, ...(scope === undefined ? {} : { scope }) }
    const subject = subjectOf(kept, issuer.config, expiresAt)
    if (typeof subject === 'string') throw notGranted(subject, claims)
    const id = claims['jti'] as string
    const first = await this.#parts.spent.spend({ issuer: issuer.config.issuer, id, until })
    if (!first) throw notGranted('assertion-used', claims)
    const token = this.#tokens.make({ claims: kept, resources, client: client.id, expiresAt })
    return { subject, client: client.id, issuer: issuer.config.name, resources, scope, expiresAt, token }
  }

  recognizes(credential: PresentedCredential): boolean {
    return this.#tokens.recognizes(credential)
  }

  identify(credential: PresentedCredential): Identified {
    return this.#tokens.identify(credential)
  }

  status(): readonly ProviderStatus[] {
    if (!this.enabled) return []
    return [{ name: 'assertions', ok: true, detail: `${this.#clients.size} clients` }]
  }

  warm(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #verified(
    assertion: string,
    client: TokenClientConfig,
    audience: string,
  ): Promise<{ readonly issuer: Issuer; readonly claims: Claims; readonly until: number }> {
    const jwt = readJwt(assertion, longestAssertion, typ => assertionTypes.has(typ))
    if ('refusal' in jwt) throw refusedGrant(jwt.refusal)
    const { claims } = jwt
    const issuer = this.#issuers.get(String(claims['iss']))
    if (issuer === undefined || !client.issuers.includes(issuer.config.name))
      throw notGranted('issuer-unknown', claims)
    const verified = await issuer.verifyAssertion(jwt, spellings(audience))
    if ('refusal' in verified) throw refusedGrant(verified.refusal)
    if (claims['client_id'] !== client.id) throw notGranted('party-refused', claims)
    const { validity } = verified
    const tooLong = validity.expiresAt - this.#parts.clock.now() > longestAssertionMs
    if (tooLong || !isPlainText(claims['jti'], 256)) throw notGranted('assertion-unbounded', claims)
    return { issuer, claims, until: validity.until }
  }
}

const longestAssertion = 16 * 1024

/** An address without a path is the same with a slash (RFC 3986 section 6.2.3), and URL parsers write it so. */
function spellings(issuer: string): readonly string[] {
  return URL.parse(issuer)?.pathname === '/' ? [issuer.replace(/\/$/, ''), new URL(issuer).href] : [issuer]
}

function notGranted(reason: RefusalReason, claims: Claims): GrantRefused {
  return refusedGrant(refuse(reason, claims).refusal)
}

function refusedGrant(refusal: Refusal): GrantRefused {
  return new GrantRefused('invalid_grant', 'the assertion is not accepted', refusal)
}
