/**
 * Signs a person in from a terminal: the device authorization grant (RFC 8628), and refresh. Keeping the tokens is the
 * caller's job.
 */
import * as oidc from 'openid-client'
import { isLoopbackHost } from '../config/identity.ts'
import { GatewayError } from '../errors.ts'
import { isPlainText } from './claim.ts'

export interface LoginClient {
  /** The issuer's identifier, as in its discovery document. */
  readonly issuer: string
  /** Where the issuer takes these requests, for one without a discovery document. */
  readonly endpoints?: { readonly authorization: string; readonly token: string }
  /** A client that the issuer allows the device grant. */
  readonly clientId: string
  /** For issuers that give secrets even to programs on people's machines. */
  readonly clientSecret?: string
  /** Default `openid profile email offline_access`. */
  readonly scope?: string
  /** The gateway's audience at the issuer, sent as `resource` (RFC 8707) and as `audience`, which others ask for. */
  readonly audience?: string
  readonly allowInsecureHttp?: boolean
}

/** What the person must do. */
export interface DevicePrompt {
  readonly verificationUri: string
  /** The same with the code in it. */
  readonly verificationUriComplete?: string
  readonly userCode: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

export interface LoginTokens {
  readonly issuer: string
  readonly clientId: string
  readonly accessToken: string
  readonly idToken?: string
  readonly refreshToken?: string
  /** Of the access token, milliseconds since the epoch. */
  readonly expiresAt?: number
}

const defaultScope = 'openid profile email offline_access'
const timeoutSeconds = 10

/**
 * Shows the prompt, then waits until the person has decided. Throws `unauthenticated` when they refuse or let the code
 * expire, `identity-unavailable` when the issuer cannot be asked; rejects with the signal's reason when aborted.
 */
export async function loginWithDevice(
  client: LoginClient,
  show: (prompt: DevicePrompt) => void,
  signal?: AbortSignal,
): Promise<LoginTokens> {
  return translated(signal, async () => {
    const configuration = await discover(client)
    const more = client.audience === undefined ? {} : { resource: client.audience, audience: client.audience }
    const scope = client.scope ?? defaultScope
    const started = await oidc.initiateDeviceAuthorization(configuration, { scope, ...more })
    show(promptOf(started))
    const polling = signal === undefined ? {} : { signal }
    return tokensOf(client, await oidc.pollDeviceAuthorizationGrant(configuration, started, more, polling))
  })
}

/** New tokens for a refresh token. Where the issuer sends no new refresh token, the old one stays in use. */
export async function refreshLogin(client: LoginClient, refreshToken: string): Promise<LoginTokens> {
  return translated(undefined, async () => {
    const configuration = await discover(client)
    const more = client.audience === undefined ? {} : { resource: client.audience, audience: client.audience }
    return {
      refreshToken,
      ...tokensOf(client, await oidc.refreshTokenGrant(configuration, refreshToken, more)),
    }
  })
}

async function discover(client: LoginClient): Promise<oidc.Configuration> {
  const url = URL.parse(client.issuer)
  if (url === null) throw new GatewayError('invalid-request', { detail: 'the issuer is not an address' })
  const plain = client.allowInsecureHttp === true || isLoopbackHost(url.hostname)
  const { endpoints } = client
  if (endpoints !== undefined) {
    const configuration = new oidc.Configuration(
      {
        issuer: client.issuer,
        device_authorization_endpoint: endpoints.authorization,
        token_endpoint: endpoints.token,
      },
      client.clientId,
      {},
      oidc.None(),
    )
    if (plain) oidc.allowInsecureRequests(configuration)
    configuration.timeout = timeoutSeconds
    return configuration
  }
  const auth = client.clientSecret === undefined ? oidc.None() : oidc.ClientSecretBasic(client.clientSecret)
  return oidc.discovery(url, client.clientId, {}, auth, {
    timeout: timeoutSeconds,
    execute: plain ? [oidc.allowInsecureRequests] : [],
  })
}

/** What comes from the issuer is printed on a terminal, so it must be an address and plain text. */
function promptOf(started: oidc.DeviceAuthorizationResponse): DevicePrompt {
  const { verification_uri: uri, verification_uri_complete: complete, user_code: userCode } = started
  if (!isAddress(uri) || !isPlainText(userCode, 64)) {
    throw new GatewayError('identity-unavailable', { detail: 'the issuer’s device answer is not usable' })
  }
  const expiresAt = Date.now() + started.expires_in * 1000
  return {
    verificationUri: uri,
    userCode,
    expiresAt,
    ...(isAddress(complete) ? { verificationUriComplete: complete } : {}),
  }
}

function isAddress(value: unknown): value is string {
  return isPlainText(value, 2048) && /^https?:$/.test(URL.parse(value)?.protocol ?? '')
}

function tokensOf(client: LoginClient, answer: oidc.TokenEndpointResponse): LoginTokens {
  const lifetime = answer.expires_in
  return {
    issuer: client.issuer,
    clientId: client.clientId,
    accessToken: answer.access_token,
    ...(answer.id_token === undefined ? {} : { idToken: answer.id_token }),
    ...(answer.refresh_token === undefined ? {} : { refreshToken: answer.refresh_token }),
    ...(lifetime === undefined ? {} : { expiresAt: Date.now() + lifetime * 1000 }),
  }
}

/** An OAuth error (RFC 6749 section 5.2) is an answer about the person; anything else means that none was had. */
async function translated<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GatewayError) throw error
    if (signal?.aborted === true) throw signal.reason
    if (error instanceof oidc.ResponseBodyError && error.status < 500) {
      throw new GatewayError('unauthenticated', { detail: reasonFor(error.error), cause: error })
    }
    const detail = 'the issuer cannot be asked, or its answer makes no sense'
    throw new GatewayError('identity-unavailable', { detail, cause: error })
  }
}

function reasonFor(code: string): string {
  switch (code) {
    case 'access_denied':
      return 'the sign-in was refused'
    case 'expired_token':
      return 'nobody signed in while the code was valid'
    case 'invalid_grant':
      return 'the sign-in is not valid any more'
    default:
      return `the issuer said: ${code.slice(0, 60).replaceAll(/[^a-z0-9_.-]/gi, '?')}`
  }
}
