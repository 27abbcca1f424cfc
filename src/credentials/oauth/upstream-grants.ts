/**
 * The consent of people to their own use of an upstream. Only people consent, each for themselves; an agent that acts
 * for a person uses that person's. What the browser brings back counts once the same person confirms it, so that
 * nobody's account ends up under another's name, whoever opened the address.
 */
import * as oidc from 'openid-client'
import type { Audit } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import { GatewayError } from '../../errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { OAuthCredential } from '../../model/credential.ts'
import { type Principal, type Subject, subjectFacts } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'
import { AuthorizationServer } from './authorization-server.ts'
import { compileGlobs } from '../../policy/glob.ts'
import { type Answered, type Consent, Consents } from './consents.ts'
import { nameOf, PersonTokens, type TokenPlace } from './person-tokens.ts'
import { type IssuedToken, issuedToken } from './token.ts'
import { WantedScopes } from './wanted-scopes.ts'

export interface UpstreamGrantsParts {
  readonly state: StateStore
  readonly audit: Audit
  readonly clock: Clock
  /** Seals what is kept; 32 bytes. */
  readonly key: Buffer
  /** Directory that `file:` references start from. */
  readonly base: string
  /** Where people and their browsers reach the gateway. */
  readonly publicUrl: () => string
  readonly connections: () => readonly Connection[]
}

interface Found {
  readonly place: TokenPlace
  readonly of: OAuthCredential
  readonly server: AuthorizationServer
}

/** Where the authorization server sends the browser back to. */
export const callbackPath = '/connect/callback'

export class UpstreamGrants {
  readonly #parts: UpstreamGrantsParts
  readonly #consents: Consents
  readonly #tokens: PersonTokens
  readonly #wanted: WantedScopes
  readonly #servers = new WeakMap<OAuthCredential, AuthorizationServer>()

  constructor(parts: UpstreamGrantsParts) {
    this.#parts = parts
    this.#consents = new Consents(parts.clock)
    this.#tokens = new PersonTokens(parts)
    this.#wanted = new WantedScopes(parts)
  }

