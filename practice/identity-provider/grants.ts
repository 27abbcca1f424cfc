/**
 * The grants of the practice issuer: client credentials and authorization code with PKCE (RFC 6749, RFC 7636),
 * device authorization (RFC 8628), refresh, and token exchange (RFC 8693). Strict where clients could learn bad
 * habits, simple elsewhere.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { PracticeClient, PracticeDirectory, PracticePerson } from './directory.ts'
import { Once } from './once.ts'

/** An OAuth error as RFC 6749 section 5.2 names it. */
export class OAuthError extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, description: string, status = 400) {
    super(description)
    this.code = code
    this.status = status
  }
}

export interface CodeRequest {
  readonly client: string
  readonly redirectUri: string
  readonly challenge: string
  readonly nonce?: string
  readonly scope: string
  readonly person: string
}

export interface DeviceRequest {
  readonly client: string
  readonly userCode: string
  readonly scope: string
  person?: string
  denied?: boolean
}

interface RefreshRight {
  readonly client: string
  readonly person: string
  readonly scope: string
}

/**
 * Signs claims: `access` gets the issuer's audience and lifetime, `id` the client as its audience, `assertion` is an
 * ID-JAG.
 */
export type Sign = (claims: JWTPayload, use: 'access' | 'id' | 'assertion') => Promise<string>

