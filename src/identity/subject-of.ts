/**
 * Verified claims -> Subject. Delegation is read from the token alone (P9):
 *
 *   sub = the person, act.sub = the agent  =>  the subject is the agent, onBehalfOf the person
 *
 * (RFC 8693 section 4.1: the outermost `act` is the current actor, those inside it are history. `may_act` says who
 * could act, not who does, and is not read.)
 */
import type { IssuerConfig } from '../config/identity.ts'
import type { Principal, Subject, SubjectKind } from '../model/subject.ts'
import { partyClaims } from './check-claims.ts'
import { claimAt, claimIsOneOf, isPlainText } from './claim.ts'
import type { Claims } from './jwt.ts'
import type { RefusalReason } from './refusals.ts'

const maxIdLength = 1024
const maxNameLength = 320
const maxActors = 8

/** `expiresAt`: when the token ends, milliseconds since the epoch. */
export function subjectOf(claims: Claims, config: IssuerConfig, expiresAt: number): Subject | RefusalReason {
  const id = claimAt(claims, config.claims.id)
  if (!isPlainText(id, maxIdLength)) return 'subject-invalid'
  const groups = groupsOf(claims, config)
  if (typeof groups === 'string') return groups
  const principal: Principal = {
    issuer: config.issuer,
    id,
    ...named(firstText(claims, config.claims.name)),
    ...emailOf(claims, config),
  }
  const actor = Object.hasOwn(claims, 'act') ? actorOf(claims, config) : clientAsActor(claims, config, id)
  if (typeof actor === 'string') return actor
  const rest = { groups, method: 'oidc', claims: Object.freeze(claims), expiresAt }
  if (actor !== undefined) return { ...actor, kind: 'agent', onBehalfOf: principal, ...rest }
  return { ...principal, kind: kindOf(claims, config, id), ...rest }
}

function groupsOf(claims: Claims, config: IssuerConfig): readonly string[] | RefusalReason {
  const groups = new Set<string>()
  for (const path of config.claims.groups) {
    const value = claimAt(claims, path)
    if (value === undefined || value === null) {
      // Without its groups a subject would escape every rule that denies one of them.
      if (isElsewhere(claims, path)) return 'groups-incomplete'
      continue
    }
    const list: unknown[] = Array.isArray(value) ? value : [value]
    for (const each of list) {
      if (!isPlainText(each, maxIdLength)) return 'groups-invalid'
      groups.add(each)
    }
  }
  return [...groups]
}

/** Distributed claims (OIDC Core section 5.6.2), and the short form Entra uses in implicit flows. */
function isElsewhere(claims: Claims, path: string): boolean {
  const names = claims['_claim_names']
  const named = typeof names === 'object' && names !== null && Object.hasOwn(names, path)
  return named || (path === 'groups' && claims['hasgroups'] === true)
}

/** The e-mail address, where the issuer does not say that it is unverified. Some send the flag as text. */
function emailOf(claims: Claims, config: IssuerConfig): { readonly email?: string } {
  const email = claimAt(claims, config.claims.email)
  const verified = claims['email_verified']
  const vouched =
    verified === true || verified === 'true' || (verified === undefined && !config.require_verified_email)
  return vouched && isPlainText(email, maxNameLength) ? { email } : {}
}

function firstText(claims: Claims, paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const value = claimAt(claims, path)
    if (isPlainText(value, maxNameLength)) return value
  }
  return undefined
}

function named(name: string | undefined): { readonly name?: string } {
  return name === undefined ? {} : { name }
}

function actorOf(claims: Claims, config: IssuerConfig): Principal | RefusalReason {
  if (!config.actor.accept) return 'actor-refused'
  let inner: unknown = claims['act']
  for (let depth = 0; inner !== undefined; depth++) {
    if (depth >= maxActors || typeof inner !== 'object' || inner === null || Array.isArray(inner)) {
      return 'actor-invalid'
    }
    const each = inner as Claims
    if (!isPlainText(each['sub'], maxIdLength)) return 'actor-invalid'
    if (each['iss'] !== undefined && !isPlainText(each['iss'], maxIdLength)) return 'actor-invalid'
    inner = each['act']
  }
  const act = claims['act'] as { readonly sub: string; readonly iss?: string; readonly name?: unknown }
  const issuer = act.iss ?? config.issuer
  // An issuer speaks for its own subjects alone, or it could make anybody of any other issuer appear.
  if (issuer !== config.issuer && !config.actor.issuers.includes(issuer)) return 'actor-refused'
  if (config.actor.allowed?.includes(act.sub) === false) return 'actor-refused'
  return { issuer, id: act.sub, ...(isPlainText(act.name, maxNameLength) ? { name: act.name } : {}) }
}

/** A configured agent client that holds a person's token. Its own tokens (`sub` is the client) have no other person. */
function clientAsActor(
  claims: Claims,
  config: IssuerConfig,
  id: string,
): Principal | RefusalReason | undefined {
  if (config.actor.clients.length === 0) return undefined
  const clients: readonly unknown[] = config.actor.clients
  const party = partyClaims.map(name => claims[name]).find(value => clients.includes(value))
  if (party === undefined || party === id || speaksForItself(claims, id)) return undefined
  return config.actor.accept ? { issuer: config.issuer, id: party as string } : 'actor-refused'
}

function kindOf(claims: Claims, config: IssuerConfig, id: string): SubjectKind {
  for (const rule of config.kind.when) {
    const value = claimAt(claims, rule.claim)
    if (rule.in === undefined ? value !== undefined : claimIsOneOf(value, rule.in)) return rule.kind
  }
  if (config.kind.otherwise !== 'auto') return config.kind.otherwise
  return speaksForItself(claims, id) ? 'service' : 'user'
}

/** A client's own token: RFC 9068 section 2.2, Entra's `idtyp`, Auth0's `gty`. */
function speaksForItself(claims: Claims, id: string): boolean {
  const own = claims['sub'] ?? id
  return (
    partyClaims.some(name => claims[name] === own) ||
    claims['idtyp'] === 'app' ||
    claims['gty'] === 'client-credentials'
  )
}