  /** The token of the person behind this subject. Throws `consent-needed` with the address, or `credential-unavailable`. */
  async token(
    subject: Subject | undefined,
    connection: Connection,
    credential: string,
  ): Promise<IssuedToken> {
    const of = oauthOf(connection, credential)!
    const person = personBehind(subject)
    if (person === undefined)
      throw new GatewayError('credential-unavailable', {
        detail: 'this connection is used in a person’s name, and there is no person behind this identity',
      })
    const place = { person, connection: connection.name, credential }
    const found = await this.#tokens.read(place, { of, server: this.#serverOf(of) })
    if (found !== undefined) return found
    throw new GatewayError('consent-needed', { detail: this.#whereTo(connection) })
  }

  #whereTo({ name }: Connection): string {
    return `open ${this.#parts.publicUrl()}/connect/${name}, or run: sallyport connections authorize ${name}`
  }

  /**
   * The upstream wants scopes that this token lacks: the next consent of its person asks for them too. Gives what the
   * person must do; undefined where asking would be of no use: the token has them already, the configuration does not
   * want them asked for, or the person was asked too often.
   */
  async lacks(
    subject: Subject,
    connection: Connection,
    of: { readonly credential: string; readonly token: IssuedToken; readonly scopes: readonly string[] },
  ): Promise<string | undefined> {
    const oauth = oauthOf(connection, of.credential)!
    const person = personBehind(subject)
    const had = of.token.scopes ?? oauth.scopes
    const lacking = of.scopes.filter(each => !had.includes(each))
    if (person === undefined || lacking.length === 0) return undefined
    const mayAsk = compileGlobs([...oauth.scopes, ...oauth.more_scopes])
    if (!lacking.every(mayAsk)) return undefined
    const place = { person, connection: connection.name, credential: of.credential }
    if (!(await this.#wanted.add(nameOf(place, oauth), lacking))) return undefined
    return `the upstream wants more than was consented to (${lacking.join(' ')}): ${this.#whereTo(connection)}`
  }

  /** The upstream refused the token: it is refreshed before it is lent again. */
  async refused(
    subject: Subject,
    connection: Connection,
    use: { credential: string; token: IssuedToken },
  ): Promise<void> {
    const of = oauthOf(connection, use.credential)!
    const person = personBehind(subject)
    if (person === undefined) return
    await this.#tokens.refused(
      { person, connection: connection.name, credential: use.credential },
      of,
      use.token,
    )
  }

  /** The address that this person must open. Throws `denied`, `not-found`. */
  async begin(
    subject: Subject,
    connection: string,
    credential?: string,
  ): Promise<{ url: string; expiresAt: number }> {
    const { place, of, server } = this.#find(subject, connection, credential)
    const more = await this.#wanted.of(nameOf(place, of))
    const verifier = oidc.randomPKCECodeVerifier()
    const redirectUri = `${this.#parts.publicUrl()}${callbackPath}`
    const consent = this.#consents.begin({ ...place, verifier, redirectUri, scopes: [...of.scopes, ...more] })
    const challenge = await oidc.calculatePKCECodeChallenge(verifier)
    const url = await server.ask(client =>
      oidc.buildAuthorizationUrl(client, {
        ...server.parameters(more),
        redirect_uri: redirectUri,
        state: consent.state,
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }),
    )
    return { url: url.href, expiresAt: consent.expiresAt }
  }

  /**
   * The browser is back. Where it is known to be that of the person who began, the consent is used at once; else it
   * waits for their confirmation. Undefined: no such consent, or not this person's.
   */
  async answered(
    search: string,
    browser: Subject | undefined,
  ): Promise<{ connection: string; confirmation?: string } | undefined> {
    const consent = this.#consents.take(new URLSearchParams(search).get('state') ?? '')
    if (consent === undefined) return undefined
    const { connection, redirectUri, person } = consent
    const address = `${redirectUri}${search}`
    if (browser === undefined)
      return { connection, confirmation: this.#consents.keep(consent, address).confirmation }
    if (!isPerson(browser) || browser.issuer !== person.issuer || browser.id !== person.id) return undefined
    await this.#use({ consent, address }, browser)
    return { connection }
  }

  /** Uses an answer that the person confirms with the code of the page. Throws `denied`, `not-found`. */
  async confirm(
    subject: Subject,
    connection: string,
    given: { confirmation: string; credential?: string },
  ): Promise<void> {
    const { place } = this.#find(subject, connection, given.credential)
    const answered = this.#consents.confirm(place, given.confirmation)
    if (answered === undefined)
      throw new GatewayError('not-found', { detail: 'no consent of yours waits for this code; begin again' })
    await this.#use(answered, subject)
  }

  /** Since when, as milliseconds; undefined: not. */
  async since(subject: Subject, connection: string, credential?: string): Promise<number | undefined> {
    const { place, of } = this.#find(subject, connection, credential)
    return await this.#tokens.since(place, of)
  }

  /** The gateway forgets the person's tokens. */
  async withdraw(subject: Subject, connection: string, credential?: string): Promise<void> {
    const { place, of } = this.#find(subject, connection, credential)
    await this.#note('credential.withdrawn', subject, place)
    await this.#tokens.forget(place, of)
    await this.#wanted.forget(nameOf(place, of))
  }

  async #use({ consent, address }: Pick<Answered, 'consent' | 'address'>, subject: Subject): Promise<void> {
    const { place, of, server } = this.#find(subject, consent.connection, consent.credential)
    const resource = of.resource === undefined ? {} : { resource: of.resource }
    const name = nameOf(place, of)
    let refusedFor: string | undefined
    const asking = server.ask(
      // Checks `state`, and `iss` against mix-up where the server sends it (RFC 9207).
      client =>
        oidc.authorizationCodeGrant(
          client,
          new URL(address),
          { pkceCodeVerifier: consent.verifier, expectedState: consent.state },
          resource,
        ),
      code => {
        refusedFor = code
        return new GatewayError('denied', { detail: `the authorization server said: ${code}` })
      },
    )
    const answer = await asking.catch(async (error: unknown) => {
      // An upstream that wants scopes which do not exist must not keep anybody from consenting to those that do.
      if (refusedFor === 'invalid_scope') await this.#wanted.forget(name)
      throw error
    })
    await this.#note('credential.granted', subject, place)
    await this.#tokens.keep(place, of, issuedToken(answer, this.#parts.clock, { scopes: consent.scopes }))
    await this.#wanted.consented(name)
  }

  #note(kind: 'credential.granted' | 'credential.withdrawn', subject: Subject, place: TokenPlace) {
    const { connection: target, credential } = place
    return this.#parts.audit.note(kind, { subject: subjectFacts(subject), target, credential })
  }

  #find(subject: Subject, name: string, wanted: string | undefined): Found {
    if (!isPerson(subject))
      throw new GatewayError('denied', { detail: 'people consent for themselves; an agent can not' })
    const connection = this.#parts.connections().find(each => each.name === name)
    if (connection === undefined)
      throw new GatewayError('not-found', { detail: `there is no connection ${name}` })
    const credential = wanted ?? personalCredentials(connection)[0]
    const of = credential === undefined ? undefined : oauthOf(connection, credential)
    if (credential === undefined || of?.grant !== 'authorization_code')
      throw new GatewayError('not-found', { detail: `${name} is not used in people’s names` })
    const { issuer, id } = subject
    return { place: { person: { issuer, id }, connection: name, credential }, of, server: this.#serverOf(of) }
  }

  #serverOf(of: OAuthCredential): AuthorizationServer {
    let server = this.#servers.get(of)
    if (server === undefined) this.#servers.set(of, (server = new AuthorizationServer(of, this.#parts.base)))
    return server
  }
}

export function personalCredentials(connection: Connection): readonly string[] {
  return Object.keys(connection.credential).filter(
    name => oauthOf(connection, name)?.grant === 'authorization_code',
  )
}

function oauthOf(connection: Connection, name: string): OAuthCredential | undefined {
  const source = Object.hasOwn(connection.credential, name) ? connection.credential[name] : undefined
  return typeof source === 'object' ? source.oauth : undefined
}

function isPerson({ kind, onBehalfOf }: Subject): boolean {
  return kind === 'user' && onBehalfOf === undefined
}

function personBehind(subject: Subject | undefined): Principal | undefined {
  return subject?.onBehalfOf ?? (subject?.kind === 'user' ? subject : undefined)
}

export type { Consent }
