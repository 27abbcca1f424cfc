/**
 * Grants: consent given ahead, for a while, to one subject on one connection for a pattern of operations. A kind of its
 * own, marked as such wherever it shows. A grant covers an ask only if the people who gave it would satisfy the terms of
 * the very rule that asks, and it never lifts a denial.
 */
import type { Audit, SessionFacts } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { ApprovalsConfig } from '../config/approvals.ts'
import { GatewayError } from '../errors.ts'
import type { Session } from '../gateway/session.ts'
import { newId } from '../id.ts'
import type { Action, Risk } from '../model/action.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import { type Principal, samePerson, type Subject, subjectFacts } from '../model/subject.ts'
import { plainOperation } from '../policy/address.ts'
import { compileGlob, type Glob } from '../policy/glob.ts'
import type { StateStore } from '../storage/storage.ts'
import type { Channel, Vote } from './approval.ts'
import { personOf } from './approvals.ts'
import { newestRecords, pruneRecords } from './history.ts'
import { type Change, type Facts, type FindEntry, Records } from '../audit/records.ts'
import type { Coverage } from './settle.ts'
import { counts, eligibleGroups, namesPerson, quorumReached } from './voters.ts'

const space = 'grant'
const keptMs = 90 * 24 * 3_600_000
const mostInForce = 1000
/** A proposal that others must still agree to lapses after this long. */
const proposedForMs = 24 * 3_600_000

/** Whom a grant is for: as the issuer names them, or by an address that an issuer vouches for. */
export type GrantedTo = { readonly issuer: string; readonly id: string } | { readonly email: string }

export interface NewGrant {
  readonly to: GrantedTo
  /** Only while the agent acts for this person. */
  readonly onBehalfOf?: GrantedTo
  readonly connection: SessionFacts['connection']
  /** Names of operations; `*` stands for any text. What no catalogue knows must be named in full. */
  readonly operations: readonly string[]
  readonly risks: readonly Risk[]
  readonly durationMs: number
  readonly reason: string
}

/** Someone who gave it, as they were then. */
export interface Giver {
  readonly by: Principal
  readonly groups: readonly string[]
  readonly isApprover: boolean
  readonly at: number
}

export interface Grant extends NewGrant {
  readonly id: string
  /** `proposed`: others must still agree. One in force whose time is over stays `active` here; see `until`. */
  readonly state: 'proposed' | 'active' | 'revoked'
  readonly givers: readonly Giver[]
  readonly createdAt: number
  /** Milliseconds since the epoch: the end of the grant, or of the proposal. */
  readonly until: number
  readonly endReason?: string
}

interface InForce {
  readonly grant: Grant
  readonly globs: readonly Glob[]
}

export interface GrantsParts {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  readonly findEntry?: FindEntry
}

type Section = ApprovalsConfig['grants']

export class Grants implements Coverage {
  readonly #clock: Clock
  readonly #records: Records<Grant>
  readonly #inForce = new Map<string, InForce>()
  #section: Section

