/**
 * The approvals: requests, votes and their use. Every change is a compare-and-swap, durable and an entry before anyone
 * hears of it (records.ts). Memory holds what is open, without its request and preview, and what still answers.
 */
import type { Audit, EntryRef } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { ActionPreview } from '../gateway/exchange.ts'
import { newId } from '../id.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import { samePerson, type Subject, subjectFacts, subjectKey } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { answersStill, type Approval, approvalEntry, type Channel, isOpen, type Vote } from './approval.ts'
import { newestRecords, pruneRecords } from './history.ts'
import { type Change, type FindEntry, Records } from '../audit/records.ts'
import { counts, eligibleGroups, quorumReached } from './voters.ts'

const space = 'approval'
const sweepMs = 1000
const pruneEverySweeps = 600
/** Ended approvals stay this long for `show`; the log keeps them for good. */
const keptMs = 30 * 24 * 3_600_000
const mostOpen = 100_000
/** One requester alone can't use up the room of all. */
const mostOpenOfOne = 20_000
/** Most bytes of request and preview: what can't be shown whole can't be approved. */
const mostShownBytes = 512 * 1024

/** The action and its circumstances. */
export interface Asked {
  readonly requester: Subject
  readonly session: string
  readonly connection: {
    readonly name: string
    readonly protocol: string
    readonly sensitivity: string
    readonly version: string
  }
  readonly operation: string
  readonly risk: string
  readonly resource: string
  readonly digest: string
  readonly policyVersion: string
  readonly terms: ApprovalTerms
}

/** What the approver sees, masked. */
export interface Shown {
  readonly request: Readonly<Record<string, unknown>>
  readonly preview?: ActionPreview
}

/** A vote as it is given. */
export interface Ballot {
  readonly effect: Vote['effect']
  readonly channel: Channel
  /** What the voter's client calls itself: a claim. */
  readonly via?: string
  readonly reason?: string
  /** The voter has the role `approver`, which counts where the rule names nobody. */
  readonly isApprover?: boolean
}

export interface ApprovalsParts {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  readonly findEntry?: FindEntry
}

type OpenApproval = Omit<Approval, 'request' | 'preview'>

export class Approvals {
  readonly #parts: ApprovalsParts
  readonly #records: Records<Approval>
  /** The newest approval of each (requester, connection, digest) that still answers for it, and until when it does. */
  readonly #newest = new Map<string, { readonly id: string; readonly until: number }>()
  readonly #open = new Map<string, OpenApproval>()
  readonly #openOf = new Map<string, number>()
  readonly #watchers = new Map<string, Set<(approval: Approval) => void>>()
  readonly #listeners = new Set<(approval: Approval) => void>()
  readonly #releases = new Set<() => void>()
  #stopped = false
  #creating = 0
  #sweeps = 0
  #sweeping = false
  #sweeper: NodeJS.Timeout | undefined

