/**
 * What identities have used of their budgets. Counting is in memory and synchronous, so that of racing actions none
 * passes beyond the limit; what is counted is written behind, so that a restart does not forget a month.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Action } from '../model/action.ts'
import type { BudgetTerms } from '../model/decision.ts'
import { type SubjectFacts, subjectFacts } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { countedBy, type Use } from './counted-by.ts'
import { type Period, periodOf } from './period.ts'

/** One count, as the API shows it. */
export interface BudgetUse extends BudgetTerms {
  readonly subject?: SubjectFacts
  readonly connection?: string
  readonly operation?: string
  readonly used: number
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly until: number
}

interface Counter {
  readonly id: string
  use: BudgetUse
  /** As in the store: `undefined` where it is not there yet. */
  saved: { readonly used: number; readonly since: number; readonly version: number } | undefined
  /** `used` when it was last looked at for writing. */
  seen: number
}

export interface BudgetsParts {
  readonly clock: Clock
  /** Absent: counts end with the process. */
  readonly state?: StateStore
  /** How many counts are kept at most. When all are in use a new one is refused, since forgetting one would lift it. */
  readonly keys?: number
  /** Between two writings, milliseconds. */
  readonly everyMs?: number
}

const space = 'budgets'
const mostAtOnce = 500

