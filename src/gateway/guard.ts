import type { Action } from '../model/action.ts'
import type { Decision, Effect } from '../model/decision.ts'
import type { Guarded } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

const gravity: Record<Effect, number> = { permit: 0, ask: 1, deny: 2 }

/**
 * Shows the action's content to each guard. A guard can make a decision graver, never milder: what policy denied
 * stays denied whatever a guard says.
 */
export function guard(
  gateway: Gateway,
  session: Session,
  of: { readonly decision: Decision; readonly action: Action },
): Guarded {
  let current = of.decision
  for (const each of gateway.guards) {
    const next = each.inspect(of.action, current, session)
    if (gravity[next.effect] >= gravity[current.effect]) current = next
  }
  return { decision: current } as Guarded
}
