/**
 * Legal holds: what is under one is neither erased nor removed, whatever else asks for it. One person places a hold;
 * two different people release it, and each of these steps is an entry before it takes effect (P10).
 */
import type { Audit } from '../audit/audit.ts'
import type { Entry } from '../audit/events.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import { newId } from '../id.ts'
import { samePerson, type Subject, type SubjectFacts, subjectFacts } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { isAbout, type RecordedSession } from './recorded-session.ts'

const space = 'hold'

/** What a hold is on: one session, all of a connection, or all of a person or machine (by id or e-mail address). */
export type HoldScope =
  | { readonly session: string }
  | { readonly connection: string }
  | { readonly person: string }

interface Step {
  readonly by: SubjectFacts
  readonly reason: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Hold {
  readonly id: string
  readonly on: HoldScope
  readonly placed: Step
  /** Of two different people: with the second the hold has ended. */
  readonly releases: readonly Step[]
}

export function isReleased(hold: Hold): boolean {
  return hold.releases.length >= neededReleases
}

const neededReleases = 2

export interface HoldsParts {
  readonly state: StateStore
  readonly audit: Audit
  readonly clock: Clock
}

export class LegalHolds {
  readonly #parts: HoldsParts
  readonly #all = new Map<string, { hold: Hold; version: number }>()

  private constructor(parts: HoldsParts) {
    this.#parts = parts
  }

  /** Reads the holds that there are: none is forgotten by a restart. */
  static async open(parts: HoldsParts): Promise<LegalHolds> {
    const holds = new LegalHolds(parts)
    for (const { key, value, version } of await parts.state.list<Hold>(space)) {
      holds.#all.set(key, { hold: value, version })
    }
    return holds
  }

  /** Oldest first; those that have ended too. */
  list(): readonly Hold[] {
    return [...this.#all.values()].map(each => each.hold).toSorted((a, b) => a.placed.at - b.placed.at)
  }

  /** The holds in force. */
  get active(): readonly Hold[] {
    return this.list().filter(hold => !isReleased(hold))
  }

  /** The first hold in force that covers a session. */
  on(session: RecordedSession): Hold | undefined {
    return this.active.find(({ on }) => {
      if ('session' in on) return on.session === session.id
      if ('connection' in on) return on.connection === session.connection?.name
      return isAbout(session.subject, on.person)
    })
  }

  /** The first hold in force that covers an entry. */
  onEntry(entry: Entry): Hold | undefined {
    return this.active.find(({ on }) => {
      if ('session' in on) return on.session === entry.session
      if ('connection' in on) return on.connection === entry.connection?.name
      return isAbout(entry.subject, on.person)
    })
  }

  async place(on: HoldScope, by: Subject, reason: string): Promise<Hold> {
    const { audit, clock, state } = this.#parts
    const placed: Step = { by: subjectFacts(by), reason, at: clock.now() }
    const hold: Hold = { id: newId('h', placed.at), on, placed, releases: [] }
    await audit.note('hold.placed', {
      ...sessionOf(on),
      subject: placed.by,
      hold: { id: hold.id, on, reason },
    })
    if (!(await state.put(space, hold.id, hold, 0))) throw new GatewayError('conflict')
    this.#all.set(hold.id, { hold, version: 1 })
    return hold
  }

  /**
   * One person's word that the hold may end. Throws `denied` for machines and agents, and `conflict` where it has ended
   * or the same person has spoken already.
   */
  async release(id: string, by: Subject, reason: string): Promise<Hold> {
    const { audit, clock, state } = this.#parts
    const kept = this.#all.get(id)
    if (kept === undefined) throw new GatewayError('not-found', { detail: `there is no hold ${id}` })
    if (by.kind !== 'user' || by.onBehalfOf !== undefined)
      throw new GatewayError('denied', { detail: 'only people release a hold, and only for themselves' })
    const { hold, version } = kept
    if (isReleased(hold)) throw new GatewayError('conflict', { detail: `the hold ${id} has ended already` })
    if (hold.releases.some(each => samePerson(each.by, by)))
      throw new GatewayError('conflict', { detail: 'it takes two different people to release a hold' })
    const step: Step = { by: subjectFacts(by), reason, at: clock.now() }
    const next: Hold = { ...hold, releases: [...hold.releases, step] }
    const kind = isReleased(next) ? 'hold.released' : 'hold.release_requested'
    await audit.note(kind, { ...sessionOf(hold.on), subject: step.by, hold: { id, on: hold.on, reason } })
    if (!(await state.put(space, id, next, version)))
      throw new GatewayError('conflict', { detail: 'the hold was changed meanwhile' })
    this.#all.set(id, { hold: next, version: version + 1 })
    return next
  }
}

/** Names the session at the top of the entry, where a search by session finds it. */
function sessionOf(on: HoldScope): { session?: string } {
  return 'session' in on ? { session: on.session } : {}
}
