import type { Action } from '../model/action.ts'
import type { Outcome } from './meter.ts'
import type { Session } from './session.ts'

/** One action after its end. */
export interface Ended {
  readonly session: Session
  readonly action: Action
  readonly outcome: Outcome
  /** Whether a byte of it may have reached the upstream. */
  readonly forwarded: boolean
  /** What passed, also of an action that failed midway. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Records that the answer held, where its protocol counts them; else 0. */
  readonly rows: number
}

/** Learns how actions end. Never throws and never waits; the action's terminal entry is durable by then, or can't be. */
export interface Observer {
  ended(of: Ended): void
}
