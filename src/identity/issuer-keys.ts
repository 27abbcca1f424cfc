import type { Clock } from '../clock.ts'
import type { IssuerConfig } from '../config/identity.ts'
import type { FetchDocument } from './fetch-document.ts'
import { KeySet } from './key-set.ts'
import { createKeySource, type KeySource } from './key-source.ts'

export interface IssuerKeysOptions {
  readonly clock: Clock
  /** Where relative paths of the configuration start. */
  readonly base?: string
  /** In place of the network, for tests. */
  readonly fetchDocument?: FetchDocument
}

/**
 * The key sets of all issuers, apart from the authenticators that use them: a changed configuration gets a new
 * authenticator, and must not thereby lose the keys of an issuer that cannot be reached just now.
 */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  readonly #held = new Map<string, { readonly keys: KeySet; readonly source: KeySource }>()

  constructor(options: IssuerKeysOptions) {
    this.#options = options
  }

  /** The key set of an issuer: the same one for as long as nothing that concerns its keys has changed. */
  of(config: IssuerConfig): KeySet {
    const name = fingerprint(config)
    let held = this.#held.get(name)
    if (held === undefined) {
      const { clock, ...rest } = this.#options
      const source = createKeySource(config, { ...rest, now: () => clock.now() })
      held = { keys: new KeySet(config, source, clock), source }
      this.#held.set(name, held)
    }
    return held.keys
  }

  /** Lets go of the key sets of all other issuers. */
  async retain(configs: readonly IssuerConfig[]): Promise<void> {
    const wanted = new Set(configs.map(fingerprint))
    const gone = [...this.#held].filter(([name]) => !wanted.has(name))
    for (const [name] of gone) this.#held.delete(name)
    await Promise.allSettled(gone.map(([, { source }]) => source.close()))
  }

  async close(): Promise<void> {
    await this.retain([])
  }
}

function fingerprint(config: IssuerConfig): string {
  const { name, issuer, jwks_uri, jwks_file, ca, allow_insecure_http, keys } = config
  return JSON.stringify([name, issuer, jwks_uri, jwks_file, ca, allow_insecure_http, keys])
}
