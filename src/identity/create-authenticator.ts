import { type Clock, systemClock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import type { Authenticator, IdentityProvider, ProviderStatus } from './authenticator.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { refuse } from './jwt.ts'
import { createOidcProvider } from './oidc.ts'

export interface AuthenticatorOptions {
  readonly issuers: readonly IssuerConfig[]
  /** Further providers, asked in this order before OIDC: gateway tokens, others. */
  readonly providers?: readonly IdentityProvider[]
  readonly clock?: Clock
  readonly cachedTokens?: number
  /** Shared by one authenticator and the next, so that keys outlive a change of configuration. Left open by `close`. */
  readonly keys?: IssuerKeys
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
 * the first token, or `warm`. On a configuration change make a new one with the same `keys`, close the old, and then
 * let the keys `retain` the issuers that are left.
 */
export function createAuthenticator(options: AuthenticatorOptions): OpenAuthenticator {
  const { issuers, clock = systemClock, cachedTokens = 10_000, providers: others = [] } = options
  const keys = options.keys ?? new IssuerKeys({ clock })
  const oidc = createOidcProvider({ issuers, clock, cachedTokens, keys })
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
    async close() {
      await oidc.close()
      if (options.keys === undefined) await keys.close()
    },
  }
}
