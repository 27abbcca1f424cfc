/** How restrictions hold on the path: at every action of every protocol, and for what is already under way. */
import type { Clock } from '../clock.ts'
import type { Action } from '../model/action.ts'
import { type Decision, deniedByGuard } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { RateLimiter } from '../policy/rate-limiter.ts'
import type { Restriction, Restrictions } from './restrictions.ts'

/** A session as far as this goes. */
interface Held {
  readonly id: string
  readonly subject: Subject
}

export interface RestrictionGuardParts<S extends Held> {
  readonly restrictions: Restrictions
  readonly sessions: { list(): readonly S[]; kill(session: S, reason: string): Promise<void> }
  readonly clock: Clock
}

const slowWindowMs = 60_000

/**
 * A guard, and an observer of what ends. When an identity is suspended its sessions end at once, with what runs in
 * them; the session whose own action brought it about ends as soon as that action has had its answer.
 */
export function createRestrictionGuard<S extends Held>(parts: RestrictionGuardParts<S>) {
  const { restrictions, sessions, clock } = parts
  const limiter = new RateLimiter({ keys: 10_000 })
  const ending = new Set<string>()

  restrictions.onImposed(({ kind }, sparing) => {
    if (kind !== 'suspend') return
    for (const session of sessions.list()) {
      if (restrictions.suspension(session.subject) === undefined) continue
      if (session.id === sparing) ending.add(session.id)
      else void sessions.kill(session, 'suspended').catch(() => undefined)
    }
  })

  function slowed(decision: Decision, { id, limit: most = 1 }: Restriction): Decision {
    const now = clock.now()
    const limit = { limit: most, windowMs: slowWindowMs }
    const retryAfterMs = limiter.delay(id, limit, now)
    if (retryAfterMs === 0) {
      limiter.count(id, limit, now)
      return decision
    }
    const message = `Unusual activity: this identity is slowed down to ${most} actions a minute (${id})`
    return deniedByGuard(decision, { reason: 'slowed-down', message, retryAfterMs })
  }

  return {
    name: 'restrictions',
    inspect(_action: Action, decision: Decision, session: Held): Decision {
      const held = restrictions.of(session.subject)
      if (held.length === 0 || decision.effect === 'deny') return decision
      const suspended = held.find(({ kind }) => kind === 'suspend')
      if (suspended !== undefined) {
        const message = `This identity is suspended until a person clears it (${suspended.id})`
        return deniedByGuard(decision, { reason: 'identity-suspended', message })
      }
      const slow = held.find(({ kind }) => kind === 'slow')
      const next = slow === undefined ? decision : slowed(decision, slow)
      const ask = held.find(({ kind }) => kind === 'ask')?.terms
      if (next.effect !== 'permit' || ask === undefined) return next
      return { ...next, effect: 'ask', reason: 'unusual-activity', approval: ask }
    },
    ended({ session }: { readonly session: S }): void {
      if (!ending.delete(session.id)) return
      const open = sessions.list().find(({ id }) => id === session.id)
      if (open !== undefined) void sessions.kill(open, 'suspended').catch(() => undefined)
    },
  }
}
