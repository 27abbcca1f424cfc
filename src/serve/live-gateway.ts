import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { hkdfSync } from 'node:crypto'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { ConnectionHealthFacts } from '../api/services.ts'
import type { Approvals } from '../approvals/approvals.ts'
import type { Approval } from '../approvals/approval.ts'
import { connectionVersion } from '../approvals/connection-version.ts'
import type { BreakGlass } from '../approvals/break-glass.ts'
import type { Grants } from '../approvals/grants.ts'
import { createApprovalStep, type Recheck } from '../approvals/settle.ts'
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { LoadedConfig } from '../config/load.ts'
import { providersOf, type SignInConfig } from '../config/sign-in.ts'
import { ProblemsError } from '../config/located-yaml.ts'
import type { CredentialVault } from '../credentials/credentials.ts'
import type { Logger } from '../log.ts'
import type { Lease } from '../credentials/lease.ts'
import { openSecret } from '../credentials/references.ts'
import type { Detection } from '../detection/detection.ts'
import { createRestrictionGuard } from '../detection/restriction-guard.ts'
import type { Restrictions } from '../detection/restrictions.ts'
import type { Deferrals } from '../gateway/deferrals.ts'
import type { Keeping } from '../gateway/keeping.ts'
import type { Pins } from '../gateway/pins.ts'
import type { ApprovalStep, Gateway, Guard } from '../gateway/gateway.ts'
import type { Observer } from '../gateway/observer.ts'
import type { Meter } from '../gateway/meter.ts'
import type { Session } from '../gateway/session.ts'
import type { OpenSessions } from '../gateway/sessions.ts'
import type {
  Authenticator,
  Identified,
  IdentityProvider,
  PresentedCredential,
} from '../identity/authenticator.ts'
import { certificateIssuerPrefix, ClientCertificates } from '../identity/certificates.ts'
import { AssertionGrants } from '../identity/assertions/assertion-grants.ts'
import type { SpentAssertions } from '../identity/assertions/spent-assertions.ts'
import { createAuthenticator, type OpenAuthenticator } from '../identity/create-authenticator.ts'
import { Delegates } from '../identity/delegates.ts'
import type { IssuerKeys } from '../identity/issuer-keys.ts'
import { metadataAddress } from '../identity/protected-resource.ts'
import { localIssuer, ownRoles } from '../identity/sign-in/local-users.ts'
import type { SignInRules } from '../identity/sign-in/sign-in.ts'
import { compileRoles, type Role, type RolesOf } from '../identity/roles.ts'
import type { GatewayTokens } from '../identity/tokens.ts'
import { builtinProfiles } from '../masking/builtin-profiles.ts'
import { createMasking, type Masking } from '../masking/masking.ts'
import type { Masker } from '../masking/masker.ts'
import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Obligations } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import type { Authorizer } from '../policy/authorizer.ts'
import type { Budgets } from '../policy/budgets.ts'
import { createAuthorizer } from '../policy/compiled-authorizer.ts'
import { loadPolicy, type PolicyText } from '../policy/load-policy.ts'
import type { Policy } from '../policy/policy.ts'
import { FairShares } from '../policy/fair-shares.ts'
import { RateLimiter } from '../policy/rate-limiter.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Recordings } from '../recording/recordings.ts'
import { ConnectionHealth } from './connection-health.ts'

export interface LiveGatewayParts {
  readonly loaded: LoadedConfig
  readonly audit: Audit
  readonly sessions: OpenSessions
  readonly recordings: Recordings
  readonly approvals: Approvals
  readonly grants: Grants
  readonly breakGlass: BreakGlass
  readonly deferrals: Deferrals
  readonly keeping: Keeping
  readonly pins: Pins
  /** From which the keys of what clients carry are derived. */
  readonly carried: Buffer
  readonly tokens: GatewayTokens
  readonly spent: SpentAssertions
  /** Recognizes terminals that people let in. */
  readonly terminals: IdentityProvider
  readonly budgets: Budgets
  readonly detection: Detection
  readonly restrictions: Restrictions
  readonly registry: Registry
  readonly credentials: CredentialVault
  /** Outlives the rules, so that a reload asks no issuer again. */
  readonly keys: IssuerKeys
  readonly clock: Clock
  readonly logger: Logger
}

