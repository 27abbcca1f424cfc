/**
 * A target's own limit, shared between the identities that use it. Which limit an operation counts against, and what is
 * left of it, is learned from the target's answers; nothing is shared before the first of them. Within a window every
 * identity that was seen in it or in the last one may use an equal share. What others have not used of theirs may be
 * used as well, the more of it the nearer the window's end, so that nothing is left over because somebody went to sleep
 * (max-min fairness, with what is owed fading). A tenth is kept in the same way for whoever comes next.
 *
 * A guard and an observer of the path. Synchronous, for one process, not kept over a restart: answers tell anew.
 */
import type { Clock } from '../clock.ts'
import type { Action } from '../model/action.ts'
import { type Decision, deniedByGuard } from '../model/decision.ts'
import { type Subject, subjectKey } from '../model/subject.ts'

/** What an answer says of a limit, checked: whole numbers, `limit` at least 1, times in milliseconds. */
export interface ToldQuota {
  /** Of the limit; absent: it is the operation's own. */
  readonly name?: string
  readonly limit: number
  readonly remaining: number
  /** Until the window ends. */
  readonly resetMs: number
  /** The window's length, where that is told. */
  readonly windowMs?: number
}

interface At {
  readonly target: { readonly name: string }
}

interface Asker extends At {
  readonly subject: Subject
}

interface Pool {
  readonly name: string | undefined
  limit: number
  /** What the target is thought to allow still, without what is under way. */
  left: number
  windowMs: number
  resetAt: number
  inFlight: number
  /** The latest of the actions whose answers were heard. */
  heard: number
  used: Map<string, number>
  /** Who was seen in this window or the one before. */
  seen: Set<string>
  /** Whether an answer has told of it in this window. */
  isTold: boolean
}

interface Admitted {
  readonly pool: Pool
  readonly who: string
  readonly used: Map<string, number>
  /** In the order in which they were let through. */
  readonly place: number
  answered: boolean
}

/** Pools, and operations whose pool is known; the oldest give way. */
const mostKnown = 10_000
/** Identities of a pool with a share of their own; more share what is left. */
const mostSharing = 256
const newcomers = 0.1
/** Answers that tell of the same window may tell its end so differently. */
const slackMs = 1500

export class FairShares {
  readonly name = 'target-limits'
  readonly #clock: Clock
  readonly #pools = new Map<string, Pool>()
  readonly #poolOf = new Map<string, Pool>()
  readonly #admitted = new WeakMap<Action, Admitted>()
  /** Whose an action is that passed before its limit was known. */
  readonly #unknown = new WeakMap<Action, string>()

  #places = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Refuses what would go beyond the identity's share, or beyond what is left. What people approved one by one passes. */
  inspect(action: Action, decision: Decision, { subject, target }: Asker): Decision {
    if (decision.effect !== 'permit') return decision
    const who = subjectKey(subject)
    const pool = this.#poolOf.get(keyOf(target.name, action.operation))
    const now = this.#clock.now()
    if (pool === undefined || !isCurrent(pool, now)) {
      this.#unknown.set(action, who)
      return decision
    }
    const mine = pool.used.get(who) ?? 0
    if (!mayUse(pool, who, now)) {
      const limit = `the target's limit${pool.name === undefined ? '' : ` ${pool.name}`} (${pool.limit})`
      const message =
        pool.left < 1
          ? `${limit} is used up`
          : `${limit} is shared with others, and this identity has used its part (${mine})`
      const retryAfterMs = Math.max(1, pool.resetAt - now)
      return deniedByGuard(decision, { reason: 'target-limit', message, retryAfterMs })
    }
    pool.left--
    pool.inFlight++
    count(pool, who)
    this.#admitted.set(action, { pool, who, used: pool.used, place: ++this.#places, answered: false })
    return decision
  }

