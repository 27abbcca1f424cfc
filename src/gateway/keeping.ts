import type { Subject } from '../model/subject.ts'

/** Whose it is: what one identity keeps on one connection is there for nobody else, and nowhere else. */
export interface Owner {
  readonly subject: Subject
  readonly connection: string
}

/**
 * What an identity comes back for in a later request: bytes that only the protocol which keeps them understands.
 * Encrypted, bound to their owner, bounded for each owner and in all, and gone after their time.
 */
export interface Keeping {
  /**
   * Keeps it, in the place of what is kept under this id, until `until` (milliseconds since the epoch); durable when it
   * resolves. False: there is no room, and what was there stays. One `put` of an id at a time.
   */
  put(owner: Owner, id: string, kept: { readonly value: Buffer; readonly until: number }): Promise<boolean>
  /** Undefined where there is none of this owner's, or its time is over. */
  get(owner: Owner, id: string): Promise<Buffer | undefined>
}
