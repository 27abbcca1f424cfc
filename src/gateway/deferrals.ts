import type { Subject } from '../model/subject.ts'
import type { Denial, PendingApproval } from './exchange.ts'

/** How an approval stands, as its requester may know it. */
export interface Followed {
  readonly approval: Pick<PendingApproval, 'id' | 'state' | 'expiresAt' | 'retryAfterMs'>
  /** Present once it is neither pending nor approved: what the requester is told. */
  readonly denial?: Denial
}

/**
 * Calls that wait for a person and whose clients come back for the answer, and the approvals that they follow. A
 * protocol says what the bytes of a call are; nothing here looks into them.
 */
export interface Deferrals {
  /**
   * Keeps a call for its approval, encrypted and durable when it resolves; the first one kept stays. False: there is
   * no room, and nothing was kept.
   */
  keep(approval: string, call: Buffer): Promise<boolean>
  /** The call as it was kept; undefined where there is none, or none that can be read. */
  find(approval: string): Promise<Buffer | undefined>
  /** Drops the call once its approval is over. No effect before that. */
  release(approval: string): Promise<void>
  /**
   * The approval that this subject asked for on this connection, after at most `ms` of waiting while it is pending;
   * undefined where there is none of theirs.
   */
  follow(
    asked: Asked,
    wait: { readonly ms: number; readonly signal: AbortSignal },
  ): Promise<Followed | undefined>
  /** Its requester wants it no more: it is cancelled where it is open. No effect for anybody else. */
  withdraw(asked: Asked): Promise<void>
}

interface Asked {
  readonly subject: Subject
  readonly connection: string
  readonly approval: string
}