  /** Takes in what the answer to an action told. */
  learn(action: Action, { target }: At, told: ToldQuota): void {
    const now = this.#clock.now()
    const own = this.#admitted.get(action)
    this.#answered(own)
    const key = keyOf(target.name, told.name ?? action.operation)
    const resetAt = now + told.resetMs
    const known = this.#pools.get(key)
    const pool = known !== undefined && isCurrent(known, now) ? known : newPool(told, now)
    if (pool === known) {
      const isSame = told.limit === pool.limit && resetAt <= pool.resetAt + slackMs
      const left = Math.max(0, told.remaining - pool.inFlight)
      // Answers come in any order: one that was overtaken raises nothing. Else the target knows best, also where its
      // limit fills up again bit by bit.
      const isLate = own !== undefined && own.place < pool.heard
      pool.left = isSame && isLate ? Math.min(pool.left, left) : left
      pool.heard = Math.max(pool.heard, own?.place ?? 0)
      if (!isSame) {
        pool.limit = told.limit
        pool.resetAt = resetAt
      }
      pool.windowMs = told.windowMs ?? Math.max(pool.windowMs, told.resetMs)
      pool.isTold = true
    }
    const first = this.#unknown.get(action)
    if (first !== undefined) count(pool, first)
    remember(this.#pools, key, pool)
    remember(this.#poolOf, keyOf(target.name, action.operation), pool)
  }

  /** What never left is given back. */
  ended({ action, forwarded }: { readonly action: Action; readonly forwarded: boolean }): void {
    const own = this.#admitted.get(action)
    if (own === undefined) return
    this.#admitted.delete(action)
    this.#answered(own)
    if (forwarded || own.used !== own.pool.used) return
    own.pool.left++
    const mine = own.used.get(own.who)
    if (mine !== undefined) own.used.set(own.who, mine - 1)
  }

  #answered(own: Admitted | undefined): void {
    if (own === undefined || own.answered) return
    own.answered = true
    own.pool.inFlight--
  }
}

function newPool({ name, limit, remaining, resetMs, windowMs = resetMs }: ToldQuota, now: number): Pool {
  return {
    name,
    limit,
    left: remaining,
    windowMs,
    resetAt: now + resetMs,
    inFlight: 0,
    heard: 0,
    used: new Map(),
    seen: new Set(),
    isTold: true,
  }
}

function mayUse(pool: Pool, who: string, now: number): boolean {
  if (pool.left < 1) return false
  const { used, seen, limit } = pool
  const others = seen.size - (seen.has(who) ? 1 : 0)
  const share = Math.max(1, Math.floor((limit * (1 - newcomers)) / (others + 1)))
  const hasOwn = used.has(who) || used.size < mostSharing
  if (hasOwn && (used.get(who) ?? 0) < share) return true
  let owed = Math.ceil(limit * newcomers)
  for (const each of seen) if (each !== who) owed += Math.max(0, share - (used.get(each) ?? 0))
  const ahead = Math.min(1, (pool.resetAt - now) / Math.max(1, pool.windowMs))
  return pool.left > owed * ahead
}

function count({ used, seen }: Pool, who: string): void {
  const mine = used.get(who)
  if (mine === undefined && used.size >= mostSharing) return
  used.set(who, (mine ?? 0) + 1)
  seen.add(who)
}

/**
 * Takes it into the window that is now; its end is a guess until the target tells. False where no answer told of it in
 * the one that is over: the target may have no such limit any more, or the connection shares none.
 */
function isCurrent(pool: Pool, now: number): boolean {
  if (now < pool.resetAt) return true
  if (!pool.isTold) return false
  pool.isTold = false
  pool.seen = new Set(now < pool.resetAt + pool.windowMs ? pool.used.keys() : [])
  pool.used = new Map()
  pool.left = Math.max(0, pool.limit - pool.inFlight)
  pool.resetAt = now + Math.max(1, pool.windowMs)
  return true
}

function remember(map: Map<string, Pool>, key: string, pool: Pool): void {
  map.delete(key)
  map.set(key, pool)
  if (map.size > mostKnown) for (const [oldest] of map) return void map.delete(oldest)
}

function keyOf(connection: string, what: string): string {
  return `${connection}\n${what}`
}
