import type { OpenAction } from '../audit/audit.ts'
import type { Action } from '../model/action.ts'
import type { Decision } from '../model/decision.ts'
import type { Cleared, Denial, Exchange, Guarded, Verdict } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

/**
 * Turns a guarded decision into a verdict, asking people where the policy says so. The only maker of a Cleared
 * action.
 */
export async function approve(
  gateway: Gateway,
  session: Session,
  asked: { readonly guarded: Guarded; readonly exchange: Exchange; readonly entry: OpenAction },
): Promise<Verdict> {
  const { decision } = asked.guarded
  const { action } = asked.exchange
  const together = asked.exchange.decided?.(decision.effect)
  switch (decision.effect) {
    case 'permit':
      asked.entry.decided(decision)
      return clear(action, decision)
    case 'deny':
      asked.entry.decided(decision)
      return { effect: 'deny', denial: denialOf(decision) }
    case 'ask': {
      // Should the step fail, the entry still says what was decided.
      asked.entry.decided(decision)
      await together
      const settled = await gateway.approvals.settle(session, asked.exchange, decision)
      asked.entry.decided(decision, settled.facts)
      if (!settled.granted) return { effect: 'deny', denial: settled.denial }
      const { unused } = settled
      return { ...clear(action, decision), ...(unused === undefined ? {} : { unused }) }
    }
  }
}

function clear(action: Action, decision: Decision): Extract<Verdict, { effect: 'permit' }> {
  return { effect: 'permit', action: { action, obligations: decision.obligations } as Cleared }
}

function denialOf(decision: Decision): Denial {
  return {
    reason: decision.reason,
    ...(decision.rule === undefined ? {} : { rule: decision.rule }),
    ...(decision.message === undefined ? {} : { message: decision.message }),
    ...(decision.scopes === undefined ? {} : { scopes: decision.scopes }),
    ...(decision.retryAfterMs === undefined ? {} : { retryAfterMs: decision.retryAfterMs }),
  }
}