  constructor(parts: GrantsParts, section: Section) {
    const { state, audit, clock, findEntry } = parts
    this.#clock = clock
    this.#section = section
    this.#records = new Records({
      state,
      audit,
      space,
      entry: entryOf,
      changed: grant => this.#remember(grant),
      ...(findEntry === undefined ? {} : { findEntry }),
    })
  }

  /** Takes up what is in force. Before traffic is taken. */
  async start(): Promise<void> {
    await pruneRecords(this.#records, { clock: this.#clock, keptMs, isOver: each => this.#isOver(each) })
    for await (const grant of this.#records.all()) this.#remember(grant)
  }

  /** What counts from now on for giving; grants in force stay so. */
  configure(section: Section): void {
    this.#section = section
  }

  /** Proposes a grant and gives the first vote; in force at once where one is enough. Throws `denied`. */
  async create(asked: NewGrant, giver: Subject, isApprover: boolean): Promise<Grant> {
    this.#check(asked)
    this.#sweep()
    if (this.#inForce.size >= mostInForce)
      throw new GatewayError('overloaded', { detail: 'too many grants are in force' })
    const now = this.#clock.now()
    const proposal: Grant = {
      ...asked,
      id: newId('gr', now),
      state: 'proposed',
      givers: [],
      createdAt: now,
      until: now + proposedForMs,
    }
    const { next, kinds, facts } = this.#given(proposal, giver, isApprover)
    return await this.#records.create(next, ['grant.proposed', ...kinds.slice(1)], facts)
  }

  /** Agrees to a proposal. Throws `denied` for who may not, `conflict` when it is no longer proposed. */
  async approve(id: string, giver: Subject, isApprover: boolean): Promise<Grant> {
    return await this.#change(id, current => {
      if (current.state !== 'proposed' || current.until <= this.#clock.now())
        throw new GatewayError('conflict', { detail: `it is ${this.stateOf(current)}` })
      return this.#given(current, giver, isApprover)
    })
  }

  /**
   * Ends it, in force or proposed. Whoever may give grants may, and whoever gave it, whom it is for, and administrators;
   * throws `denied` for others.
   */
  async revoke(id: string, by: Subject, isAdmin: boolean): Promise<Grant> {
    return await this.#change(id, current => {
      const may =
        isAdmin ||
        current.givers.some(giver => samePerson(giver.by, by)) ||
        isFor(current.to, by) ||
        (by.kind === 'user' && this.#section.approvers.some(pattern => namesPerson(pattern, by)))
      if (!may) throw new GatewayError('denied', { detail: 'it is not yours to end' })
      if (current.state === 'revoked') throw new GatewayError('conflict', { detail: 'it is revoked' })
      const endReason = `revoked by ${by.email ?? by.id}`
      return {
        next: { ...current, state: 'revoked', endReason },
        kinds: ['grant.revoked'],
        facts: { subject: subjectFacts(by) },
      }
    })
  }

  async get(id: string): Promise<Grant> {
    return (await this.#records.get(id)) ?? unknown(id)
  }

  /** In force or proposed, or all that are kept; newest first. */
  async list(filter: { readonly all: boolean; readonly limit: number }): Promise<Grant[]> {
    const found = await newestRecords(this.#records, {
      clock: this.#clock,
      keptMs,
      prefix: 'gr',
      limit: filter.all ? filter.limit : mostInForce,
    })
    return found.filter(each => filter.all || !this.#isOver(each)).slice(0, filter.limit)
  }

  stateOf(grant: Grant): 'proposed' | 'active' | 'revoked' | 'expired' {
    return grant.state !== 'revoked' && grant.until <= this.#clock.now() ? 'expired' : grant.state
  }

  covering(session: Session, action: Action, terms: ApprovalTerms): ReturnType<Coverage['covering']> {
    const now = this.#clock.now()
    for (const { grant, globs } of this.#inForce.values()) {
      if (grant.until <= now || grant.connection.name !== session.target.name) continue
      if (!isFor(grant.to, session.subject)) continue
      const { onBehalfOf } = grant
      const acted = session.subject.onBehalfOf
      if (onBehalfOf !== undefined && (acted === undefined || !isFor(onBehalfOf, acted))) continue
      if (!grant.risks.includes(action.risk)) continue
      if (
        !globs.some(glob => (action.known || glob.literal) && glob.matches(plainOperation(action.operation)))
      )
        continue
      if (satisfies(grant, session.subject, terms)) return { id: grant.id, facts: coverFacts(grant, terms) }
    }
    return undefined
  }

  #given(current: Grant, giver: Subject, isApprover: boolean): Change<Grant> {
    const { approvers, quorum, distinct_groups: distinctGroups } = this.#section
    if (approvers.length === 0)
      throw new GatewayError('denied', { detail: 'nobody is configured to give grants (approvals.grants)' })
    const terms = { approvers, quorum, distinctGroups }
    const question = { requester: requesterOf(current), terms, votes: votesOf(current, terms) }
    const groups = eligibleGroups(question, giver, isApprover)
    if (current.givers.some(each => samePerson(each.by, giver)))
      throw new GatewayError('conflict', { detail: 'you have voted' })
    if (!counts(question, groups))
      throw new GatewayError('denied', { detail: 'the votes of your groups are given already' })
    const at = this.#clock.now()
    const next: Grant = {
      ...current,
      givers: [...current.givers, { by: personOf(giver), groups: giver.groups, isApprover, at }],
    }
    const facts = { subject: subjectFacts(giver) }
    if (!quorumReached({ terms, votes: votesOf(next, terms) })) return { next, kinds: ['grant.voted'], facts }
    const inForce: Grant = { ...next, state: 'active', until: at + current.durationMs }
    return { next: inForce, kinds: ['grant.voted', 'grant.created'], facts }
  }

  #check({ operations, risks, durationMs, reason }: NewGrant): void {
    const invalid = (detail: string): never => {
      throw new GatewayError('invalid-request', { detail })
    }
    const { max_duration: longest, risks: grantable } = this.#section
    if (operations.length === 0) invalid('name at least one operation')
    if (risks.length === 0) invalid('name at least one risk')
    const refused = risks.find(risk => !grantable.includes(risk))
    if (refused !== undefined) invalid(`operations of risk ${refused} can not be granted here`)
    if (!(durationMs > 0)) invalid('a grant lasts for a while')
    if (durationMs > longest) invalid(`the longest grant here is ${Math.floor(longest / 1000)} s`)
    if (reason.trim() === '') invalid('a grant needs a reason')
  }

  async #change(id: string, decide: (current: Grant) => Change<Grant>): Promise<Grant> {
    return (await this.#records.change(id, decide)) ?? unknown(id)
  }

  #isOver(grant: Grant): boolean {
    return grant.state === 'revoked' || grant.until <= this.#clock.now()
  }

  #remember(grant: Grant): void {
    if (grant.state === 'active' && !this.#isOver(grant))
      this.#inForce.set(grant.id, {
        grant,
        globs: grant.operations.map(each => compileGlob(plainOperation(each))),
      })
    else this.#inForce.delete(grant.id)
  }

  #sweep(): void {
    for (const { grant } of this.#inForce.values()) if (this.#isOver(grant)) this.#inForce.delete(grant.id)
  }
}

