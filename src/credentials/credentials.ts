import { type Clock, systemClock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { Connection } from '../model/connection.ts'
import type { Subject } from '../model/subject.ts'
import type { Lease } from './lease.ts'
import { AuthorizationServer } from './oauth/authorization-server.ts'
import { ClientToken } from './oauth/client-token.ts'
import type { IssuedToken } from './oauth/token.ts'
import type { UpstreamGrants } from './oauth/upstream-grants.ts'
import { openSecret } from './references.ts'

/** The vault of the path: lends each action the secrets of its connection. */
export interface CredentialVault {
  /**
   * Throws `credential-unavailable` when one of the connection's secrets can't be had, `consent-needed` when the person
   * behind the subject must first let the gateway use the upstream.
   */
  lease(session: { readonly target: Connection; readonly subject?: Subject }): Promise<Lease>
}

/** Where one secret of a connection comes from. */
interface Source {
  read(subject: Subject | undefined): Read | Promise<Read>
}

interface Read {
  readonly value: string
  readonly also?: readonly string[]
  readonly refused?: () => void
  readonly lacks?: (scopes: readonly string[]) => Promise<string | undefined>
}

export interface CredentialsOptions {
  /** The configuration file's directory, which relative `file:` references start from. */
  readonly base: string
  /** Absent: no connection is used in people's names. */
  readonly grants?: UpstreamGrants
  readonly clock?: Clock
}

/**
 * Reads secrets through their references, and tokens from authorization servers. Sources are opened once per
 * connection object, so a reload (which makes new connections) drops what was read.
 */
export function createCredentials(options: CredentialsOptions): CredentialVault {
  const opened = new WeakMap<Connection, ReadonlyMap<string, Source>>()

  function sourcesOf(connection: Connection): ReadonlyMap<string, Source> {
    let sources = opened.get(connection)
    if (sources === undefined) {
      sources = new Map(
        Object.keys(connection.credential).map(name => [name, openSource(connection, name, options)]),
      )
      opened.set(connection, sources)
    }
    return sources
  }

  return {
    async lease({ target, subject }) {
      const secrets: Record<string, string> = {}
      const reads: (Read & { readonly name: string })[] = []
      for (const [name, source] of sourcesOf(target)) {
        const read = await source.read(subject)
        secrets[name] = read.value
        reads.push({ ...read, name })
      }
      let ended = false
      return {
        get secrets() {
          if (ended) throw new TypeError('the lease has ended')
          return secrets
        },
        alsoSecret: reads.flatMap(({ also = [] }) => also),
        refused() {
          for (const { refused } of reads) refused?.()
        },
        async lacks(scopes, names) {
          for (const { name, lacks } of reads) {
            const advice = names.includes(name) ? await lacks?.(scopes) : undefined
            if (advice !== undefined) return advice
          }
          return undefined
        },
        [Symbol.asyncDispose]() {
          ended = true
          return Promise.resolve()
        },
      }
    },
  }
}

function openSource(connection: Connection, name: string, options: CredentialsOptions): Source {
  const { base, grants, clock = systemClock } = options
  const source = connection.credential[name]!
  if (typeof source === 'string') {
    const reference = openSecret(source, base)
    return {
      read: () => {
        const value = reference.read()
        return typeof value === 'string' ? { value } : value.then(each => ({ value: each }))
      },
    }
  }
  if (source.oauth.grant === 'client_credentials') {
    const token = new ClientToken(source.oauth, new AuthorizationServer(source.oauth, base), clock)
    return {
      read: async () => {
        const issued = await token.read()
        return { ...lent(issued), refused: () => token.refused(issued) }
      },
    }
  }
  return {
    async read(subject) {
      if (grants === undefined)
        throw new GatewayError('credential-unavailable', { internal: 'no grants here' })
      const issued = await grants.token(subject, connection, name)
      const refused = () => {
        grants.refused(subject!, connection, { credential: name, token: issued }).catch(() => undefined)
      }
      const lacks = (scopes: readonly string[]) =>
        grants.lacks(subject!, connection, { credential: name, token: issued, scopes })
      return { ...lent(issued), refused, lacks }
    },
  }
}

function lent({ accessToken: value, secrets: also }: IssuedToken): Read {
  return { value, also }
}
