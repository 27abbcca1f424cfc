import type { Connection } from '../model/connection.ts'
import type { Lease } from './lease.ts'
import { openSecret, type SecretSource } from './references.ts'

/** The vault of the path: lends each action the secrets of its connection. */
export interface CredentialVault {
  /** Throws `credential-unavailable` when one of the connection's secrets can't be had. */
  lease(session: { readonly target: Connection }): Promise<Lease>
}

/**
 * Reads secrets through their references. `base` is the configuration file's directory. Sources are opened once per
 * connection object, so a reload (which makes new connections) drops what was read.
 */
export function createCredentials(base: string): CredentialVault {
  const opened = new WeakMap<Connection, ReadonlyMap<string, SecretSource>>()

  function sourcesOf(connection: Connection): ReadonlyMap<string, SecretSource> {
    let sources = opened.get(connection)
    if (sources === undefined) {
      sources = new Map(
        Object.entries(connection.credential).map(([name, ref]) => [name, openSecret(ref, base)]),
      )
      opened.set(connection, sources)
    }
    return sources
  }

  return {
    async lease({ target }) {
      const secrets: Record<string, string> = {}
      for (const [name, source] of sourcesOf(target)) secrets[name] = await source.read()
      let ended = false
      return {
        get secrets() {
          if (ended) throw new TypeError('the lease has ended')
          return secrets
        },
        [Symbol.asyncDispose]() {
          ended = true
          return Promise.resolve()
        },
      }
    },
  }
}
