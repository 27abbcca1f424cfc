/**
 * What identities may not do for now: suspended until a person clears it, or for a while slowed down, or asked about.
 * In force from the moment it is imposed, then durable and an entry; it survives a restart. The question "is this
 * identity restricted?" is a look into a map.
 */
import type { Audit } from '../audit/audit.ts'
import type { EventKind } from '../audit/events.ts'
import { type Facts, Records } from '../audit/records.ts'
import type { Clock } from '../clock.ts'
import type { DetectorName } from '../config/detection.ts'
import { GatewayError } from '../errors.ts'
import { newId } from '../id.ts'
import type { Logger } from '../log.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import {
  type Principal,
  samePerson,
  type Subject,
  type SubjectFacts,
  subjectFacts,
} from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import type { OwedFile } from './owed-file.ts'

const space = 'restrictions'
/** How long one that is over is kept. */
const keptMs = 30 * 86_400_000
/** In memory: of more, those that are over and oldest make room. */
const mostKept = 10_000
const retryMs = 2000

/** Whom it is about. Without `on_behalf_of`: whoever the identity acts for, and whoever acts for it. */
export type Restricted = Principal & Partial<Pick<SubjectFacts, 'kind' | 'on_behalf_of'>>

export interface Restriction {
  readonly id: string
  readonly kind: 'suspend' | 'ask' | 'slow'
  readonly who: Restricted
  readonly reason: string
  /** What noticed; absent where a person imposed it. */
  readonly detector?: DetectorName
  readonly by?: SubjectFacts
  readonly since: number
  /** Milliseconds since the epoch; absent: until a person clears it. */
  readonly until?: number
  /** With `slow`: actions a minute. */
  readonly limit?: number
  /** With `ask`. */
  readonly terms?: ApprovalTerms
  readonly cleared?: { readonly by: SubjectFacts; readonly at: number; readonly reason: string }
}

export type Imposed = Omit<Restriction, 'id' | 'since' | 'cleared'>

export interface RestrictionsParts {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  readonly logger?: Pick<Logger, 'error'>
  /** Where what the store can't take is kept meanwhile. Absent: a crash loses it. */
  readonly owed?: OwedFile
}