/** With what outlives every reload and needs nothing. */
type Parts = LiveGatewayParts & {
  /** Recognizes the programs that connections run. */
  readonly delegates: Delegates
}

/** What a reload swaps, made whole before any of it takes effect. */
interface Rules {
  readonly signIn: SignInRules
  readonly policy: Policy
  readonly written: PolicyText
  readonly maskProfiles: readonly string[]
  readonly authorizer: Authorizer
  readonly masking: Masking
  readonly authenticator: OpenAuthenticator
  readonly assertions: AssertionGrants
  readonly certificates: ClientCertificates
  readonly rolesOf: RolesOf
  readonly domain: string | undefined
  readonly connections: readonly Connection[]
  /** Identifiers of the issuers in force. */
  readonly issuers: ReadonlySet<string>
  /** Whether the gateway's own tokens are accepted. */
  readonly tokens: boolean
}

/**
 * The services of the path as configured now. `adopt` swaps policy, masking and identity in one step: an action sees
 * the rules before or the rules after, never a mixture, since each step reads them once.
 */
export class LiveGateway implements Gateway {
  readonly audit: Audit
  readonly sessions: OpenSessions
  readonly credentials: CredentialVault
  readonly guards: readonly Guard[]
  readonly observers: readonly Observer[]
  readonly shares: FairShares
  readonly approvals: ApprovalStep
  readonly deferrals: Deferrals
  readonly keeping: Keeping
  readonly pins: Pins
  readonly delegates: Delegates
  readonly authenticator: Authenticator
  readonly meter: Meter
  readonly logger: Logger
  /** Address for links in answers. */
  publicUrl = ''
  readonly #parts: Parts
  readonly #health = new ConnectionHealth()
  readonly #limiter = new RateLimiter()
  #rules: Rules

  private constructor(parts: Parts, limiter: RateLimiter, rules: Rules) {
    this.#parts = parts
    this.#limiter = limiter
    this.#rules = rules
    this.audit = parts.audit
    this.sessions = parts.sessions
    this.credentials = parts.credentials
    this.deferrals = parts.deferrals
    this.keeping = parts.keeping
    this.logger = parts.logger
    this.pins = parts.pins
    this.delegates = parts.delegates
    this.authenticator = {
      identify: credential => this.#identify(credential),
      identifyCertificate: shown => this.#rules.certificates.identify(shown),
    }
    const meter = createMeter(parts.registry)
    this.meter = {
      ended: (connection, outcome, seconds) => {
        this.#health.ended(connection, outcome, parts.clock.now())
        meter.ended(connection, outcome, seconds)
      },
    }
    const { detection, restrictions, sessions, clock } = parts
    const restricting = createRestrictionGuard<Session>({ restrictions, sessions, clock })
    this.shares = new FairShares(clock)
    // Restrictions behind detection: what an action brings about holds for it too. Shares last, for what is let through.
    this.guards = [detection, restricting, this.shares]
    this.observers = [{ ended: of => parts.budgets.settle(of) }, detection, restricting, this.shares]
    this.approvals = createApprovalStep({
      approvals: parts.approvals,
      audit: parts.audit,
      clock: parts.clock,
      coverage: [parts.grants, parts.breakGlass],
      recheck: (session, action, approval) => this.#recheck(session, action, approval),
      masker: (session, decision) =>
        this.masker(
          [...decision.obligations.mask, ...decision.obligations.maskRequest, 'secrets'],
          session.target,
        ),
    })
  }

  /** Throws ProblemsError for a policy that is not valid. */
  static async open(given: LiveGatewayParts): Promise<LiveGateway> {
    const limiter = new RateLimiter()
    const parts: Parts = { ...given, delegates: new Delegates() }
    return new LiveGateway(parts, limiter, await makeRules(parts.loaded, parts, limiter))
  }

  get policy(): Authorizer {
    return this.#rules.authorizer
  }

  get domain(): string | undefined {
    return this.#rules.domain
  }

  /** The policy in force as compiled, for explanations. */
  get rules(): Policy {
    return this.#rules.policy
  }

