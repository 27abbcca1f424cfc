/**
 * The approvals: requests, votes and their use. Every change is a compare-and-swap on the stored record, so of two
 * racing changes one wins and the other sees what won. A change is durable before anyone hears of it, and is an entry
 * with the approval's id; an entry that a crash kept from being written is written at the next start.
 */
import type { Audit } from '../audit/audit.ts'
import type { EventKind } from '../audit/events.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { ActionPreview } from '../gateway/exchange.ts'
import { newId } from '../id.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import { type Subject, subjectFacts, subjectKey } from '../model/subject.ts'
import type { StateStore, Versioned } from '../storage/storage.ts'
import { type Approval, approvalFacts, isOpen, type Vote } from './approval.ts'
import { eligibleGroup, quorumReached, samePerson } from './voters.ts'

const space = 'approval'
const sweepMs = 1000
/** Ended approvals stay this long for `show` and for refusing what was denied or used; the log keeps them for good. */
const keptMs = 30 * 24 * 3_600_000
const mostOpen = 100_000

export interface Asked {
  readonly requester: Subject
  readonly session: string
  readonly connection: { readonly name: string; readonly sensitivity: string }
  readonly operation: string
  readonly risk: string
  readonly resource: string
  readonly digest: string
  readonly policyVersion: string
  readonly terms: ApprovalTerms
  readonly message?: string
  readonly request: Readonly<Record<string, unknown>>
  readonly preview?: ActionPreview
}

/** A vote as it is given. */
export interface Ballot {
  readonly effect: Vote['effect']
  readonly channel: string
  readonly reason?: string
  /** The voter has the role `approver`, which counts where the rule names nobody. */
  readonly isApprover?: boolean
}

/** A stored record with the facts of the entries it still owes. */
type Owing = Approval & { readonly owedFacts?: Readonly<Record<string, unknown>> }

type Change = {
  readonly next: Approval
  readonly kinds: readonly EventKind[]
  readonly facts?: Record<string, unknown>
}

export class Approvals {
  readonly #state: StateStore
  readonly #audit: Audit
  readonly #clock: Clock
  /** The newest approval of each (requester, connection, digest), open or recently ended. */
  readonly #newest = new Map<string, string>()
  readonly #open = new Map<string, Approval>()
  readonly #turns = new Map<string, Promise<void>>()
  readonly #watchers = new Map<string, Set<(approval: Approval) => void>>()
  #sweeper: NodeJS.Timeout | undefined

  constructor(parts: { readonly state: StateStore; readonly audit: Audit; readonly clock: Clock }) {
    this.#state = parts.state
    this.#audit = parts.audit
    this.#clock = parts.clock
  }