  constructor(parts: ApprovalsParts) {
    this.#parts = parts
    const { state, audit, findEntry } = parts
    this.#records = new Records({
      state,
      audit,
      space,
      entry: approvalEntry,
      changed: approval => this.#changed(approval),
      ...(findEntry === undefined ? {} : { findEntry }),
    })
  }

  /** Takes up what was open before a restart and pays the entries that are owed. Before traffic is taken. */
  async start(): Promise<void> {
    await pruneRecords(this.#records, { clock: this.#parts.clock, keptMs, isOver: each => !isOpen(each) })
    for await (const approval of this.#records.all()) this.#remember(approval)
    this.#sweeper = setInterval(() => void this.sweep(), sweepMs)
    this.#sweeper.unref()
  }

  /** Lets every waiting call go on with what is known now, so that a stop waits for nobody. */
  stop(): void {
    clearInterval(this.#sweeper)
    this.#stopped = true
    for (const release of this.#releases) release()
  }

  /** Calls with each approval that was made or changed, once that is durable. Returns what ends it. */
  onChange(listener: (approval: Approval) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** How many wait for a decision. */
  get pending(): number {
    let count = 0
    for (const { state } of this.#open.values()) if (state === 'pending') count++
    return count
  }

  /** The newest approval for exactly this action by this requester, if it is open or still answers for it. */
  async findFor(
    asked: Pick<Asked, 'requester' | 'digest'> & { connection: { name: string } },
  ): Promise<Approval | undefined> {
    const id = this.#newest.get(
      attachKey(subjectKey(asked.requester), asked.connection.name, asked.digest),
    )?.id
    if (id === undefined) return undefined
    const found = await this.#records.get(id)
    const current = found === undefined ? undefined : await this.#expireIfDue(found)
    return current !== undefined && answersStill(current, this.#parts.clock.now()) ? current : undefined
  }

  /**
   * The approval for this action: the one there is, open or still answering for it, else a new one, durable and an
   * entry when it resolves. One asked under another policy or on a connection that was changed since is withdrawn.
   * Racing requests for the same action get the same approval, and `show` runs only for the one that makes it.
   */
  async request(asked: Asked, show: () => Promise<Shown>): Promise<Approval> {
    const key = attachKey(subjectKey(asked.requester), asked.connection.name, asked.digest)
    return await this.#records.inTurn(key, async () => {
      const known = await this.findFor(asked)
      if (known === undefined) return await this.#create(asked, show)
      const outdated = outdatedBy(known, asked)
      if (!isOpen(known) || outdated === undefined) return known
      await this.cancel(known.id, outdated)
      return await this.#create(asked, show)
    })
  }

  async #create(asked: Asked, show: () => Promise<Shown>): Promise<Approval> {
    const requesterKey = subjectKey(asked.requester)
    if (
      this.#open.size + this.#creating >= mostOpen ||
      (this.#openOf.get(requesterKey) ?? 0) >= mostOpenOfOne
    )
      throw new GatewayError('overloaded', { detail: 'too many approvals are open' })
    this.#creating++
    try {
      const shown = await show()
      if (Buffer.byteLength(JSON.stringify(shown)) > mostShownBytes) {
        throw new GatewayError('body-too-large', {
          detail: `nobody can approve what can't be shown whole: over ${mostShownBytes} bytes`,
        })
      }
      const now = this.#parts.clock.now()
      const { requester, connection, terms, ...same } = asked
      const approval: Approval = {
        ...same,
        id: newId('ap', now),
        state: 'pending',
        requester: subjectFacts(requester),
        requesterKey,
        connection: connection.name,
        protocol: connection.protocol,
        connectionVersion: connection.version,
        sensitivity: connection.sensitivity,
        terms,
        ...(terms.message === undefined ? {} : { message: terms.message }),
        ...shown,
        votes: [],
        usesLeft: 1,
        createdAt: now,
        expiresAt: now + terms.expiresAfterMs,
      }
      return await this.#records.create(approval, ['approval.requested'])
    } finally {
      this.#creating--
    }
  }

  async get(id: string): Promise<Approval> {
    const found = await this.#records.get(id)
    if (found === undefined) throw unknown(id)
    return await this.#expireIfDue(found)
  }

  /** Open ones, or all that are kept; newest first. */
  async list(filter: { readonly open: boolean; readonly limit: number }): Promise<Approval[]> {
    const { clock } = this.#parts
    if (!filter.open)
      return await newestRecords(this.#records, { clock, keptMs, prefix: 'ap', limit: filter.limit })
    const ids = [...this.#open.keys()].sort().slice(-filter.limit).reverse()
    const found = await Promise.all(ids.map(id => this.#records.get(id)))
    return found.filter(each => each !== undefined)
  }

  /**
   * Counts a vote. Any denial ends the request, also of someone who approved before or whose group has voted; the
   * quorum approves it. Throws `denied` for who may not vote, `conflict` when it is no longer pending or this person has
   * voted.
   */
  async vote(id: string, voter: Subject, ballot: Ballot): Promise<Approval> {
    return await this.#change(id, current => {
      const groups = eligibleGroups(current, voter, ballot.isApprover ?? false)
      if (current.state !== 'pending')
        throw new GatewayError('conflict', { detail: `it is ${current.state}` })
      const { effect, channel, via } = ballot
      const before = current.votes.find(vote => samePerson(vote.by, voter))
      if (before?.effect === effect) throw new GatewayError('conflict', { detail: 'you have voted' })
      if (effect === 'approve' && !counts(current, groups))
        throw new GatewayError('denied', { detail: 'the votes of your groups are given already' })
      const reason = ballot.reason?.trim()
      if (current.terms.reasonRequired && !reason)
        throw new GatewayError('invalid-request', { detail: 'the rule asks for a reason' })
      const by = personOf(voter)
      const told = { effect, channel, groups, ...(reason ? { reason } : {}) }
      const vote: Vote = { by, ...told, ...(via === undefined ? {} : { via }), at: this.#parts.clock.now() }
      const facts = { voter: by, vote: told, ...(via === undefined ? {} : { claimed: { via } }) }
      return decided({ ...current, votes: [...current.votes, vote] }, vote, facts)
    })
  }

  /** Uses an approval up. Of any number of racing callers exactly one gets it; the others get `conflict`. */
  async consume(id: string): Promise<Approval> {
    return await this.#change(id, current => {
      if (current.state !== 'approved')
        throw new GatewayError('conflict', { detail: `it is ${current.state}` })
      const usesLeft = current.usesLeft - 1
      const state = usesLeft === 0 ? 'consumed' : 'approved'
      const uses = (current.uses ?? 0) + 1
      return { next: { ...current, usesLeft, uses, state }, kinds: ['approval.consumed'] }
    })
  }

  /**
   * Makes good again what `consume` gave, for a use that an entry (`end`) says has forwarded nothing. Once for each use, and
   * within the time that it had; else `conflict`.
   */
  async giveBack({ id, uses }: Pick<Approval, 'id' | 'uses'>, end: EntryRef): Promise<Approval> {
    return await this.#change(id, current => {
      const { state, usesLeft, expiresAt } = current
      if (state !== 'consumed' || current.uses !== uses || this.#parts.clock.now() >= expiresAt)
        throw new GatewayError('conflict', { detail: `it is ${state}` })
      const next: Approval = { ...current, state: 'approved', usesLeft: usesLeft + 1 }
      return { next, kinds: ['approval.returned'], facts: { end: end.id } }
    })
  }

  /** Withdraws an open one: the requester, an administrator, or the gateway when what it was given for changed. */
  async cancel(id: string, reason: string): Promise<Approval> {
    return await this.#change(id, current => {
      if (!isOpen(current)) throw new GatewayError('conflict', { detail: `it is ${current.state}` })
      return { next: { ...current, state: 'cancelled', endReason: reason }, kinds: ['approval.cancelled'] }
    })
  }

  /**
   * Resolves with the approval once it is no longer pending, or as it is after `ms`, when the signal fires or when the
   * gateway stops. Holds one closure and one timer, however long.
   */
  async wait(approval: Approval, ms: number, signal: AbortSignal): Promise<Approval> {
    if (approval.state !== 'pending' || ms <= 0 || signal.aborted || this.#stopped) return approval
    // What was decided since the caller read it has no more watchers to tell.
    if (this.#open.get(approval.id)?.state !== 'pending') return await this.get(approval.id)
    return await new Promise(resolve => {
      const done = (now: Approval): void => {
        clearTimeout(timer)
        this.#releases.delete(over)
        signal.removeEventListener('abort', over)
        const set = this.#watchers.get(approval.id)
        set?.delete(changed)
        if (set?.size === 0) this.#watchers.delete(approval.id)
        resolve(now)
      }
      const over = (): void => done(approval)
      const changed = (now: Approval): void => {
        if (now.state !== 'pending') done(now)
      }
      const timer = setTimeout(over, Math.min(ms, 2 ** 31 - 1))
      this.#releases.add(over)
      signal.addEventListener('abort', over)
      const set = this.#watchers.get(approval.id) ?? new Set()
      this.#watchers.set(approval.id, set.add(changed))
    })
  }

  /** Ends what is due and forgets what no longer answers. By itself every second once started. */
  async sweep(): Promise<void> {
    if (this.#sweeping) return
    this.#sweeping = true
    try {
      const { clock } = this.#parts
      const now = clock.now()
      for (const [key, { id, until }] of this.#newest) {
        if (until <= now && !this.#open.has(id)) this.#newest.delete(key)
      }
      const due = [...this.#open.values()].filter(each => dueAt(each, now))
      for (let i = 0; i < due.length; i += 64) {
        await Promise.all(due.slice(i, i + 64).map(each => this.#expire(each.id).catch(() => undefined)))
      }
      if (++this.#sweeps % pruneEverySweeps !== 0) return
      await pruneRecords(this.#records, { clock, keptMs, isOver: each => !isOpen(each) }).catch(
        () => undefined,
      )
    } finally {
      this.#sweeping = false
    }
  }

  /** How much is held in memory, for the bench and the tests. */
  get held(): { readonly open: number; readonly answering: number; readonly waiting: number } {
    return { open: this.#open.size, answering: this.#newest.size, waiting: this.#releases.size }
  }

  /** A change that had fallen due comes first, and the caller's own is judged against that. */
  async #change(id: string, decide: (current: Approval) => Change<Approval>): Promise<Approval> {
    for (;;) {
      let wasDue = false
      const changed = await this.#records.change(id, current => {
        wasDue = dueAt(current, this.#parts.clock.now())
        return wasDue ? expired(current) : decide(current)
      })
      if (changed === undefined) throw unknown(id)
      if (!wasDue) return changed
    }
  }

  #expire(id: string): Promise<Approval> {
    return this.#change(id, current => ({ next: current, kinds: [] }))
  }

  async #expireIfDue(approval: Approval): Promise<Approval> {
    if (!dueAt(approval, this.#parts.clock.now())) return approval
    return await this.#expire(approval.id).catch(() => approval)
  }

  #changed(approval: Approval): void {
    this.#remember(approval)
    for (const watcher of this.#watchers.get(approval.id) ?? []) watcher(approval)
    for (const listener of this.#listeners) listener(approval)
  }

  #remember(approval: Approval): void {
    const { id, requesterKey } = approval
    const key = attachKey(requesterKey, approval.connection, approval.digest)
    const newest = this.#newest.get(key)
    if (newest === undefined || newest.id <= id) {
      if (answersStill(approval, this.#parts.clock.now()))
        this.#newest.set(key, { id, until: approval.expiresAt })
      else this.#newest.delete(key)
    }
    const wasOpen = this.#open.has(id)
    const { request: _request, preview: _preview, ...slim } = approval
    if (isOpen(approval)) this.#open.set(id, slim)
    else this.#open.delete(id)
    const more = Number(isOpen(approval)) - Number(wasOpen)
    const count = (this.#openOf.get(requesterKey) ?? 0) + more
    if (count > 0) this.#openOf.set(requesterKey, count)
    else this.#openOf.delete(requesterKey)
  }
}

function decided(next: Approval, vote: Vote, facts: Record<string, unknown>): Change<Approval> {
  if (vote.effect === 'deny')
    return { next: { ...next, state: 'denied' }, kinds: ['approval.voted', 'approval.denied'], facts }
  if (!quorumReached(next)) return { next, kinds: ['approval.voted'], facts }
  const expiresAt = vote.at + next.terms.usableForMs
  return {
    next: { ...next, state: 'approved', expiresAt },
    kinds: ['approval.voted', 'approval.granted'],
    facts,
  }
}

function expired(approval: Approval): Change<Approval> {
  const endReason = approval.state === 'pending' ? 'nobody decided in time' : 'nobody used it in time'
  return { next: { ...approval, state: 'expired', endReason }, kinds: ['approval.expired'] }
}

function dueAt(approval: OpenApproval, now: number): boolean {
  return isOpen(approval) && now >= approval.expiresAt
}

/** Why an open approval no longer fits what is asked now, if so. */
function outdatedBy(known: Approval, asked: Asked): string | undefined {
  if (known.policyVersion !== asked.policyVersion) return 'another policy took effect'
  return known.connectionVersion === asked.connection.version ? undefined : 'the connection was changed'
}

export function personOf(voter: Subject): Vote['by'] {
  const { issuer, id, name, email } = voter
  return { issuer, id, ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) }
}

function unknown(id: string): GatewayError {
  return new GatewayError('not-found', { detail: `there is no approval ${id}` })
}

function attachKey(requesterKey: string, connection: string, digest: string): string {
  return JSON.stringify([requesterKey, connection, digest])
}
