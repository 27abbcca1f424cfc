import type { Clock } from '../clock.ts'
import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision } from '../model/decision.ts'
import type { RateLimitTerms } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import type { Authorizer, Demands } from './authorizer.ts'
import type { Budgets } from './budgets.ts'
import { Candidates } from './candidates.ts'
import { countedBy } from './counted-by.ts'
import { decide, type Inquiry } from './decide.ts'
import type { Policy } from './policy.ts'
import type { RateLimiter } from './rate-limiter.ts'

export interface AuthorizerOptions {
  readonly clock: Clock
  /** Shared by every policy in turn, so that a reload does not lift limits. */
  readonly limiter: RateLimiter
  /** Likewise shared. Absent: rules with budgets deny. */
  readonly budgets?: Budgets
}

/** The policy in force, fit for the path: candidates are indexed, limits and budgets are counted. */
export function createAuthorizer(policy: Policy, options: AuthorizerOptions): Authorizer {
  const { clock, limiter, budgets } = options
  const candidates = new Candidates(policy.rules)
  // An action is counted once however often it is judged: it is judged again when an approval is used.
  const counted = new WeakSet<Action>()

  function limit(decision: Decision, inquiry: Inquiry): Decision {
    const { action, now } = inquiry
    const { rateLimits, budgets: terms = [] } = decision.obligations
    if (decision.effect === 'deny' || counted.has(action)) return decision
    if (rateLimits.length === 0 && terms.length === 0) return decision
    const keyOf = ({ rule, by }: RateLimitTerms): string => `${rule}\n${countedBy(by, inquiry)}`
    let [longest, rule] = [0, '']
    for (const each of rateLimits) {
      const delay = limiter.delay(keyOf(each), each, now)
      if (delay > longest) [longest, rule] = [delay, each.rule]
    }
    if (longest > 0) return refused(decision, { reason: 'rate-limited', rule, retryAfterMs: longest })
    // Last, since it counts where it lets pass: an action that another limit refuses uses nothing up.
    if (terms.length > 0) {
      const [first] = terms
      const over =
        budgets === undefined ? { over: first!, retryAfterMs: 60_000 } : budgets.admit(inquiry, terms)
      if (over !== undefined) {
        const { retryAfterMs } = over
        return refused(decision, { reason: 'budget-exhausted', rule: over.over.rule, retryAfterMs })
      }
    }
    for (const each of rateLimits) limiter.count(keyOf(each), each, now)
    counted.add(action)
    return decision
  }

  return {
    version: policy.version,
    demands(connection: Connection, operation: string): Demands {
      return candidates.demands(connection, operation)
    },
    foresee(subject: Subject, connection: Connection, action: Action): Decision {
      return decide(policy, candidates.of(connection, action), {
        subject,
        connection,
        action,
        now: clock.now(),
      })
    },
    authorize(subject: Subject, connection: Connection, action: Action): Decision {
      const inquiry = { subject, connection, action, now: clock.now() }
      return limit(decide(policy, candidates.of(connection, action), inquiry), inquiry)
    },
  }
}

function refused(
  decision: Decision,
  by: { readonly reason: string; readonly rule: string; readonly retryAfterMs: number },
): Decision {
  const { approval: _approval, message: _message, ...rest } = decision
  return { ...rest, effect: 'deny', ...by }
}
