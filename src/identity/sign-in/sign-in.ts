/**
 * People sign in with a browser: by a provider of the configuration, or with a password of the gateway's own. Whoever it
 * was, what comes of it is a session (browser-sessions.ts) and an entry before it (P10).
 */
import type { Audit, ClientFacts } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import type { IssuerConfig } from '../../config/identity.ts'
import { type OidcSignIn, providersOf, type SignInConfig } from '../../config/sign-in.ts'
import { GatewayError } from '../../errors.ts'
import { type Subject, subjectFacts } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'
import { BrowserSessions, type BrowserSession, type SessionUse } from './browser-sessions.ts'
import { type DevicePoll, DeviceSignIns } from './device-sign-ins.ts'
import { LocalUsers } from './local-users.ts'
import { OidcSignInFlow } from './oidc-sign-in.ts'
import { PendingSignIns } from './pending.ts'
import { SamlSignInFlow } from './saml-sign-in.ts'
import { SignInRefused } from './sign-in-refused.ts'
import { terminalToken } from './terminal-sessions.ts'

export const localProvider = 'local'
const inviteLastsMs = 24 * 3_600_000
const firstInviteLastsMs = 60 * 60_000

/** How people sign in, as configured now. */
export interface SignInRules {
  readonly config: SignInConfig
  readonly issuers: readonly IssuerConfig[]
}

export interface SignInParts {
  readonly state: StateStore
  readonly audit: Audit
  readonly clock: Clock
  readonly rules: () => SignInRules
  /** The gateway's address for browsers, without a slash at the end. */
  readonly publicUrl: () => string
  readonly secret: (reference: string) => { read(): string | Promise<string> }
  /** Directory that relative paths of the configuration start from. */
  readonly base: string
}

export interface ListedProvider {
  readonly id: string
  readonly kind: 'oidc' | 'saml' | 'local'
  readonly label: string
  readonly url: string
}

type Flow =
  | { readonly kind: 'oidc'; readonly flow: OidcSignInFlow }
  | { readonly kind: 'saml'; readonly flow: SamlSignInFlow }

export interface SignedIn {
  readonly subject: Subject
  readonly cookie: string
  readonly expires: number
  readonly returnTo: string
}

/** Who brings a provider's answer. */
export interface AnsweringBrowser {
  /** The cookie that the browser set out with; empty where it has none. */
  readonly cookie: string
  readonly client: ClientFacts
}

export class SignIn {
  readonly sessions: BrowserSessions
  readonly users: LocalUsers
  readonly devices: DeviceSignIns
  readonly #parts: SignInParts
  readonly #pending: PendingSignIns
  /** Made anew when the configuration is. */
  #flows: { readonly rules: SignInRules; readonly byId: ReadonlyMap<string, Flow> } | undefined

  constructor(parts: SignInParts) {
    this.#parts = parts
    const { state, clock } = parts
    this.#pending = new PendingSignIns(clock)
    this.users = new LocalUsers({ state, clock })
    this.devices = new DeviceSignIns(clock)
    this.sessions = new BrowserSessions({ state, clock, limits: () => parts.rules().config.session })
  }

