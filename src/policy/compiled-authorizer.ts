import type { Clock } from '../clock.ts'
import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision } from '../model/decision.ts'
import { type Subject, subjectKey } from '../model/subject.ts'
import type { Authorizer, Demands } from './authorizer.ts'
import { Candidates } from './candidates.ts'
import { decide } from './decide.ts'
import type { Policy } from './policy.ts'
import type { RateLimiter } from './rate-limiter.ts'

export interface AuthorizerOptions {
  readonly clock: Clock
  /** Shared by every policy in turn, so that a reload does not lift limits. */
  readonly limiter: RateLimiter
}

/** The policy in force, fit for the path: candidates are indexed, limits are counted. */
export function createAuthorizer(policy: Policy, { clock, limiter }: AuthorizerOptions): Authorizer {
  const candidates = new Candidates(policy.rules)
  // An action is counted once however often it is judged: it is judged again when an approval is used.
  const counted = new WeakSet<Action>()

  function limit(decision: Decision, subject: Subject, action: Action): Decision {
    const { rateLimits } = decision.obligations
    if (decision.effect === 'deny' || rateLimits.length === 0 || counted.has(action)) return decision
    const now = clock.now()
    const who = subjectKey(subject)
    const keyOf = (rule: string): string => `${rule}\n${who}`
    let [longest, by] = [0, '']
    for (const each of rateLimits) {
      const delay = limiter.delay(keyOf(each.rule), each, now)
      if (delay > longest) [longest, by] = [delay, each.rule]
    }
    if (longest > 0) {
      const { approval: _approval, message: _message, ...rest } = decision
      return { ...rest, effect: 'deny', reason: 'rate-limited', rule: by, retryAfterMs: longest }
    }
    for (const each of rateLimits) limiter.count(keyOf(each.rule), each, now)
    counted.add(action)
    return decision
  }

  return {
    version: policy.version,
    demands(connection: Connection, operation: string): Demands {
      return candidates.demands(connection, operation)
    },
    authorize(subject: Subject, connection: Connection, action: Action): Decision {
      const inquiry = { subject, connection, action, now: clock.now() }
      return limit(decide(policy, candidates.of(connection, action), inquiry), subject, action)
    },
  }
}