  get policyText(): PolicyText {
    return this.#rules.written
  }

  get maskProfiles(): readonly string[] {
    return this.#rules.maskProfiles
  }

  get signIn(): SignInConfig {
    return this.#rules.signIn.config
  }

  get signInRules(): SignInRules {
    return this.#rules.signIn
  }

  get assertions(): AssertionGrants {
    return this.#rules.assertions
  }

  carryKey(purpose: string): Buffer {
    return keyFor(this.#parts, purpose)
  }

  resourceMetadata(path: string): string {
    return metadataAddress(this.publicUrl, path)
  }

  /** The issuers that have an address to get tokens at. */
  get authorizationServers(): readonly string[] {
    const issuers = [...this.#rules.issuers].filter(each => /^https?:/.test(each))
    if (!this.assertions.enabled) return issuers
    return this.assertions.preferred ? [this.publicUrl, ...issuers] : [...issuers, this.publicUrl]
  }

  /** Whether identities of this subject's issuer are still accepted. */
  trusts(subject: Subject): boolean {
    return this.#rules.issuers.has(subject.issuer)
  }

  rolesOf(subject: Subject): ReadonlySet<Role> {
    const roles = this.#rules.rolesOf(subject)
    const own = ownRoles(subject)
    return own.length === 0 ? roles : new Set([...roles, ...own])
  }

  healthOf(connection: string): ConnectionHealthFacts {
    return this.#health.of(connection)
  }

  masker(profiles: readonly string[], _connection: Connection, lease?: Lease): Masker {
    return this.#rules.masking.masker(
      profiles,
      lease === undefined ? {} : { secrets: [...Object.values(lease.secrets), ...(lease.alsoSecret ?? [])] },
    )
  }

  recorder(session: Session, _action: Action, obligations: Obligations): Recorder {
    return this.#parts.recordings.recorder(session.id, obligations.record)
  }

  /** Takes up another configuration's rules, or throws and changes nothing. The entries come first (P10). */
  async adopt(loaded: LoadedConfig): Promise<void> {
    const next = await makeRules(loaded, this.#parts, this.#limiter)
    const before = this.#rules
    try {
      if (next.policy.version !== before.policy.version) {
        await this.audit.note('policy.changed', { before: before.policy.version, after: next.policy.version })
      }
    } catch (error) {
      await next.authenticator.close()
      throw error
    }
    this.#rules = next
    this.#parts.grants.configure(loaded.config.approvals.grants)
    this.#parts.breakGlass.configure(loaded.config.approvals.break_glass)
    this.#parts.detection.configure(loaded.config.detection)
    await before.authenticator.close()
    await this.#parts.keys.retain(loaded.config.identity.issuers)
  }

  /** Fetches the issuers' keys ahead of the first token. What can't be had now is fetched when it is needed. */
  async warm(): Promise<void> {
    await this.#rules.authenticator.warm().catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.#rules.authenticator.close()
    await this.#parts.keys.close()
  }

  #identify({ token, path, traceparent }: PresentedCredential): Identified | Promise<Identified> {
    const resource = path === undefined ? undefined : `${this.publicUrl}${path}`
    return this.#rules.authenticator.identify({
      token,
      ...(path === undefined ? {} : { path }),
      ...(resource === undefined ? {} : { resource }),
      ...(traceparent === undefined ? {} : { traceparent }),
    })
  }

  async #recheck(session: Session, action: Action, approval: Approval): ReturnType<Recheck> {
    const { subject, target } = session
    const gone = await this.#credentialEnded(subject)
    if (gone !== undefined) return { ok: false, reason: gone }
    if (this.#parts.restrictions.suspension(subject) !== undefined)
      return { ok: false, reason: 'the requester was suspended' }
    const current = this.#rules.connections.find(each => each.name === target.name)
    if (current === undefined || connectionVersion(current) !== approval.connectionVersion)
      return { ok: false, reason: 'the connection was changed' }
    const decision = this.policy.authorize(subject, target, action)
    if (decision.effect === 'deny') return { ok: false, reason: `policy now denies it (${decision.reason})` }
    if (decision.effect === 'ask' && decision.policyVersion !== approval.policyVersion)
      return { ok: false, reason: 'another policy took effect' }
    return { ok: true }
  }

  /** Why the credential that the session began with is no longer good, as far as can be told without it. */
  async #credentialEnded(subject: Subject): Promise<string | undefined> {
    const now = this.#parts.clock.now()
    if (subject.expiresAt !== undefined && subject.expiresAt <= now)
      return 'the credential of the requester has ended'
    if (subject.method === 'token') {
      const token = await this.#parts.tokens.get(String(subject.claims['token_id']))
      const good =
        this.#rules.tokens && token !== undefined && token.revoked === undefined && token.expires > now
      return good ? undefined : 'the token of the requester was revoked'
    }
    if (['oidc', 'certificate'].includes(subject.method) && !this.#rules.issuers.has(subject.issuer))
      return 'the issuer of the requester is no longer trusted'
    return undefined
  }
}

