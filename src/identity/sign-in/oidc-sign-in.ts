/**
 * OIDC authorization code with PKCE (RFC 6749, RFC 7636, OIDC Core). The answer is bound to the browser by state, to
 * this sign-in by nonce, to the issuer by `iss` (RFC 9207) and by a redirect address of each provider's own.
 */
import * as oidc from 'openid-client'
import { Agent, fetch as undiciFetch } from 'undici'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type IssuerConfig, isLoopbackHost } from '../../config/identity.ts'
import type { OidcSignIn } from '../../config/sign-in.ts'
import { GatewayError } from '../../errors.ts'
import type { Subject } from '../../model/subject.ts'
import { checkRequired } from '../check-claims.ts'
import type { Claims } from '../jwt.ts'
import { subjectOf } from '../subject-of.ts'
import type { PendingSignIn } from './pending.ts'
import { SignInRefused } from './sign-in-refused.ts'

const timeoutSeconds = 10

export interface OidcSignInOptions {
  readonly provider: OidcSignIn
  readonly issuer: IssuerConfig
  readonly secret: (() => string | Promise<string>) | undefined
  /** Directory that relative paths start from. */
  readonly base: string
}

export class OidcSignInFlow {
  readonly #options: OidcSignInOptions
  #configuration: Promise<oidc.Configuration> | undefined

  constructor(options: OidcSignInOptions) {
    this.#options = options
  }

  /** Throws `identity-unavailable` where the issuer can't be asked. */
  async begin(
    redirectUri: string,
  ): Promise<{ readonly url: string; readonly secrets: PendingSignIn['secrets'] }> {
    const configuration = await this.#discovered()
    const verifier = oidc.randomPKCECodeVerifier()
    const secrets = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier }
    const url = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: this.#options.provider.scope,
      state: secrets.state,
      nonce: secrets.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    return { url: url.href, secrets }
  }

  /** The person that the answer at `url` proves. Throws SignInRefused for an answer that proves nobody. */
  async finish(url: URL, { secrets }: PendingSignIn): Promise<Subject> {
    const configuration = await this.#discovered()
    const { state, nonce, verifier } = secrets
    let claims: Claims
    try {
      const tokens = await oidc.authorizationCodeGrant(configuration, url, {
        pkceCodeVerifier: verifier!,
        expectedState: state!,
        expectedNonce: nonce!,
        idTokenExpected: true,
      })
      const id = tokens.claims()!
      claims = { ...(await this.#userInfo(configuration, tokens.access_token, id.sub)), ...id }
    } catch (error) {
      throw new SignInRefused('sign-in-refused', reasonOf(error))
    }
    const { issuer } = this.#options
    const missing = checkRequired(claims, issuer)
    if (missing !== undefined) throw new SignInRefused(missing, 'a required claim')
    const subject = subjectOf(claims, issuer, Number.MAX_SAFE_INTEGER)
    if (typeof subject === 'string') throw new SignInRefused(subject, 'the claims')
    if (subject.kind !== 'user') throw new SignInRefused('subject-invalid', 'people sign in, nobody else')
    const { expiresAt: _, claims: __, ...person } = subject
    return { ...person, claims: {} }
  }

  /** What the ID token leaves out; many issuers have the groups only here. */
  async #userInfo(configuration: oidc.Configuration, accessToken: string, sub: string): Promise<Claims> {
    if (configuration.serverMetadata().userinfo_endpoint === undefined) return {}
    return await oidc.fetchUserInfo(configuration, accessToken, sub)
  }

  #discovered(): Promise<oidc.Configuration> {
    this.#configuration ??= this.#discover().catch((cause: unknown) => {
      this.#configuration = undefined
      const detail = 'the identity provider can not be asked'
      throw new GatewayError('identity-unavailable', { detail, internal: reasonOf(cause), cause })
    })
    return this.#configuration
  }

  async #discover(): Promise<oidc.Configuration> {
    const { provider, issuer, secret, base } = this.#options
    const url = new URL(issuer.issuer)
    const insecure = provider.allow_insecure_http || isLoopbackHost(url.hostname)
    const plain = url.protocol === 'http:' && insecure ? [oidc.allowInsecureRequests] : []
    const authentication = secret === undefined ? oidc.None() : oidc.ClientSecretPost(await secret())
    const options: oidc.DiscoveryRequestOptions = { timeout: timeoutSeconds, execute: plain }
    if (issuer.ca !== undefined) {
      const dispatcher = new Agent({ connect: { ca: await readFile(resolve(base, issuer.ca), 'utf8') } })
      options[oidc.customFetch] = ((at: string, init: object) =>
        undiciFetch(at, { ...init, dispatcher })) as unknown as oidc.CustomFetch
    }
    return await oidc.discovery(url, provider.client_id, undefined, authentication, options)
  }
}

/** For the log alone: the library's words name no secret. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code, error: oauth } = error as { code?: unknown; error?: unknown }
  return [oauth, code, error.message]
    .filter(each => typeof each === 'string')
    .join(': ')
    .slice(0, 200)
}
