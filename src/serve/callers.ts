import type { IncomingMessage } from 'node:http'
import { userInfo } from 'node:os'
import type { Identify } from '../api/handler.ts'
import type { Caller, Role } from '../api/route.ts'
import type { Audit } from '../audit/audit.ts'
import { GatewayError } from '../errors.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Subject } from '../model/subject.ts'
import { refusedIdentities } from '../protocols/refused-identities.ts'

/** The gateway's own API, where entries say which connection a credential was refused at. */
const ownApi = { name: 'api', protocol: 'api', sensitivity: 'high' } as const

/**
 * Callers over the network: a bearer token, and the roles that the configuration gives its subject. `path`: of what is
 * asked for, to which a token may be bound.
 */
export function identifyByToken(parts: {
  readonly audit: Audit
  readonly authenticator: Authenticator
  readonly rolesOf: (subject: Subject) => ReadonlySet<Role>
}): (path: string, request: IncomingMessage) => ReturnType<Identify> {
  const refused = refusedIdentities(parts.audit, ownApi)
  return async (path, request) => {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw new GatewayError('unauthenticated')
    const identified = await parts.authenticator.identify({ token, path })
    if ('refusal' in identified) {
      const { remoteAddress: ip = '', remotePort: port = 0 } = request.socket
      await refused.note({ ip, port }, identified.refusal)
      throw new GatewayError('unauthenticated')
    }
    const { subject, ended } = identified
    return { subject, roles: parts.rolesOf(subject), ...(ended === undefined ? {} : { ended }) }
  }
}

/**
 * Callers on the local socket: the user of this machine that runs the gateway, since nobody else can open it. They
 * administer and read, and never approve: what shares this user's files may be the very agent that asks.
 */
export function identifyLocally(): Identify {
  const { username } = userInfo()
  const subject: Subject = {
    issuer: 'sallyport',
    id: `local:${username}`,
    name: `${username} on this machine`,
    kind: 'service',
    groups: [],
    method: 'local',
    claims: {},
  }
  const caller: Caller = { subject, roles: new Set<Role>(['admin', 'auditor', 'user']) }
  return (_request: IncomingMessage) => Promise.resolve(caller)
}