/** Whether those who gave it would satisfy what this rule asks of this requester. */
function satisfies(grant: Grant, requester: Subject, terms: ApprovalTerms): boolean {
  const facts = subjectFacts(requester)
  return quorumReached({ terms, votes: votesOf(grant, terms, facts) })
}

function votesOf(
  grant: Grant,
  terms: Pick<ApprovalTerms, 'approvers' | 'quorum' | 'distinctGroups'>,
  requester: Parameters<typeof eligibleGroups>[0]['requester'] = requesterOf(grant),
): Vote[] {
  const channel: Channel = 'api'
  return grant.givers.flatMap(({ by, groups: memberOf, isApprover, at }) => {
    const voter: Subject = { ...by, kind: 'user', groups: memberOf, method: '', claims: {} }
    try {
      return {
        by,
        effect: 'approve' as const,
        groups: eligibleGroups({ requester, terms }, voter, isApprover),
        channel,
        at,
      }
    } catch {
      return []
    }
  })
}

function requesterOf({ to, onBehalfOf }: NewGrant): Parameters<typeof eligibleGroups>[0]['requester'] {
  return {
    ...principalOf(to),
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: principalOf(onBehalfOf) }),
  }
}

function principalOf(to: GrantedTo): Principal {
  return 'email' in to ? { issuer: '', id: '', email: to.email } : to
}

function isFor(to: GrantedTo, principal: Principal): boolean {
  if ('email' in to) return principal.email?.toLowerCase() === to.email.toLowerCase()
  return principal.issuer === to.issuer && principal.id === to.id
}

function coverFacts(grant: Grant, terms: ApprovalTerms): Facts {
  return { ...grantFacts(grant), required: true, state: 'approved', rule: terms.rule, quorum: terms.quorum }
}

function grantFacts(grant: Grant): Facts {
  return {
    id: grant.id,
    kind: 'grant',
    approvers: grant.givers.map(({ by }) => by.email ?? by.id),
    reason: grant.reason,
    until: new Date(grant.until).toISOString(),
  }
}

function entryOf(grant: Grant): Facts {
  const { to, onBehalfOf, operations, risks, endReason } = grant
  return {
    connection: grant.connection,
    approval: { ...grantFacts(grant), state: grant.state },
    grant: { to, ...(onBehalfOf === undefined ? {} : { on_behalf_of: onBehalfOf }), operations, risks },
    ...(endReason === undefined ? {} : { reason: endReason }),
  }
}

function unknown(id: string): never {
  throw new GatewayError('not-found', { detail: `there is no grant ${id}` })
}
