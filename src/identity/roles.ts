import type { IdentityConfig, RolesConfig } from '../config/identity.ts'
import type { Subject, SubjectKind } from '../model/subject.ts'

/** Of the gateway's own API. `user` is whoever may use it for what concerns themselves. */
export type Role = 'admin' | 'approver' | 'auditor' | 'user'

export type RolesOf = (subject: Subject) => ReadonlySet<Role>

type Matcher = (subject: Subject) => boolean

const roles: readonly Role[] = ['admin', 'approver', 'auditor', 'user']

/**
 * Who may hold a role at all, whatever the configuration says. An agent carries the groups of the person it acts for,
 * and must not thereby approve in that person's name or change the rules it is under (P5).
 */
const eligible: Record<Role, readonly SubjectKind[]> = {
  admin: ['user', 'service'],
  approver: ['user'],
  auditor: ['user', 'service', 'agent'],
  user: ['user', 'service', 'agent'],
}

/**
 * Compiles the `roles` section into the one function that says which roles a subject has. `issuers` resolves short
 * names; matching is exact but for e-mail addresses, whose case does not count.
 */
export function compileRoles(config: RolesConfig, issuers: IdentityConfig['issuers']): RolesOf {
  const named = new Map(issuers.map(each => [each.name, each.issuer]))
  const compiled = roles.map(role => [role, config[role].map(each => compile(each, named))] as const)
  return subject => {
    const held = new Set<Role>()
    for (const [role, matchers] of compiled) {
      if (eligible[role].includes(subject.kind) && matchers.some(matches => matches(subject))) held.add(role)
    }
    return held
  }
}

function compile(matcher: RolesConfig[Role][number], named: ReadonlyMap<string, string>): Matcher {
  if (matcher === 'everyone') return () => true
  const wanted = typeof matcher === 'string' ? split(matcher) : matcher
  const issuer = wanted.issuer === undefined ? undefined : (named.get(wanted.issuer) ?? wanted.issuer)
  const user = wanted.user?.toLowerCase()
  return subject =>
    (issuer === undefined || subject.issuer === issuer) &&
    (wanted.group === undefined || subject.groups.includes(wanted.group)) &&
    (wanted.id === undefined || subject.id === wanted.id) &&
    (user === undefined || (subject.kind === 'user' && subject.email?.toLowerCase() === user))
}

function split(text: string): { issuer?: string; group?: string; user?: string; id?: string } {
  const colon = text.indexOf(':')
  return { [text.slice(0, colon)]: text.slice(colon + 1) }
}
