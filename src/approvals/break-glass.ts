/**
 * Broken glass: in an emergency a person lets the asks of one connection pass for a while, for their own calls and for
 * agents acting for them. Explicit, with a reason, in the log before it takes effect and alarmed at once; the entry of
 * every action under it names it. It never lifts a denial.
 */
import type { SessionFacts } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { ApprovalsConfig } from '../config/approvals.ts'
import { GatewayError } from '../errors.ts'
import type { Session } from '../gateway/session.ts'
import { newId } from '../id.ts'
import type { Action } from '../model/action.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import { samePerson, type Subject, type SubjectFacts, subjectFacts } from '../model/subject.ts'
import type { GrantsParts } from './grants.ts'
import { newestRecords, pruneRecords } from './history.ts'
import { type Facts, Records } from '../audit/records.ts'
import type { Coverage } from './settle.ts'
import { namesPerson } from './voters.ts'

const space = 'break-glass'
const keptMs = 90 * 24 * 3_600_000
const shortestReason = 10

export interface BrokenGlass {
  readonly id: string
  readonly by: SubjectFacts
  readonly connection: SessionFacts['connection']
  readonly reason: string
  readonly createdAt: number
  /** Milliseconds since the epoch. */
  readonly until: number
  /** Set when somebody ended it before its time. */
  readonly endReason?: string
}

type Section = ApprovalsConfig['break_glass']

export class BreakGlass implements Coverage {
  readonly #clock: Clock
  readonly #records: Records<BrokenGlass>
  readonly #inForce = new Map<string, BrokenGlass>()
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
      changed: broken => this.#remember(broken),
      ...(findEntry === undefined ? {} : { findEntry }),
    })
  }

  /** Takes up what is in force. Before traffic is taken. */
  async start(): Promise<void> {
    await pruneRecords(this.#records, { clock: this.#clock, keptMs, isOver: each => !this.isInForce(each) })
    for await (const broken of this.#records.all()) this.#remember(broken)
  }

  /** Once it is switched off, what is in force ends with it. */
  configure(section: Section): void {
    this.#section = section
  }

  /** In the log when it resolves, and only then in force. Throws `denied` for who may not. */
  async declare(
    by: Subject,
    asked: {
      readonly connection: SessionFacts['connection']
      readonly reason: string
      readonly durationMs: number
    },
  ): Promise<BrokenGlass> {
    const { enabled, allowed, max_duration: longest } = this.#section
    if (!enabled) throw new GatewayError('denied', { detail: 'breaking the glass is not enabled here' })
    if (by.kind !== 'user' || by.onBehalfOf !== undefined)
      throw new GatewayError('denied', { detail: 'only people break the glass, and only for themselves' })
    if (!allowed.some(pattern => namesPerson(pattern, by)))
      throw new GatewayError('denied', { detail: 'you are not among those who may break the glass' })
    const reason = asked.reason.trim()
    if (reason.length < shortestReason)
      throw new GatewayError('invalid-request', {
        detail: `say why, in ${shortestReason} characters or more`,
      })
    if (!(asked.durationMs > 0) || asked.durationMs > longest)
      throw new GatewayError('invalid-request', {
        detail: `the longest here is ${Math.floor(longest / 1000)} s`,
      })
    const now = this.#clock.now()
    const broken: BrokenGlass = {
      id: newId('bg', now),
      by: subjectFacts(by),
      connection: asked.connection,
      reason,
      createdAt: now,
      until: now + asked.durationMs,
    }
    return await this.#records.create(broken, ['break_glass.used'])
  }

  /** The person who broke it, or an administrator. Throws `denied` for others, `conflict` when it is over. */
  async end(id: string, by: Subject, isAdmin: boolean): Promise<BrokenGlass> {
    const ended = await this.#records.change(id, current => {
      if (!isAdmin && !samePerson(current.by, by))
        throw new GatewayError('denied', { detail: 'it is not yours to end' })
      if (!this.isInForce(current)) throw new GatewayError('conflict', { detail: 'it is over' })
      const endReason = `ended by ${by.email ?? by.id}`
      return {
        next: { ...current, endReason },
        kinds: ['break_glass.ended'],
        facts: { ended_by: subjectFacts(by) },
      }
    })
    if (ended === undefined) throw new GatewayError('not-found', { detail: `there is no broken glass ${id}` })
    return ended
  }

  async get(id: string): Promise<BrokenGlass | undefined> {
    return await this.#records.get(id)
  }

  /** Newest first. */
  async list(limit: number): Promise<BrokenGlass[]> {
    return await newestRecords(this.#records, { clock: this.#clock, keptMs, prefix: 'bg', limit })
  }

  isInForce({ until, endReason }: BrokenGlass): boolean {
    return endReason === undefined && until > this.#clock.now()
  }

  covering(
    { subject, target }: Session,
    _action: Action,
    terms: ApprovalTerms,
  ): ReturnType<Coverage['covering']> {
    if (!this.#section.enabled) return undefined
    for (const broken of this.#inForce.values()) {
      if (!this.isInForce(broken)) this.#inForce.delete(broken.id)
      else if (broken.connection.name === target.name && samePerson(broken.by, subject.onBehalfOf ?? subject))
        return {
          id: broken.id,
          facts: { ...factsOf(broken), required: true, rule: terms.rule, quorum: terms.quorum },
        }
    }
    return undefined
  }

  #remember(broken: BrokenGlass): void {
    if (this.isInForce(broken)) this.#inForce.set(broken.id, broken)
    else this.#inForce.delete(broken.id)
  }
}

/** `overridden`, not `approved`: nobody consented, and a search for what ran without approval is meant to find it. */
function factsOf(broken: BrokenGlass): Facts {
  return {
    id: broken.id,
    kind: 'break-glass',
    state: 'overridden',
    approvers: [],
    by: broken.by.email ?? broken.by.id,
    reason: broken.reason,
    until: new Date(broken.until).toISOString(),
  }
}

function entryOf(broken: BrokenGlass): Facts {
  return {
    subject: broken.by,
    connection: broken.connection,
    approval: factsOf(broken),
    reason: broken.endReason ?? broken.reason,
  }
}
