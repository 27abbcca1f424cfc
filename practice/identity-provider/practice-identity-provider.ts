/**
 * A small OIDC issuer for the quickstart, for sandboxes and for tests. It lives on loopback, forgets everything when
 * it stops, and lets anybody be anybody: never for real use.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLocalJWKSet, jwtVerify, SignJWT, type JWTHeaderParameters, type JWTPayload } from 'jose'
import { type PracticeClient, type PracticeDirectory, practiceDirectory } from './directory.ts'
import { Grants, grantTypes, OAuthError, unguessable } from './grants.ts'
import { createKeyRing, type KeyRing, type SigningKey } from './key-ring.ts'
import { choicePage, messagePage } from './pages.ts'

/** `typ` of what is signed and is no access token. */
const typeOf = { id: 'JWT', assertion: 'oauth-id-jag+jwt' } as const

export interface PracticeOptions {
  /** 0, the default: any free port. */
  readonly port?: number
  /** The `aud` of access tokens unless the client names another `resource`. Default `sallyport`. */
  readonly audience?: string
  /** Of the signing key. Default ES256. */
  readonly alg?: string
  /** Of access tokens, seconds. Default 600. */
  readonly lifetime?: number
  readonly directory?: PracticeDirectory
  /** The `sub` of a person who approves every device at once, so that no browser is needed. */
  readonly autoApprove?: string
}

export interface MintOptions {
  /** Protected header members on top of `alg`, `kid` and `typ`. */
  readonly header?: Partial<JWTHeaderParameters>
  /** Sign with this key, not the current one. */
  readonly key?: SigningKey
  /** Seconds from now; default the issuer's lifetime. Ignored where the claims have `exp`. */
  readonly lifetime?: number
}

export interface PracticeIdentityProvider {
  /** `http://127.0.0.1:PORT`, the `iss` of every token. */
  readonly issuer: string
  readonly directory: PracticeDirectory
  readonly keys: KeyRing
  /** Requests seen so far, by path. */
  readonly requests: ReadonlyMap<string, number>
  /** An access token with these claims over `iss`, `aud`, `iat`, `exp`. A claim that is `undefined` is left out. */
  mint(claims: JWTPayload, options?: MintOptions): Promise<string>
  /** An access token of a person or client of the directory, just as the token endpoint would give it. */
  mintFor(subOrClient: string): Promise<string>
  /** A new signing key. With `forget` the earlier ones are no longer published. */
  rotate(options?: { readonly forget?: boolean; readonly alg?: string }): Promise<SigningKey>
  /** While down, every endpoint answers 503. */
  outage(down: boolean): void
  close(): Promise<void>
}