export class Budgets {
  readonly #parts: BudgetsParts
  readonly #counters = new Map<string, Counter>()
  readonly #dirty = new Set<Counter>()
  /** What each action was counted under; also that it was, however often it is judged. */
  readonly #charged = new WeakMap<Action, readonly { readonly counter: Counter; readonly since: number }[]>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(parts: BudgetsParts) {
    this.#parts = parts
  }

  /** Takes up what was counted before a restart. Before traffic is taken. */
  async start(): Promise<void> {
    const { state, clock, everyMs = 1000 } = this.#parts
    if (state === undefined) return
    for (let after: string | undefined; ; ) {
      const page = await state.list<BudgetUse>(space, {
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      })
      for (const { key, value, version } of page) {
        if (value.until <= clock.now()) await state.delete(space, key)
        else {
          const { used, since } = value
          const saved = { used, since, version }
          this.#counters.set(key, { id: key, use: value, saved, seen: used })
        }
      }
      if (page.length < 1000) break
      after = page.at(-1)!.key
    }
    this.#timer = setInterval(() => void this.#write(false), everyMs).unref()
  }

  /** Writes the exact counts. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    while (this.#dirty.size > 0) {
      const before = this.#dirty.size
      await this.#write(true)
      if (this.#dirty.size >= before) return
    }
  }

  /**
   * Counts the action under every budget, or under none where one of them is used up: then says which, and for how long.
   * An action that was counted before passes.
   */
  admit(
    use: Use & { readonly action: Action },
    terms: readonly BudgetTerms[],
  ): { readonly over: BudgetTerms; readonly retryAfterMs: number } | undefined {
    if (terms.length === 0 || this.#charged.has(use.action)) return undefined
    const now = this.#parts.clock.now()
    const counters: Counter[] = []
    for (const each of terms) {
      const counter = this.#counter(use, each, now)
      if (counter === undefined) return { over: each, retryAfterMs: periodOf(each.per, now).end - now }
      const { used, until } = counter.use
      if (used >= each.limit) return { over: each, retryAfterMs: Math.max(1, until - now) }
      counters.push(counter)
    }
    for (const counter of counters) if (counter.use.unit === 'actions') this.#add(counter, 1)
    const charged = counters.map(counter => ({ counter, since: counter.use.since }))
    this.#charged.set(use.action, charged)
    return undefined
  }

  /** Counts what passed; an action that never left is given back. */
  settle(of: {
    readonly action: Action
    readonly forwarded: boolean
    readonly bytesIn: number
    readonly bytesOut: number
    readonly rows: number
  }): void {
    const charged = this.#charged.get(of.action)
    if (charged === undefined) return
    this.#charged.delete(of.action)
    for (const { counter, since } of charged) {
      const { unit } = counter.use
      if (unit === 'bytes') this.#add(counter, of.bytesIn + of.bytesOut)
      else if (unit === 'rows') this.#add(counter, of.rows)
      else if (!of.forwarded && counter.use.since === since) this.#add(counter, -1)
    }
  }

  /** What is used, the fullest first. */
  list(): BudgetUse[] {
    const now = this.#parts.clock.now()
    const current = [...this.#counters.values()].map(({ use }) => use).filter(use => use.until > now)
    return current.toSorted((a, b) => b.used / b.limit - a.used / a.limit)
  }

  get size(): number {
    return this.#counters.size
  }

  #add(counter: Counter, amount: number): void {
    if (amount === 0) return
    counter.use = { ...counter.use, used: Math.max(0, counter.use.used + amount) }
    this.#dirty.add(counter)
  }

  /** The count of this use in the period that it is now; undefined where there is no room for one more. */
  #counter(use: Use, terms: BudgetTerms, now: number): Counter | undefined {
    const id = idOf(use, terms)
    const known = this.#counters.get(id)
    if (known === undefined) {
      if (!this.#hasRoom(now)) return undefined
      const period = periodOf(terms.per, now)
      const made: Counter = { id, use: fresh(use, terms, period), saved: undefined, seen: 0 }
      this.#counters.set(id, made)
      return made
    }
    if (known.use.until <= now) {
      known.use = { ...known.use, used: 0, ...bounds(periodOf(terms.per, now)) }
      known.seen = 0
    }
    if (known.use.limit !== terms.limit) known.use = { ...known.use, limit: terms.limit }
    return known
  }

  #hasRoom(now: number): boolean {
    const { keys = 100_000 } = this.#parts
    if (this.#counters.size < keys) return true
    // Oldest first, and only a few per call, so that a full table costs every caller the same.
    let looked = 0
    for (const [id, counter] of this.#counters) {
      this.#counters.delete(id)
      if (counter.use.until <= now) {
        this.#forget(counter)
        return true
      }
      this.#counters.set(id, counter)
      if (++looked === 16) return false
    }
    return false
  }

  #forget(counter: Counter): void {
    this.#dirty.delete(counter)
    if (counter.saved === undefined) return
    void this.#parts.state?.delete(space, counter.id).catch(() => undefined)
  }

  /** One writing at a time. Never rejects: what could not be written is written next time. */
  #write(exact: boolean): Promise<void> {
    const write = async (): Promise<void> => {
      const now = this.#parts.clock.now()
      for (const counter of [...this.#dirty].slice(0, mostAtOnce)) {
        await this.#writeOne(counter, { exact, now }).catch(() => undefined)
      }
    }
    this.#writing = this.#writing.then(write)
    return this.#writing
  }

  /**
   * Between stops a count is written with what may be used until the next writing, so that after a crash it is rather
   * too high than too low.
   */
  async #writeOne(counter: Counter, { exact, now }: { exact: boolean; now: number }): Promise<void> {
    const { state } = this.#parts
    const { used, limit, since, until } = counter.use
    if (until <= now) {
      this.#dirty.delete(counter)
      this.#counters.delete(counter.id)
      this.#forget(counter)
      return
    }
    const ahead = exact ? 0 : Math.max(0, used - counter.seen)
    const value = Math.max(used, Math.min(limit, used + ahead))
    counter.seen = used
    this.#dirty.delete(counter)
    const { saved } = counter
    // A count that stands still is written once more, as it is.
    if (value !== used) this.#dirty.add(counter)
    if (state === undefined || (saved?.used === value && saved.since === since)) return
    const version = saved?.version ?? 0
    const kept = await state
      .put(space, counter.id, { ...counter.use, used: value }, version)
      .catch((error: unknown) => {
        this.#dirty.add(counter)
        throw error
      })
    if (kept) counter.saved = { used: value, since, version: version + 1 }
    else counter.saved = await this.#reread(counter)
  }

  async #reread({ id }: Counter): Promise<Counter['saved']> {
    const row = await this.#parts.state?.get<BudgetUse>(space, id)
    return row && { used: row.value.used, since: row.value.since, version: row.version }
  }
}

function idOf(use: Use, { rule, unit, per, by }: BudgetTerms): string {
  const parts = `${rule}\n${unit}\n${per}\n${by.join()}\n${countedBy(by, use)}`
  return createHash('sha256').update(parts).digest('base64url')
}

function bounds({ start, end }: Period): Pick<BudgetUse, 'since' | 'until'> {
  return { since: start, until: end }
}

function fresh({ subject, connection, action }: Use, terms: BudgetTerms, period: Period): BudgetUse {
  const { by } = terms
  return {
    ...terms,
    ...(by.includes('subject') ? { subject: subjectFacts(subject) } : {}),
    ...(by.includes('connection') ? { connection: connection.name } : {}),
    ...(by.includes('operation') ? { operation: action.operation } : {}),
    used: 0,
    ...bounds(period),
  }
}