/** A key of the one that is kept, for one purpose alone. */
function keyFor({ carried }: Pick<LiveGatewayParts, 'carried'>, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', carried, '', purpose, 32))
}

async function makeRules(loaded: LoadedConfig, parts: Parts, limiter: RateLimiter): Promise<Rules> {
  const { config, base } = loaded
  const hashKey = config.masking.hash_key
  const masking = createMasking(
    config.masking,
    hashKey === undefined ? {} : { hashKey: await openSecret(hashKey, base).read() },
  )
  const maskProfiles = [...Object.keys(builtinProfiles), ...Object.keys(config.masking.profiles)]
  const { policy, written } = await readPolicy(loaded, maskProfiles)
  const { issuers } = config.identity
  const assertions = new AssertionGrants({
    config: config.identity.assertions,
    issuers,
    keys: parts.keys,
    clock: parts.clock,
    spent: parts.spent,
    key: keyFor(parts, 'tokens for assertions'),
    secretOf: reference => {
      const source = openSecret(reference, base)
      return () => source.read()
    },
  })
  const authenticator = createAuthenticator({
    issuers,
    providers: [
      ...(config.identity.tokens.enabled ? [parts.tokens] : []),
      parts.terminals,
      parts.delegates,
      assertions,
    ],
    cachedTokens: config.identity.cached_tokens,
    clock: parts.clock,
    keys: parts.keys,
  })
  return {
    signIn: { config: config.sign_in, issuers: config.identity.issuers },
    policy,
    written,
    maskProfiles,
    masking,
    authenticator,
    assertions,
    certificates: new ClientCertificates(await readCertificates(config, base), parts.clock),
    authorizer: createAuthorizer(policy, { clock: parts.clock, limiter, budgets: parts.budgets }),
    rolesOf: compileRoles(config.roles, config.identity.issuers),
    domain: config.domain,
    connections: loaded.connections,
    issuers: new Set([
      ...config.identity.issuers.map(each => each.issuer),
      ...providersOf(config.sign_in).flatMap(each => (each.kind === 'saml' ? [each.entity_id] : [])),
      localIssuer,
      ...config.identity.certificates.map(each => certificateIssuerPrefix + each.name),
    ]),
    tokens: config.identity.tokens.enabled,
  }
}

async function readCertificates({ identity }: LoadedConfig['config'], base: string) {
  const read = identity.certificates.map(async config => ({
    config,
    ca: await readFile(resolve(base, config.ca), 'utf8'),
  }))
  return await Promise.all(read)
}

async function readPolicy({ config, ...origin }: LoadedConfig, maskProfiles: readonly string[]) {
  const read = await loadPolicy(config.policy, origin, { maskProfiles })
  if ('problems' in read) throw new ProblemsError(read.problems)
  return read
}

function createMeter(registry: Registry): Meter {
  const actions = new Counter({
    name: 'sallyport_actions_total',
    help: 'Actions that ended, by connection and outcome',
    labelNames: ['connection', 'outcome'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'sallyport_action_seconds',
    help: 'Duration of actions from intent to their terminal entry, holds for approval included',
    labelNames: ['connection'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  })
  return {
    ended(connection, outcome, duration) {
      actions.inc({ connection, outcome })
      seconds.observe({ connection }, duration)
    },
  }
}