export const grantTypes = {
  client: 'client_credentials',
  code: 'authorization_code',
  refresh: 'refresh_token',
  device: 'urn:ietf:params:oauth:grant-type:device_code',
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const

const idJag = 'urn:ietf:params:oauth:token-type:id-jag'

export class Grants {
  readonly codes = new Once<CodeRequest>(60_000)
  readonly devices = new Once<DeviceRequest>(600_000)
  readonly #refresh = new Once<RefreshRight>(86_400_000)
  readonly #directory: PracticeDirectory
  readonly #sign: Sign
  readonly #verify: (token: string) => Promise<JWTPayload>
  readonly lifetime: number

  constructor(of: {
    directory: PracticeDirectory
    sign: Sign
    verify: (token: string) => Promise<JWTPayload>
    lifetime: number
  }) {
    this.#directory = of.directory
    this.#sign = of.sign
    this.#verify = of.verify
    this.lifetime = of.lifetime
  }

  /** The client that a token request is from, by HTTP Basic or by form fields (RFC 6749 section 2.3.1). */
  client(form: URLSearchParams, authorization: string | undefined): PracticeClient {
    const basic = authorization?.startsWith('Basic ')
      ? Buffer.from(authorization.slice(6), 'base64').toString('utf8').split(':')
      : undefined
    const id = basic ? decodeURIComponent(basic[0] ?? '') : form.get('client_id')
    const secret = basic ? decodeURIComponent(basic[1] ?? '') : (form.get('client_secret') ?? '')
    const client = this.#directory.clients.find(each => each.id === id)
    if (client === undefined || (client.secret !== undefined && !same(client.secret, secret)))
      throw new OAuthError('invalid_client', 'unknown client or wrong secret', 401)
    return client
  }

  person(sub: string | null | undefined): PracticePerson | undefined {
    return this.#directory.people.find(each => each.sub === sub || each.email === sub)
  }

  async token(form: URLSearchParams, client: PracticeClient): Promise<object> {
    switch (form.get('grant_type')) {
      case grantTypes.client:
        return this.#own(form, client)
      case grantTypes.code:
        return this.#byCode(form, client)
      case grantTypes.device:
        return this.#byDevice(form, client)
      case grantTypes.refresh:
        return this.#byRefresh(form, client)
      case grantTypes.exchange:
        return this.#byExchange(form, client)
      case null:
      default:
        throw new OAuthError('unsupported_grant_type', 'not a grant of this issuer')
    }
  }

  /** What a person would get by signing in, for tests that have no browser. */
  async tokenOfPerson(name: string): Promise<object> {
    const person = this.person(name)
    if (person === undefined) throw new TypeError(`nobody is called ${name} here`)
    return this.#answer(new URLSearchParams(), { ...describe(person), client_id: 'sallyport-cli' })
  }

  startDevice(form: URLSearchParams, client: PracticeClient, autoApprove: string | undefined) {
    const deviceCode = unguessable()
    const letters = [...randomBytes(8)].map(byte => 'BCDFGHJKLMNPQRST'[byte & 15]).join('')
    const userCode = `${letters.slice(0, 4)}-${letters.slice(4)}`
    const request: DeviceRequest = { client: client.id, userCode, scope: form.get('scope') ?? '' }
    if (autoApprove !== undefined) request.person = autoApprove
    this.devices.set(deviceCode, request)
    return { deviceCode, userCode }
  }

  async #own(form: URLSearchParams, client: PracticeClient) {
    if (client.secret === undefined) throw new OAuthError('unauthorized_client', 'a public client')
    const acted = this.person(client.actsFor)
    const claims = acted
      ? { ...describe(acted), act: { sub: client.id, name: client.name } }
      : { sub: client.id, name: client.name, groups: [...(client.groups ?? [])] }
    const asked = form.get('scope')
    return this.#answer(form, { ...claims, ...(asked ? { scope: asked } : {}), client_id: client.id })
  }

  async #byCode(form: URLSearchParams, client: PracticeClient) {
    const request = this.codes.take(form.get('code') ?? '')
    const verifier = form.get('code_verifier') ?? ''
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    if (request?.client !== client.id || request.redirectUri !== form.get('redirect_uri'))
      throw new OAuthError('invalid_grant', 'the code is not valid')
    if (!same(challenge, request.challenge))
      throw new OAuthError('invalid_grant', 'the verifier does not match')
    return this.#forPerson(form, client, request)
  }

  async #byDevice(form: URLSearchParams, client: PracticeClient) {
    const code = form.get('device_code') ?? ''
    const request = this.devices.get(code)
    if (request === undefined)
      throw new OAuthError('expired_token', 'the device code is not valid (any more)')
    if (request.client !== client.id) throw new OAuthError('invalid_grant', 'the code of another client')
    if (request.denied) throw new OAuthError('access_denied', 'the person said no')
    if (request.person === undefined) throw new OAuthError('authorization_pending', 'nobody has decided yet')
    this.devices.take(code)
    return this.#forPerson(form, client, { person: request.person, scope: request.scope })
  }

  async #byRefresh(form: URLSearchParams, client: PracticeClient) {
    const right = this.#refresh.take(form.get('refresh_token') ?? '')
    if (right?.client !== client.id) throw new OAuthError('invalid_grant', 'the refresh token is not valid')
    return this.#forPerson(form, client, right)
  }

  /** RFC 8693: the caller becomes the actor of the person whose token it shows; an earlier actor is kept inside. */
  async #byExchange(form: URLSearchParams, client: PracticeClient) {
    if (client.secret === undefined) throw new OAuthError('unauthorized_client', 'a public client')
    const shown = await this.#verify(form.get('subject_token') ?? '').catch(() => undefined)
    const person = this.person(shown?.sub)
    if (person === undefined)
      throw new OAuthError('invalid_request', 'subject_token is not a valid token of a person')
    if (form.get('requested_token_type') === idJag)
      return await this.#assertion(form, client, { shown, person })
    const act = { sub: client.id, name: client.name, ...(shown?.['act'] ? { act: shown['act'] } : {}) }
    const answer = await this.#answer(form, { ...describe(person), act, client_id: client.id })
    return { ...answer, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }
  }

  /** An identity assertion for another authorization server (draft-ietf-oauth-identity-assertion-authz-grant). */
  async #assertion(
    form: URLSearchParams,
    client: PracticeClient,
    of: { readonly shown: JWTPayload | undefined; readonly person: PracticePerson },
  ) {
    const audience = form.get('audience')
    const resource = form.get('resource')
    if (form.get('subject_token_type') !== 'urn:ietf:params:oauth:token-type:id_token')
      throw new OAuthError('invalid_request', 'subject_token_type must be that of an ID token')
    if (of.shown?.aud !== client.id) throw new OAuthError('invalid_grant', 'the ID token of another client')
    if (audience === null) throw new OAuthError('invalid_request', 'audience is missing')
    const scope = form.get('scope')
    const claims = {
      ...describe(of.person),
      aud: audience,
      client_id: client.id,
      jti: unguessable(),
      ...(resource === null ? {} : { resource }),
      ...(scope === null ? {} : { scope }),
    }
    const token = await this.#sign(claims, 'assertion')
    return { access_token: token, issued_token_type: idJag, token_type: 'N_A', expires_in: this.lifetime }
  }

  async #forPerson(
    form: URLSearchParams,
    client: PracticeClient,
    grant: { readonly person: string; readonly scope: string; readonly nonce?: string },
  ) {
    const person = this.person(grant.person)
    if (person === undefined) throw new OAuthError('invalid_grant', 'that person is gone')
    const claims = describe(person)
    const nonce = grant.nonce === undefined ? {} : { nonce: grant.nonce }
    const refresh = unguessable()
    this.#refresh.set(refresh, { client: client.id, person: person.sub, scope: grant.scope })
    const scope = grant.scope === '' ? {} : { scope: grant.scope }
    const answer = await this.#answer(form, { ...claims, ...scope, client_id: client.id })
    const openid = grant.scope.split(' ').includes('openid')
    return {
      ...answer,
      scope: grant.scope,
      refresh_token: refresh,
      ...(openid
        ? { id_token: await this.#sign({ ...claims, ...nonce, aud: client.id, azp: client.id }, 'id') }
        : {}),
    }
  }

  async #answer(form: URLSearchParams, claims: JWTPayload) {
    const audience = form.get('resource') ?? form.get('audience')
    const token = await this.#sign({ ...claims, ...(audience ? { aud: audience } : {}) }, 'access')
    return { access_token: token, token_type: 'Bearer', expires_in: this.lifetime }
  }
}

export function unguessable(): string {
  return randomBytes(32).toString('base64url')
}

function describe(person: PracticePerson) {
  return {
    sub: person.sub,
    name: person.name,
    email: person.email,
    email_verified: true,
    groups: [...person.groups],
  }
}

function same(left: string, right: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(left), hash(right))
}