  /** Where a browser can go to sign in. */
  providers(): readonly ListedProvider[] {
    const listed: ListedProvider[] = providersOf(this.#parts.rules().config).map(({ id, kind, label }) => ({
      id,
      kind,
      label: label ?? id,
      url: `/auth/${kind}/${id}`,
    }))
    if (this.#allowsLocal())
      listed.push({ id: localProvider, kind: 'local', label: 'Password', url: '/auth/local' })
    return listed
  }

  /** Sets out to a provider. Throws `not-found` for one that is not configured. */
  async begin(
    id: string,
    kind: Flow['kind'],
    returnTo: string,
  ): Promise<{ readonly url: string; readonly cookie: string }> {
    const found = this.#flow(id, kind)
    const { url, secrets } =
      found.kind === 'oidc'
        ? await found.flow.begin(this.#callback(id))
        : await found.flow.begin(this.#samlAddresses(id))
    return { url, cookie: this.#pending.begin({ provider: id, returnTo, secrets }) }
  }

  /** The answer of an OIDC provider: the query that the browser came back with, and the cookie that it set out with. */
  async finishOidc(id: string, search: string, browser: AnsweringBrowser): Promise<SignedIn> {
    return await this.#finish({ id, kind: 'oidc', ...browser }, (found, pending) => {
      const url = new URL(this.#callback(id))
      url.search = search
      return (found.flow as OidcSignInFlow).finish(url, pending)
    })
  }

  async finishSaml(id: string, response: string, browser: AnsweringBrowser): Promise<SignedIn> {
    return await this.#finish({ id, kind: 'saml', ...browser }, (found, pending) =>
      (found.flow as SamlSignInFlow).finish(response, pending, this.#samlAddresses(id)),
    )
  }

  async metadata(id: string): Promise<string> {
    const found = this.#flow(id, 'saml')
    return await (found.flow as SamlSignInFlow).metadata(this.#samlAddresses(id))
  }

  /** With a password. Throws SignInRefused. */
  async withPassword(
    email: string,
    password: string,
    client: ClientFacts,
  ): Promise<Omit<SignedIn, 'returnTo'>> {
    if (!this.#allowsLocal()) throw new GatewayError('not-found')
    const subject = await this.users.check(email, password)
    if (subject === undefined) throw new SignInRefused('password-wrong', 'password')
    return await this.#admit(subject, { id: localProvider, kind: 'local' }, client)
  }

  /** With a link of an invitation, which sets the password. Throws SignInRefused. */
  async withInvite(
    secret: string,
    password: string,
    client: ClientFacts,
  ): Promise<Omit<SignedIn, 'returnTo'>> {
    const subject = await this.users.accept(secret, password)
    if (subject === undefined) throw new SignInRefused('link-invalid', 'invitation')
    // Whoever knew the password before knows it no longer.
    await this.sessions.endAll(subject)
    return await this.#admit(subject, { id: localProvider, kind: 'local' }, client)
  }

  /**
   * What has become of a terminal that waits to be let in; once somebody has, its token, which is a session of theirs.
   * The entry says where the terminal is and where the person was.
   */
  async redeem(
    deviceCode: string,
  ): Promise<
    | { readonly state: Exclude<DevicePoll['state'], 'approved'> }
    | { readonly state: 'approved'; readonly token: string; readonly expires: number }
  > {
    const poll = this.devices.poll(deviceCode)
    if (poll.state !== 'approved') return poll
    const { subject, provider, from } = poll.by
    await this.#parts.audit.note('identity.signed_in', {
      subject: subjectFacts(subject),
      provider: { id: provider, kind: 'device' },
      client: poll.client,
      confirmed_from: from,
    })
    const { cookie, expires } = await this.sessions.create(subject, provider, 'terminal')
    return { state: 'approved', token: terminalToken(cookie), expires }
  }

  /** The session of a secret, if its provider is still configured and its user still there. */
  async find(cookie: string, use: SessionUse = 'browser'): Promise<BrowserSession | undefined> {
    const session = await this.sessions.find(cookie, use)
    if (session === undefined) return undefined
    if (session.provider !== localProvider) {
      const known = providersOf(this.#parts.rules().config).some(each => each.id === session.provider)
      return known ? session : undefined
    }
    if (!this.#allowsLocal()) return undefined
    // Roles and groups are those of now.
    const subject = await this.users.subject(session.subject.email ?? '')
    return subject?.id === session.subject.id ? { ...session, subject } : undefined
  }

  async signOut(session: BrowserSession, everywhere: boolean): Promise<void> {
    const { subject, provider } = session
    await this.#parts.audit.note('identity.signed_out', {
      subject: subjectFacts(subject),
      provider,
      everywhere,
    })
    if (everywhere) await this.sessions.endAll(subject)
    else await this.sessions.end(session)
  }

  /** The link for a first administrator; undefined where somebody can sign in already. For the terminal of the operator alone. */
  async firstLink(): Promise<string | undefined> {
    if (!this.#allowsLocal() || !(await this.users.isEmpty())) return undefined
    const user = {
      email: 'admin@localhost',
      name: 'First administrator',
      roles: ['admin', 'approver', 'auditor', 'user'] as const,
    }
    await this.#parts.audit.note('identity.invited', { user: { ...user }, by: 'first start' })
    const { secret } = await this.users.invite(user, firstInviteLastsMs)
    return this.linkOf(secret)
  }

  linkOf(secret: string): string {
    return `${this.#parts.publicUrl()}/auth/invite/${secret}`
  }

  get inviteLastsMs(): number {
    return inviteLastsMs
  }

  close(): void {
    this.sessions.close()
  }

  async #finish(
    of: AnsweringBrowser & { readonly id: string; readonly kind: Flow['kind'] },
    prove: (found: Flow, pending: NonNullable<ReturnType<PendingSignIns['take']>>) => Promise<Subject>,
  ): Promise<SignedIn> {
    const { id, kind, cookie, client } = of
    const found = this.#flow(id, kind)
    const pending = this.#pending.take(cookie)
    // Another provider's answer to this one's question would be a mix-up of the two (RFC 9700 section 4.4).
    if (pending === undefined || pending.provider !== id)
      throw new SignInRefused('sign-in-unasked', 'no sign-in of this browser waits for it')
    const subject = await prove(found, pending)
    return { ...(await this.#admit(subject, { id, kind }, client)), returnTo: pending.returnTo }
  }

  async #admit(subject: Subject, provider: { id: string; kind: string }, client: ClientFacts) {
    await this.#parts.audit.note('identity.signed_in', { subject: subjectFacts(subject), provider, client })
    return { subject, ...(await this.sessions.create(subject, provider.id)) }
  }

  #allowsLocal(): boolean {
    const { config } = this.#parts.rules()
    return config.local ?? providersOf(config).length === 0
  }

  #callback(id: string): string {
    return `${this.#parts.publicUrl()}/auth/oidc/${id}/callback`
  }

  #samlAddresses(id: string) {
    const at = `${this.#parts.publicUrl()}/auth/saml/${id}`
    return { acs: `${at}/acs`, metadata: `${at}/metadata` }
  }

  #flow(id: string, kind: Flow['kind']): Flow {
    const rules = this.#parts.rules()
    if (this.#flows?.rules.config !== rules.config) this.#flows = { rules, byId: this.#flowsOf(rules) }
    const found = this.#flows.byId.get(id)
    if (found?.kind !== kind) throw new GatewayError('not-found', { detail: `there is no provider ${id}` })
    return found
  }

  #flowsOf({ config, issuers }: SignInRules): ReadonlyMap<string, Flow> {
    const { base, secret } = this.#parts
    const flows = new Map<string, Flow>()
    for (const provider of providersOf(config)) {
      if (provider.kind === 'saml') {
        flows.set(provider.id, { kind: 'saml', flow: new SamlSignInFlow(provider, base) })
        continue
      }
      const issuer = issuerOf(provider, issuers)
      if (issuer === undefined) continue
      const source = provider.client_secret === undefined ? undefined : secret(provider.client_secret)
      const flow = new OidcSignInFlow({ provider, issuer, base, secret: source && (() => source.read()) })
      flows.set(provider.id, { kind: 'oidc', flow })
    }
    return flows
  }
}

/** The issuer that an OIDC provider names, by short name or `iss`. */
export function issuerOf(provider: OidcSignIn, issuers: readonly IssuerConfig[]): IssuerConfig | undefined {
  return issuers.find(each => each.name === provider.issuer || each.issuer === provider.issuer)
}
