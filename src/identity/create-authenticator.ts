import { type Clock, systemClock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import type { Authenticator, IdentityProvider, ProviderStatus } from './authenticator.ts'
import type { FetchDocument } from './fetch-document.ts'
import { refuse } from './jwt.ts'
import { createOidcProvider } from './oidc.ts'

export interface AuthenticatorOptions {
  readonly issuers: readonly IssuerConfig[]
  /** Further providers, asked in this order before OIDC: gateway tokens, others. */
  readonly providers?: readonly IdentityProvider[]
  readonly clock?: Clock
  readonly cachedTokens?: number
  /** Where relative paths of the configuration start. */
  readonly base?: string
  /** In place of the network, for tests. */
  readonly fetchDocument?: FetchDocument
}

/** The authenticator with what `main.ts` needs around it. */
export interface OpenAuthenticator extends Authenticator {
  warm(): Promise<void>
  status(): readonly ProviderStatus[]
  /** Ends background work and forgets every verified token. `providers` that were passed in are left open. */
  close(): Promise<void>
}

/**
 * Composes the providers: the first that recognizes the form of a credential answers, alone. Nothing is fetched until
 * the first token, or `warm`. On a configuration change make a new one and close the old.
 */
export function createAuthenticator(options: AuthenticatorOptions): OpenAuthenticator {
  const { clock = systemClock, cachedTokens = 10_000, providers: others = [], ...rest } = options
  const oidc = createOidcProvider({ ...rest, clock, cachedTokens })
  const providers = [...others, oidc]
  return {
    identify(credential) {
      for (const provider of providers)
        if (provider.recognizes(credential)) return provider.identify(credential)
      return refuse('token-unrecognized')
    },
    async warm() {
      await Promise.all(providers.map(provider => provider.warm()))
    },
    status: () => providers.flatMap(provider => provider.status()),
    close: () => oidc.close(),
  }
}