/** Starts the issuer on 127.0.0.1 and resolves once it listens. */
export async function startPracticeIdentityProvider(
  options: PracticeOptions = {},
): Promise<PracticeIdentityProvider> {
  const directory = options.directory ?? practiceDirectory
  const audience = options.audience ?? 'sallyport'
  const lifetime = options.lifetime ?? 600
  const keys = await createKeyRing(options.alg ?? 'ES256')
  const requests = new Map<string, number>()
  let down = false
  let issuer = ''

  async function mint(claims: JWTPayload, minting: MintOptions = {}): Promise<string> {
    const key = minting.key ?? keys.current
    const now = Math.floor(Date.now() / 1000)
    const times = { iat: now, exp: now + (minting.lifetime ?? lifetime), jti: unguessable() }
    return new SignJWT({ iss: issuer, aud: audience, ...times, ...claims })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...minting.header })
      .sign(key.privateKey)
  }

  const grants = new Grants({
    directory,
    lifetime,
    sign: (claims, use) => mint(claims, use === 'access' ? {} : { header: { typ: typeOf[use] } }),
    verify: async token => (await jwtVerify(token, createLocalJWKSet(keys.jwks()), { issuer })).payload,
  })
  const site = new Site({ grants, keys, autoApprove: options.autoApprove, issuer: () => issuer, directory })
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!
    if (requests.size < 1000 || requests.has(path)) requests.set(path, (requests.get(path) ?? 0) + 1)
    if (down) return void response.writeHead(503).end()
    site.answer(request, response, path).catch((error: unknown) => sendFault(response, error))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer,
    directory,
    keys,
    requests,
    mint,
    async mintFor(name) {
      const client = directory.clients.find(each => each.id === name)
      const answer = client
        ? await grants.token(new URLSearchParams({ grant_type: grantTypes.client }), client)
        : await grants.tokenOfPerson(name)
      return (answer as { access_token: string }).access_token
    },
    rotate: rotation => keys.rotate(rotation),
    outage(value) {
      down = value
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface SiteParts {
  readonly grants: Grants
  readonly keys: KeyRing
  readonly directory: PracticeDirectory
  readonly autoApprove: string | undefined
  issuer(): string
}

class Site {
  readonly #of: SiteParts

  constructor(of: SiteParts) {
    this.#of = of
  }

  async answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { grants, keys } = this.#of
    const query = new URL(request.url ?? '/', this.#of.issuer()).searchParams
    switch (`${request.method} ${path}`) {
      case 'GET /.well-known/openid-configuration':
      case 'GET /.well-known/oauth-authorization-server':
        return sendJson(response, 200, this.#metadata())
      case 'GET /jwks':
        return sendJson(response, 200, keys.jwks())
      case 'POST /token': {
        const form = await readForm(request)
        return sendJson(
          response,
          200,
          await grants.token(form, grants.client(form, request.headers.authorization)),
        )
      }
      case 'POST /device_authorization': {
        const form = await readForm(request)
        return this.#device(response, form, grants.client(form, request.headers.authorization))
      }
      case 'GET /device':
        return this.#askDevice(response, query.get('user_code') ?? '')
      case 'POST /device':
        return this.#approveDevice(response, await readForm(request))
      case 'GET /authorize':
        return this.#askCode(response, query)
      case 'POST /authorize':
        return this.#giveCode(response, await readForm(request))
      default:
        return sendJson(response, 404, { error: 'not_found' })
    }
  }

  #metadata() {
    const issuer = this.#of.issuer()
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      device_authorization_endpoint: `${issuer}/device_authorization`,
      jwks_uri: `${issuer}/jwks`,
      grant_types_supported: Object.values(grantTypes),
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      subject_types_supported: ['public'],
      scopes_supported: ['openid', 'offline_access'],
      id_token_signing_alg_values_supported: [this.#of.keys.current.alg],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    }
  }

  #device(response: ServerResponse, form: URLSearchParams, client: PracticeClient): void {
    const started = this.#of.grants.startDevice(form, client, this.#of.autoApprove)
    const page = `${this.#of.issuer()}/device`
    sendJson(response, 200, {
      device_code: started.deviceCode,
      user_code: started.userCode,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${started.userCode}`,
      expires_in: 600,
      interval: 1,
    })
  }

  #askDevice(response: ServerResponse, userCode: string): void {
    const ask = { name: 'user_code', label: 'The code your device shows', value: userCode }
    const page = choicePage({
      title: 'Sign in a device',
      action: '/device',
      people: this.#people,
      fields: {},
      ask,
    })
    sendPage(response, 200, page)
  }

  #approveDevice(response: ServerResponse, form: URLSearchParams): void {
    const wanted = (form.get('user_code') ?? '').trim().toUpperCase()
    const request = this.#of.grants.devices.find(each => each.userCode === wanted)
    const person = this.#of.grants.person(form.get('person'))
    if (request === undefined || request.person !== undefined)
      return sendPage(response, 400, messagePage('No such code', 'The code is wrong, used or too old.'))
    if (person === undefined) request.denied = true
    else request.person = person.sub
    sendPage(response, 200, messagePage('Done', 'You can close this page and go back to your device.'))
  }

  #askCode(response: ServerResponse, query: URLSearchParams): void {
    this.#checkCodeRequest(query)
    const fields = Object.fromEntries(query)
    sendPage(
      response,
      200,
      choicePage({ title: 'Sign in', action: '/authorize', people: this.#people, fields }),
    )
  }

  #giveCode(response: ServerResponse, form: URLSearchParams): void {
    const { client, redirect } = this.#checkCodeRequest(form)
    const person = this.#of.grants.person(form.get('person'))
    const state = form.get('state')
    if (state !== null) redirect.searchParams.set('state', state)
    redirect.searchParams.set('iss', this.#of.issuer())
    if (person === undefined) {
      redirect.searchParams.set('error', 'access_denied')
    } else {
      const code = unguessable()
      const nonce = form.get('nonce')
      this.#of.grants.codes.set(code, {
        client: client.id,
        redirectUri: form.get('redirect_uri')!,
        challenge: form.get('code_challenge')!,
        scope: form.get('scope') ?? '',
        person: person.sub,
        ...(nonce === null ? {} : { nonce }),
      })
      redirect.searchParams.set('code', code)
    }
    response.writeHead(303, { location: redirect.href, 'cache-control': 'no-store' }).end()
  }

  /** Where the redirect address is not the client's own, nothing is ever sent there (RFC 6749 section 4.1.2.1). */
  #checkCodeRequest(query: URLSearchParams): { client: PracticeClient; redirect: URL } {
    const client = this.#of.directory.clients.find(each => each.id === query.get('client_id'))
    const uri = query.get('redirect_uri') ?? ''
    const redirect = URL.parse(uri)
    if (client === undefined || redirect === null)
      throw new OAuthError('invalid_request', 'client or redirect_uri')
    const loopback =
      redirect.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(redirect.hostname)
    if (!loopback && !client.redirectUris?.includes(uri))
      throw new OAuthError('invalid_request', 'redirect_uri is not one of the client')
    if (query.get('response_type') !== 'code') throw new OAuthError('unsupported_response_type', 'code only')
    if (query.get('code_challenge_method') !== 'S256' || !query.get('code_challenge'))
      throw new OAuthError('invalid_request', 'PKCE with S256 is required')
    return { client, redirect }
  }

  get #people() {
    return this.#of.directory.people
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > 65_536) throw new OAuthError('invalid_request', 'the form is too large', 413)
    parts.push(part)
  }
  return new URLSearchParams(Buffer.concat(parts).toString('utf8'))
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  // A console in a browser asks from another origin.
  const open = { 'access-control-allow-origin': '*', 'cache-control': 'no-store' }
  response.writeHead(status, { 'content-type': 'application/json', ...open })
  response.end(JSON.stringify(body))
}

function sendPage(response: ServerResponse, status: number, html: string): void {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
  })
  response.end(html)
}

function sendFault(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  const known =
    error instanceof OAuthError ? error : new OAuthError('server_error', 'the practice issuer failed', 500)
  sendJson(response, known.status, { error: known.code, error_description: known.message })
}
