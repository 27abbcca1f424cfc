/** A secret of a connection that an authorization server issues (RFC 6749), in place of a reference to a fixed one. */
export interface OAuthCredential {
  /** `client_credentials`: one token for everybody. `authorization_code`: each person's own, after their consent. */
  readonly grant: 'client_credentials' | 'authorization_code'
  /** The authorization server's identifier; its endpoints are discovered where they are not given. */
  readonly issuer: string
  readonly token_endpoint?: string | undefined
  readonly authorization_endpoint?: string | undefined
  readonly client_id: string
  /** References to secrets, never secrets. */
  readonly client_secret?: string | undefined
  readonly private_key?: string | undefined
  readonly key_id?: string | undefined
  /** `aud` of the assertion that the key signs; default `issuer`. */
  readonly assertion_audience?: 'issuer' | 'token_endpoint' | undefined
  readonly authentication?: 'basic' | 'post' | undefined
  readonly scopes: readonly string[]
  /** Patterns of those that people may be asked for because the upstream wants them. */
  readonly more_scopes: readonly string[]
  /** RFC 8707: what the token is for. */
  readonly resource?: string | undefined
  readonly refresh_ahead: number
  readonly allow_insecure_http: boolean
}

/** Where a secret comes from: a reference (config/secret.ts), or an authorization server. */
export type CredentialSource = string | { readonly oauth: OAuthCredential }
