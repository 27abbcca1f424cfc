/**
 * Who is asking. A Subject is made by an identity provider from a verified credential alone (P9): nothing
 * that a client merely says about itself is ever in it.
 */

/** `agent`: software acting by itself or for a person; `service`: a machine account; `user`: a person. */
export type SubjectKind = 'user' | 'service' | 'agent'

/** A person or machine as one issuer names it. */
export interface Principal {
  /** The issuer's identifier, verbatim (OIDC `iss`; `sallyport` for the gateway's own tokens and users). */
  readonly issuer: string
  /** The issuer's stable id for it, verbatim (OIDC `sub`). Unique within the issuer only. */
  readonly id: string
  readonly name?: string
  /** Present only where the issuer vouches for it. */
  readonly email?: string
}

export interface Subject extends Principal {
  readonly kind: SubjectKind
  readonly groups: readonly string[]
  /** The person an agent acts for (RFC 8693 section 4.1 `act`, read from the token). */
  readonly onBehalfOf?: Principal
  /** How the credential was checked: `oidc`, `token`, `saml`, `local`. */
  readonly method: string
  /** The verified claims, for policy conditions. Never recorded whole. */
  readonly claims: Readonly<Record<string, unknown>>
  /** When the credential ends, in milliseconds since the epoch; absent: it has no end of its own. */
  readonly expiresAt?: number
}

/** Equal for two subjects exactly when issuer, id, kind and the person acted for are all equal. */
export function subjectKey(subject: Subject): string {
  const known = keys.get(subject)
  if (known !== undefined) return known
  const acted = subject.onBehalfOf
  const parts = [subject.issuer, subject.id, subject.kind, acted?.issuer ?? '', acted?.id ?? '']
  const key = JSON.stringify(parts)
  keys.set(subject, key)
  return key
}

/** One action asks for it many times, and a verified token gives the same subject each time. */
const keys = new WeakMap<Subject, string>()

/**
 * The same person by issuer and id, or by an e-mail address that both issuers vouch for: someone known to two issuers
 * must not approve with one what they asked with the other.
 */
export function samePerson(a: Principal, b: Principal): boolean {
  if (a.issuer === b.issuer && a.id === b.id) return true
  return a.email !== undefined && b.email !== undefined && a.email.toLowerCase() === b.email.toLowerCase()
}

/** The name people see: e-mail, else name, else id. */
export function displayName(principal: Principal): string {
  return principal.email ?? principal.name ?? principal.id
}

/** The subject as entries and the API show it. The claims stay out. */
export interface SubjectFacts {
  readonly issuer: string
  readonly id: string
  readonly kind: string
  readonly name?: string
  readonly email?: string
  readonly on_behalf_of?: Principal
  readonly method: string
}

export function subjectFacts(subject: Subject): SubjectFacts {
  const { kind, method, onBehalfOf } = subject
  return {
    ...principalFacts(subject),
    kind,
    method,
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: principalFacts(onBehalfOf) }),
  }
}

function principalFacts({ issuer, id, name, email }: Principal): Principal {
  return { issuer, id, ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) }
}
