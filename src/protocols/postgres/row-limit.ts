/**
 * A policy's limit of rows, held over one result: what is beyond it is dropped, or ends the statement. The count is the
 * portal's where there is one, since a client may fetch a result in pieces.
 */
import { GatewayError } from '../../errors.ts'
import type { RowLimit } from '../../model/decision.ts'
import { cstring, message } from './codec.ts'
import { noticeResponse } from './messages.ts'

/** Rows of a result that have reached the client. */
export interface RowCount {
  rows: number
}

/** After so many dropped rows it is worth asking the server to stop. */
const worthStopping = 1000

export class RowLimiter {
  readonly #limit: RowLimit
  readonly #count: RowCount
  readonly #refuses: boolean
  /** Rows of this answer that the client did not get. */
  dropped = 0

  /** `changes`: the statement has changed something by the time rows come, so that an error would be a lie. */
  constructor(limit: RowLimit, count: RowCount, changes: boolean) {
    this.#limit = limit
    this.#count = count
    this.#refuses = limit.beyond === 'refuse' && !changes
  }

  get rows(): number {
    return this.#limit.rows
  }

  /** Whether one more row may pass. Throws `too-many-rows` where policy says so. */
  admit(): boolean {
    if (this.#count.rows < this.#limit.rows) {
      this.#count.rows++
      return true
    }
    if (this.#refuses)
      throw new GatewayError('too-many-rows', {
        detail: `the result has more than ${this.#limit.rows} rows, which is what rule "${this.#limit.rule}" lets pass`,
      })
    this.dropped++
    return false
  }

  /** True once: the server should be asked to stop. */
  get worthStopping(): boolean {
    return this.dropped === worthStopping
  }

  notice(): Buffer {
    return noticeResponse({
      severity: 'WARNING',
      code: '01000',
      message: `the result was cut at ${this.#limit.rows} rows by policy`,
      hint: `rule "${this.#limit.rule}".`,
    })
  }

  /** The end of a result that was cut: as if it had had no more rows. */
  end(type: string, tag: string, passed: number): { readonly bytes: Buffer; readonly tag: string } {
    const own = type === 'C' ? tag : 'SELECT 0'
    const cut = /^(?:SELECT|FETCH|COPY|MOVE) \d+$/.test(own) ? own.replace(/\d+$/, String(passed)) : own
    return { bytes: message('C', cstring(cut)), tag: cut }
  }
}
