import type { Action } from '../model/action.ts'
import type { Decision } from '../model/decision.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

/** May this subject do this on this connection? A pure question to the policy in force. */
export function authorize(gateway: Gateway, session: Session, action: Action): Decision {
  return gateway.policy.authorize(session.subject, session.target, action)
}
