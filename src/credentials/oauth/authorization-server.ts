/** An authorization server as this gateway is its client (RFC 6749), through `openid-client`. */
import { createPrivateKey } from 'node:crypto'
import { importPKCS8 } from 'jose'
import * as oidc from 'openid-client'
import { isLoopbackHost } from '../../config/identity.ts'
import { GatewayError } from '../../errors.ts'
import type { OAuthCredential } from '../../model/credential.ts'
import { openSecret, type SecretSource } from '../references.ts'

const timeoutSeconds = 10
const maxAnswerBytes = 256 * 1024
const metadataFreshMs = 3_600_000

/** Opens the client of a credential; its metadata are fetched once an hour, its secrets are read each time. */
export class AuthorizationServer {
  readonly #of: OAuthCredential
  readonly #secret: SecretSource | undefined
  readonly #key: SecretSource | undefined
  #metadata: { readonly at: number; readonly found: Promise<oidc.ServerMetadata> } | undefined

  /** `base`: the directory that `file:` references start from. */
  constructor(of: OAuthCredential, base: string) {
    this.#of = of
    this.#secret = of.client_secret === undefined ? undefined : openSecret(of.client_secret, base)
    this.#key = of.private_key === undefined ? undefined : openSecret(of.private_key, base)
  }

  /**
   * Runs one exchange with it. Throws `credential-unavailable`, with the server's error code where it gave one;
   * `refused` gets to see an error of OAuth first.
   */
  async ask<T>(
    exchange: (client: oidc.Configuration) => Promise<T> | T,
    refused: (code: string) => GatewayError | undefined = () => undefined,
  ): Promise<T> {
    try {
      return await exchange(await this.#open())
    } catch (error) {
      if (error instanceof GatewayError) throw error
      const code =
        error instanceof oidc.ResponseBodyError || error instanceof oidc.AuthorizationResponseError
          ? error.error.slice(0, 60).replaceAll(/[^a-z0-9_.-]/gi, '?')
          : undefined
      const translated = code === undefined ? undefined : refused(code)
      if (translated !== undefined) throw translated
      throw new GatewayError('credential-unavailable', {
        detail:
          code === undefined
            ? 'the authorization server of this connection can not be asked, or its answer makes no sense'
            : `the authorization server of this connection refused: ${code}`,
        internal: `${this.#of.issuer}: ${(error as Error).message}`,
      })
    }
  }

  /** The parameters that every request for a token of this credential has. `more`: scopes beyond those configured. */
  parameters(more: readonly string[] = []): Record<string, string> {
    const { resource } = this.#of
    const scopes = [...new Set([...this.#of.scopes, ...more])]
    return {
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(resource === undefined ? {} : { resource }),
    }
  }

  async #open(): Promise<oidc.Configuration> {
    const metadata = await this.#discover()
    const authentication = await this.#authentication(metadata)
    const client = new oidc.Configuration(metadata, this.#of.client_id, {}, authentication)
    client.timeout = timeoutSeconds
    client[oidc.customFetch] = boundedFetch
    if (this.#plain) oidc.allowInsecureRequests(client)
    return client
  }

  get #plain(): boolean {
    const host = new URL(this.#of.token_endpoint ?? this.#of.issuer).hostname
    return this.#of.allow_insecure_http || isLoopbackHost(host)
  }

  #discover(): Promise<oidc.ServerMetadata> {
    const { issuer, token_endpoint, authorization_endpoint, grant } = this.#of
    const given = {
      ...(token_endpoint === undefined ? {} : { token_endpoint }),
      ...(authorization_endpoint === undefined ? {} : { authorization_endpoint }),
    }
    const enough =
      token_endpoint !== undefined && (grant === 'client_credentials' || authorization_endpoint !== undefined)
    if (enough) return Promise.resolve({ issuer, ...given })
    const fresh = this.#metadata !== undefined && Date.now() - this.#metadata.at < metadataFreshMs
    if (!fresh) {
      const found = this.#fetchMetadata().then(metadata => ({ ...metadata, ...given }))
      this.#metadata = { at: Date.now(), found }
      found.catch(() => {
        this.#metadata = undefined
      })
    }
    return this.#metadata!.found
  }

  /** RFC 8414 first, then OpenID Connect Discovery, as MCP's authorization asks. */
  async #fetchMetadata(): Promise<oidc.ServerMetadata> {
    const discover = async (algorithm: 'oauth2' | 'oidc') =>
      (
        await oidc.discovery(new URL(this.#of.issuer), this.#of.client_id, {}, oidc.None(), {
          algorithm,
          timeout: timeoutSeconds,
          [oidc.customFetch]: boundedFetch,
          execute: this.#plain ? [oidc.allowInsecureRequests] : [],
        })
      ).serverMetadata()
    return await discover('oauth2').catch(() => discover('oidc'))
  }

  async #authentication(metadata: oidc.ServerMetadata): Promise<oidc.ClientAuth> {
    if (this.#key !== undefined) {
      const pem = await this.#key.read()
      const key = await importPKCS8(pem, algorithmOf(pem))
      const { key_id: kid, assertion_audience } = this.#of
      return oidc.PrivateKeyJwt(kid === undefined ? key : { key, kid }, {
        [oidc.modifyAssertion]: (header, payload) => {
          // RFC 7523 section 3 lets it be either; which one a server takes is its own matter.
          if (assertion_audience === 'token_endpoint') payload['aud'] = metadata.token_endpoint
          // The name of RFC 9864 is known to few servers yet.
          const known = metadata.token_endpoint_auth_signing_alg_values_supported ?? []
          if (header['alg'] === 'Ed25519' && !known.includes('Ed25519')) header['alg'] = 'EdDSA'
        },
      })
    }
    if (this.#secret === undefined) return oidc.None()
    const secret = await this.#secret.read()
    return this.#of.authentication === 'post' ? oidc.ClientSecretPost(secret) : basic(secret)
  }
}

/**
 * HTTP Basic with both halves form-encoded (RFC 6749 section 2.3.1). The library also encodes what needs none, such as a
 * hyphen, and servers that do not decode then know no such client.
 */
function basic(secret: string): oidc.ClientAuth {
  return (...[, { client_id: id }, , headers]: Parameters<oidc.ClientAuth>) => {
    const shown = `${formEncoded(id)}:${formEncoded(secret)}`
    headers.set('authorization', `Basic ${Buffer.from(shown).toString('base64')}`)
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

function algorithmOf(pem: string): string {
  let key
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new GatewayError('credential-unavailable', {
      detail: 'the private key of the client is not a PKCS #8 PEM',
    })
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return 'EdDSA'
  if (type !== 'ec') return 'RS256'
  return { secp384r1: 'ES384', secp521r1: 'ES512' }[details?.namedCurve ?? ''] ?? 'ES256'
}

/** No redirects, and no answer that is larger than any of OAuth's is. */
const boundedFetch: oidc.CustomFetch = async (url, { body, ...options }) => {
  const response = await fetch(url, {
    ...options,
    ...(body == null ? {} : { body: body as string | URLSearchParams }),
    redirect: 'manual',
  })
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    size += part.length
    if (size > maxAnswerBytes) throw new Error(`an answer larger than ${maxAnswerBytes} bytes`)
    parts.push(part)
  }
  const bodiless = [101, 204, 205, 304].includes(response.status)
  return new Response(bodiless ? null : Buffer.concat(parts), {
    status: response.status,
    headers: response.headers,
  })
}
