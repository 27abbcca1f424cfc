import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'

/** What must be read of an action before it can be judged. */
export interface Demands {
  /** A rule for this connection reads the body, or may ask a person (approvals bind to the body's bytes). */
  readonly body: boolean
  /** A rule for this connection selects by what is acted on. */
  readonly resources: boolean
}

/**
 * The policy in force. Pure and synchronous: the same question gets the same answer until the policy changes.
 * Never throws for an action it cannot judge: a condition that fails to evaluate makes a deny rule match and an
 * allow rule not match, with the reason `condition-error` (P6).
 */
export interface Authorizer {
  /** SHA-256 of the policy's canonical form. */
  readonly version: string
  demands(connection: Connection, operation: string): Demands
  authorize(subject: Subject, connection: Connection, action: Action): Decision
  /** What `authorize` would say, limits on rate and budgets aside: nothing is counted. */
  foresee(subject: Subject, connection: Connection, action: Action): Decision
}