export class Restrictions {
  readonly #parts: RestrictionsParts
  readonly #records: Records<Restriction>
  /** By each principal that it is found under. */
  readonly #inForce = new Map<string, Set<Restriction>>()
  readonly #byId = new Map<string, Restriction>()
  readonly #listeners = new Set<(restriction: Restriction, sparing: string | undefined) => void>()
  /** In force, and not yet durable or not yet an entry. */
  readonly #owed = new Map<string, Restriction>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(parts: RestrictionsParts) {
    this.#parts = parts
    const { state, audit } = parts
    const changed = (each: Restriction): void => this.#remember(each)
    this.#records = new Records({ state, audit, space, entry: entryOf, changed })
  }

  /** Takes up what is in force. Before traffic is taken. */
  async start(): Promise<void> {
    const now = this.#parts.clock.now()
    for await (const each of this.#records.all()) {
      if (!this.isInForce(each) && (each.cleared?.at ?? each.until ?? 0) < now - keptMs)
        await this.#records.delete(each.id)
      else this.#remember(each)
    }
    for (const each of (await this.#parts.owed?.read()) ?? []) {
      if (this.#byId.has(each.id)) continue
      this.#remember(each)
      this.#owed.set(each.id, each)
    }
    await this.#keepOwed()
    if (this.#owed.size > 0) this.#keepLater()
  }

  /** What the store could not take so far is offered once more; what it does not take then stays in the file. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#stopped = true
    await this.#keepOwed()
  }

  /** Told when one begins; `sparing` is the session whose own action brought it about, which is still to be answered. */
  onImposed(listener: (restriction: Restriction, sparing: string | undefined) => void): void {
    this.#listeners.add(listener)
  }

  isInForce({ cleared, until }: Restriction): boolean {
    return cleared === undefined && (until === undefined || until > this.#parts.clock.now())
  }

  /** What holds for this subject, or for the person it acts for. */
  of(subject: Subject): readonly Restriction[] {
    if (this.#inForce.size === 0) return none
    const found = new Set<Restriction>()
    for (const principal of [subject, subject.onBehalfOf]) {
      if (principal === undefined) continue
      for (const key of keysOf(principal)) {
        for (const each of this.#inForce.get(key) ?? []) {
          if (!this.isInForce(each)) this.#forget(each)
          else if (reaches(each.who, principal, subject)) found.add(each)
        }
      }
    }
    return [...found]
  }

  suspension(subject: Subject): Restriction | undefined {
    return this.of(subject).find(({ kind }) => kind === 'suspend')
  }

  /**
   * In force when it returns; the promise resolves when it is durable and an entry. Never undone by a store that can't
   * take it: that is tried again, and until then it holds in this process. Another of the same kind for the same
   * identity is not imposed again.
   */
  impose(imposed: Imposed, sparing?: string): Promise<Restriction> {
    const same = this.#heldBy(imposed.who).find(
      each => each.kind === imposed.kind && sameWho(each.who, imposed.who),
    )
    if (same !== undefined && (same.until ?? Infinity) >= (imposed.until ?? Infinity))
      return Promise.resolve(same)
    this.#makeRoom()
    const now = this.#parts.clock.now()
    const restriction: Restriction = { ...imposed, id: newId('r', now), since: now }
    this.#remember(restriction)
    for (const listener of this.#listeners) listener(restriction, sparing)
    return this.#keep(restriction)
  }

  /**
   * A person lets the identity act again. Throws `denied` for machines, for the identity itself, for the person it acts
   * for, and for whoever is suspended; `conflict` when it is over.
   */
  async clear(id: string, by: Subject, reason: string): Promise<Restriction> {
    if (by.kind !== 'user' || by.onBehalfOf !== undefined)
      throw new GatewayError('denied', { detail: 'only people clear a restriction' })
    const cleared = await this.#records.change(id, current => {
      const { who } = current
      const acted = who.on_behalf_of
      if (samePerson(who, by) || (acted !== undefined && samePerson(acted, by)))
        throw new GatewayError('denied', {
          detail: 'nobody clears what restricts themselves or their agents',
        })
      if (this.suspension(by) !== undefined)
        throw new GatewayError('denied', { detail: 'you are suspended yourself' })
      if (!this.isInForce(current)) throw new GatewayError('conflict', { detail: 'it is over' })
      const facts = subjectFacts(by)
      const next = { ...current, cleared: { by: facts, at: this.#parts.clock.now(), reason } }
      return { next, kinds: ['identity.cleared'], facts: { cleared_by: facts, cleared_reason: reason } }
    })
    if (cleared === undefined)
      throw new GatewayError('not-found', { detail: `there is no restriction ${id}` })
    return cleared
  }

  /** Newest first; those that are over only where asked for. */
  list(of: { readonly all: boolean }): Restriction[] {
    const found = [...this.#byId.values()].filter(each => of.all || this.isInForce(each))
    return found.toSorted((a, b) => (a.id < b.id ? 1 : -1))
  }

  async #keep(restriction: Restriction): Promise<Restriction> {
    this.#owed.set(restriction.id, restriction)
    try {
      return await this.#store(restriction)
    } catch (error) {
      const isKept = await this.#writeOwed()
      const fate = isKept ? 'is kept in a file' : 'would be lost by a restart'
      this.#parts.logger?.error(`a restriction holds, and ${fate}: it can not be stored`, {
        restriction: restriction.id,
        kind: restriction.kind,
        identity: restriction.who.id,
        error: error instanceof Error ? error.message : String(error),
      })
      this.#keepLater()
      throw error
    }
  }

  /** What was stored with an entry owed is paid by looking at it; what was not stored is stored. */
  async #store(restriction: Restriction): Promise<Restriction> {
    const stored =
      (await this.#records.change(restriction.id, current => ({ next: current, kinds: [] }))) ??
      (await this.#records.create(restriction, [kindOf(restriction)]))
    this.#owed.delete(restriction.id)
    return stored
  }

  #keepLater(): void {
    if (this.#timer !== undefined || this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#keepOwed().then(() => {
        if (this.#owed.size > 0) this.#keepLater()
      })
    }, retryMs).unref()
  }

  async #keepOwed(): Promise<void> {
    for (const each of this.#owed.values()) await this.#store(each).catch(() => undefined)
    await this.#writeOwed()
  }

  /** False where there is no file that takes it. */
  async #writeOwed(): Promise<boolean> {
    const { owed } = this.#parts
    if (owed === undefined) return false
    return await owed.write([...this.#owed.values()]).then(
      () => true,
      () => false,
    )
  }

  #heldBy(who: Restricted): Restriction[] {
    const held = keysOf(who).flatMap(key => [...(this.#inForce.get(key) ?? [])])
    for (const each of held) if (!this.isInForce(each)) this.#forget(each)
    return held.filter(each => this.isInForce(each))
  }

  /** One that is in force, or still owed to the store, is never forgotten. */
  #makeRoom(): void {
    if (this.#byId.size < mostKept) return
    for (const [id, each] of this.#byId) {
      if (this.isInForce(each) || this.#owed.has(id)) continue
      this.#forget(each)
      this.#byId.delete(id)
      void this.#records.delete(id).catch(() => undefined)
      return
    }
  }

  #remember(restriction: Restriction): void {
    const before = this.#byId.get(restriction.id)
    if (before !== undefined) this.#forget(before)
    this.#byId.set(restriction.id, restriction)
    if (!this.isInForce(restriction)) return
    for (const key of keysOf(restriction.who)) {
      const set = this.#inForce.get(key) ?? new Set()
      this.#inForce.set(key, set.add(restriction))
    }
  }

  #forget(restriction: Restriction): void {
    for (const key of keysOf(restriction.who)) {
      const set = this.#inForce.get(key)
      set?.delete(restriction)
      if (set?.size === 0) this.#inForce.delete(key)
    }
  }
}

const none: readonly Restriction[] = []

function kindOf({ kind }: Restriction): EventKind {
  return kind === 'suspend' ? 'identity.suspended' : 'identity.restricted'
}

/** A person known to two issuers is found by the address that both vouch for. */
function keysOf({ issuer, id, email }: Principal): string[] {
  const own = JSON.stringify([issuer, id])
  return email === undefined ? [own] : [own, email.toLowerCase()]
}

/** Whether what was imposed on `who`, who is `principal`, holds for a subject that is, or acts for, that principal. */
function reaches(who: Restricted, principal: Principal, subject: Subject): boolean {
  if (who.on_behalf_of === undefined) return true
  return (
    principal === subject &&
    subject.onBehalfOf !== undefined &&
    samePerson(who.on_behalf_of, subject.onBehalfOf)
  )
}

function sameWho(a: Restricted, b: Restricted): boolean {
  const [actedA, actedB] = [a.on_behalf_of, b.on_behalf_of]
  const sameActed =
    actedA === undefined || actedB === undefined ? actedA === actedB : samePerson(actedA, actedB)
  return a.issuer === b.issuer && a.id === b.id && sameActed
}

function entryOf({ id, kind, who, reason, detector, by, since, until, limit }: Restriction): Facts {
  return {
    subject: who,
    restriction: {
      id,
      kind,
      since: new Date(since).toISOString(),
      ...(detector === undefined ? {} : { detector }),
      ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
      ...(limit === undefined ? {} : { limit }),
    },
    reason,
    ...(by === undefined ? {} : { by }),
  }
}
