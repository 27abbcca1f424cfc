import type { ClientFacts, SessionFacts } from '../audit/audit.ts'
import type { Connection } from '../model/connection.ts'
import type { Subject } from '../model/subject.ts'
import type { Exchange } from './exchange.ts'

/** One client's stay on one connection, opened once; a replayable whole. */
export interface Session extends SessionFacts {
  readonly subject: Subject
  readonly target: Connection
  /** Counts for `session.ended`. */
  readonly totals: SessionTotals
  /** The exchanges under way, so that a session ended by force takes them with it. */
  readonly running: Set<Exchange>
}

export interface SessionTotals {
  actions: number
  denied: number
  failed: number
  masked: number
  bytesIn: number
  bytesOut: number
}

/**
 * The open sessions. For protocols without a session of their own (HTTP), one identity on one connection from one
 * client shares a session until it has been idle for the configured time.
 */
export interface Sessions {
  /** The running session of this identity, connection and client, or a new one (its `session.started` is durable). */
  resume(subject: Subject, target: Connection, client: ClientFacts): Session | Promise<Session>
  /** A session of its own, for protocols that have them. */
  open(subject: Subject, target: Connection, client: ClientFacts): Promise<Session>
  close(session: Session, reason: string): Promise<void>
  /** Calls back when a session has ended, whatever ended it: a protocol with a wire of its own then hangs up. Returns how to stop listening. */
  onEnd?(listener: (session: Session) => void): () => void
}