  /** Takes up what was open before a restart and pays the entries that are owed. Before traffic is taken. */
  async start(): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#state.list<Approval>(space, {
        limit: 500,
        ...(after === undefined ? {} : { after }),
      })
      for (const { value } of page) await this.#takeUp(value)
      if (page.length < 500) break
      after = page.at(-1)!.key
    }
    this.#sweeper = setInterval(() => void this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  stop(): void {
    clearInterval(this.#sweeper)
  }

  /** How many wait for a decision. */
  get pending(): number {
    let count = 0
    for (const { state } of this.#open.values()) if (state === 'pending') count++
    return count
  }

  /** The newest approval for exactly this action by this requester, if it is open or still answers for it. */
  async findFor(asked: Pick<Asked, 'requester' | 'connection' | 'digest'>): Promise<Approval | undefined> {
    const id = this.#newest.get(attachKey(subjectKey(asked.requester), asked.connection.name, asked.digest))
    if (id === undefined) return undefined
    const found = (await this.#state.get<Approval>(space, id))?.value
    return found === undefined ? undefined : await this.#expireIfDue(found)
  }

  /** Asks. Durable, and an entry, when it resolves. Racing requests for the same action get the same approval. */
  async request(asked: Asked): Promise<Approval> {
    const key = attachKey(subjectKey(asked.requester), asked.connection.name, asked.digest)
    return await this.#inTurn(key, async () => {
      const running = this.#open.get(this.#newest.get(key) ?? '')
      if (running !== undefined && running.policyVersion === asked.policyVersion) return running
      return await this.#create(asked)
    })
  }

  async #create(asked: Asked): Promise<Approval> {
    if (this.#open.size >= mostOpen)
      throw new GatewayError('overloaded', { detail: 'too many approvals are open' })
    const now = this.#clock.now()
    const approval: Approval = {
      id: newId('ap', now),
      state: 'pending',
      requester: subjectFacts(asked.requester),
      requesterKey: subjectKey(asked.requester),
      session: asked.session,
      connection: asked.connection.name,
      sensitivity: asked.connection.sensitivity,
      operation: asked.operation,
      risk: asked.risk,
      resource: asked.resource,
      digest: asked.digest,
      policyVersion: asked.policyVersion,
      terms: asked.terms,
      ...(asked.message === undefined ? {} : { message: asked.message }),
      request: asked.request,
      ...(asked.preview === undefined ? {} : { preview: asked.preview }),
      votes: [],
      usesLeft: 1,
      createdAt: now,
      expiresAt: now + asked.terms.expiresAfterMs,
      owed: ['approval.requested'],
    }
    this.#remember(approval)
    try {
      await this.#state.put(space, approval.id, approval, 0)
    } catch (error) {
      this.#forget(approval)
      throw error
    }
    return await this.#payOwed({ value: approval, version: 1 })
  }

  async get(id: string): Promise<Approval> {
    const found = (await this.#state.get<Approval>(space, id))?.value
    if (found === undefined) throw new GatewayError('not-found', { detail: `there is no approval ${id}` })
    return await this.#expireIfDue(found)
  }

  /** Open ones, or all that are kept; newest first. */
  async list(filter: { readonly open: boolean; readonly limit: number }): Promise<Approval[]> {
    if (filter.open) return [...this.#open.values()].reverse().slice(0, filter.limit)
    const all = await this.#state.list<Approval>(space, { limit: 10_000 })
    return all
      .map(({ value }) => value)
      .reverse()
      .slice(0, filter.limit)
  }

  /**
   * Counts a vote. Any denial ends the request; the quorum approves it. Throws `denied` for who may not vote,
   * `conflict` when it is no longer pending or this person has voted.
   */
  async vote(id: string, voter: Subject, ballot: Ballot): Promise<Approval> {
    return await this.#change(id, current => {
      const group = eligibleGroup(current, voter, ballot.isApprover ?? false)
      if (current.state !== 'pending')
        throw new GatewayError('conflict', { detail: `it is ${current.state}` })
      if (current.votes.some(vote => samePerson(vote.by, voter)))
        throw new GatewayError('conflict', { detail: 'you have voted' })
      const reason = ballot.reason?.trim()
      if (current.terms.reasonRequired && !reason)
        throw new GatewayError('invalid-request', { detail: 'the rule asks for a reason' })
      const { issuer, id: voterId, name, email } = subjectFacts(voter)
      const by = {
        issuer,
        id: voterId,
        ...(name === undefined ? {} : { name }),
        ...(email === undefined ? {} : { email }),
      }
      const { effect, channel } = ballot
      const vote: Vote = { by, effect, channel, group, at: this.#clock.now(), ...(reason ? { reason } : {}) }
      const votes = [...current.votes, vote]
      const facts = { vote: { effect, channel, group, ...(reason ? { reason } : {}) }, voter: by }
      if (effect === 'deny')
        return {
          next: { ...current, votes, state: 'denied' },
          kinds: ['approval.voted', 'approval.denied'],
          facts,
        }
      if (!quorumReached(current, votes))
        return { next: { ...current, votes }, kinds: ['approval.voted'], facts }
      const expiresAt = this.#clock.now() + current.terms.usableForMs
      return {
        next: { ...current, votes, state: 'approved', expiresAt },
        kinds: ['approval.voted', 'approval.granted'],
        facts,
      }
    })
  }

  /** Uses an approval up. Of any number of racing callers exactly one gets it; the others get `conflict`. */
  async consume(id: string): Promise<Approval> {
    return await this.#change(id, current => {
      if (current.state !== 'approved')
        throw new GatewayError('conflict', { detail: `it is ${current.state}` })
      const usesLeft = current.usesLeft - 1
      return {
        next: { ...current, usesLeft, state: usesLeft === 0 ? 'consumed' : 'approved' },
        kinds: ['approval.consumed'],
      }
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
   * Resolves with the approval once it is no longer pending, or as it is after `ms` or when the signal fires. Holds
   * one closure and one timer, however long.
   */
  wait(approval: Approval, ms: number, signal: AbortSignal): Promise<Approval> {
    const latest = this.#open.get(approval.id) ?? approval
    if (latest.state !== 'pending' || ms <= 0 || signal.aborted) return Promise.resolve(latest)
    return new Promise(resolve => {
      const done = (now?: Approval): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', over)
        const set = this.#watchers.get(approval.id)
        set?.delete(changed)
        if (set?.size === 0) this.#watchers.delete(approval.id)
        resolve(now ?? this.#open.get(approval.id) ?? approval)
      }
      const over = (): void => done()
      const changed = (now: Approval): void => {
        if (now.state !== 'pending') done(now)
      }
      const timer = setTimeout(over, ms)
      signal.addEventListener('abort', over)
      const set = this.#watchers.get(approval.id) ?? new Set()
      this.#watchers.set(approval.id, set.add(changed))
    })
  }

  /** Changes of one approval follow each other; the compare-and-swap guards against other nodes. */
  #change(id: string, decide: (current: Approval) => Change): Promise<Approval> {
    return this.#inTurn(id, () => this.#changeNow(id, decide))
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work)
    const over = turn.then(
      () => undefined,
      () => undefined,
    )
    this.#turns.set(key, over)
    try {
      return await turn
    } finally {
      if (this.#turns.get(key) === over) this.#turns.delete(key)
    }
  }

  async #changeNow(id: string, decide: (current: Approval) => Change): Promise<Approval> {
    for (;;) {
      const stored = await this.#state.get<Owing>(space, id)
      if (stored === undefined) throw new GatewayError('not-found', { detail: `there is no approval ${id}` })
      // An earlier change whose entry could not be written goes first: no change hides another.
      const current = stored.value.owed.length === 0 ? stored.value : await this.#payOwed(stored)
      const version = stored.value.owed.length === 0 ? stored.version : stored.version + 1
      const due = this.#dueChange(current)
      const { next, kinds, facts } = due ?? decide(current)
      if (kinds.length === 0) return next
      const owing: Owing = { ...next, owed: kinds, ...(facts === undefined ? {} : { owedFacts: facts }) }
      if (!(await this.#state.put(space, id, owing, version))) continue
      const settled = await this.#payOwed({ value: owing, version: version + 1 })
      this.#tell(settled)
      // What had fallen due is written; the caller's own change is now judged against that.
      if (due === undefined) return settled
    }
  }

  /** Writes the entries a stored record owes, then says so. A crash in between writes them again: at least once. */
  async #payOwed({ value, version }: Versioned<Owing>): Promise<Approval> {
    const { owed, owedFacts, ...rest } = value
    const paid: Approval = { ...rest, owed: [] }
    for (const kind of owed) await this.#audit.note(kind as EventKind, { ...entryFacts(paid), ...owedFacts })
    if (!(await this.#state.put(space, value.id, paid, version))) {
      throw new GatewayError('conflict', { detail: 'another node changed it' })
    }
    this.#remember(paid)
    return paid
  }

  #dueChange(approval: Approval): Change | undefined {
    if (!isOpen(approval) || this.#clock.now() < approval.expiresAt) return undefined
    const endReason = approval.state === 'pending' ? 'nobody decided in time' : 'nobody used it in time'
    return { next: { ...approval, state: 'expired', endReason }, kinds: ['approval.expired'] }
  }

  async #expireIfDue(approval: Approval): Promise<Approval> {
    if (this.#dueChange(approval) === undefined) return approval
    return await this.#change(approval.id, current => ({ next: current, kinds: [] })).catch(() => approval)
  }

  async #sweep(): Promise<void> {
    for (const approval of this.#open.values()) {
      if (this.#dueChange(approval) !== undefined) await this.#expireIfDue(approval)
    }
  }

  async #takeUp(approval: Approval): Promise<void> {
    if (!isOpen(approval) && approval.expiresAt + keptMs < this.#clock.now()) {
      return await this.#state.delete(space, approval.id)
    }
    this.#remember(approval)
    if (approval.owed.length === 0) return
    const stored = await this.#state.get<Owing>(space, approval.id)
    if (stored !== undefined) await this.#payOwed(stored)
  }

  #remember(approval: Approval): void {
    const key = attachKey(approval.requesterKey, approval.connection, approval.digest)
    const newest = this.#newest.get(key)
    if (newest === undefined || newest <= approval.id) this.#newest.set(key, approval.id)
    if (isOpen(approval)) this.#open.set(approval.id, approval)
    else this.#open.delete(approval.id)
  }

  #forget(approval: Approval): void {
    this.#open.delete(approval.id)
    this.#newest.delete(attachKey(approval.requesterKey, approval.connection, approval.digest))
  }

  #tell(approval: Approval): void {
    for (const watcher of this.#watchers.get(approval.id) ?? []) watcher(approval)
  }
}

function attachKey(requesterKey: string, connection: string, digest: string): string {
  return JSON.stringify([requesterKey, connection, digest])
}

function entryFacts(approval: Approval): Record<string, unknown> {
  return {
    session: approval.session,
    subject: approval.requester,
    operation: approval.operation,
    risk: approval.risk,
    resource: approval.resource,
    target: approval.connection,
    approval: approvalFacts(approval),
    expires: new Date(approval.expiresAt).toISOString(),
    ...(approval.endReason === undefined ? {} : { reason: approval.endReason }),
  }
}
