/**
 * The prepared statements, portals and cursors of one session, as the server has them. What a message or statement
 * would change is seen at once by what follows it (`pending`), and kept only once the server has confirmed it: should
 * the two ever differ, the gateway would judge one statement and the server run another.
 */
import type { Judgement } from './judge.ts'
import type { BindMessage, Column } from './messages.ts'
import type { RowCount } from './row-limit.ts'

export interface Prepared {
  readonly judgement: Judgement
  /** Types of the parameters as the client gave them. */
  readonly types: readonly number[]
  /** Columns of its result, once described; formats are not known there. */
  columns?: readonly Column[]
  /** `of` in the formats that the last execution asked for, these joined. */
  bound?: { readonly of: readonly Column[]; readonly formats: string; readonly columns: readonly Column[] }
}

export interface Portal {
  readonly prepared: Prepared
  readonly bind: BindMessage
  /** Rows that the client has had of it. */
  readonly passed: RowCount
  /** Its result's columns with their formats, once described. */
  columns?: readonly Column[]
}

/** More of them than any client needs, and few enough to be bounded (P12). */
const most = 10_000

export class Statements {
  readonly #prepared = new Map<string, Prepared>()
  readonly #cursors = new Map<string, Judgement>()
  #portals = new Map<string, Portal>()
  #pending = new Map<string, Prepared>()
  #pendingPortals = new Map<string, Portal>()

  /** True when no more can be remembered. */
  get full(): boolean {
    return this.#prepared.size + this.#pending.size + this.#portals.size + this.#cursors.size >= most
  }

  prepared(name: string): Prepared | undefined {
    return this.#pending.get(name) ?? this.#prepared.get(name)
  }

  /** A statement that was sent for preparation. A name that is taken stays what it is: the server refuses the second. */
  prepare(name: string, prepared: Prepared): void {
    if (name === '' || !this.#prepared.has(name)) this.#pending.set(name, prepared)
  }

  /** The server has it. */
  confirm(name: string): void {
    const found = this.#pending.get(name)
    if (found === undefined) return
    this.#pending.delete(name)
    this.#prepared.set(name, found)
  }

  /** The batch has failed: what is not confirmed is not there. */
  forgetPending(): void {
    this.#pending = new Map()
    this.#pendingPortals = new Map()
  }

  /** Undefined: all of them. */
  deallocate(name: string | undefined): void {
    if (name === undefined) this.#prepared.clear()
    else this.#prepared.delete(name)
    if (name === undefined) this.#pending.clear()
    else this.#pending.delete(name)
  }

  /** A portal that was sent. Until the server confirms it, one of that name may still be another. */
  bind(portal: Portal): void {
    this.#pendingPortals.set(portal.bind.portal, portal)
  }

  confirmPortal(portal: Portal): void {
    this.#pendingPortals.delete(portal.bind.portal)
    this.#portals.set(portal.bind.portal, portal)
    // Cursors and portals share their names: what was called so before has gone.
    this.#cursors.delete(portal.bind.portal)
  }

  portal(name: string): Portal | undefined {
    return this.#pendingPortals.get(name) ?? this.#portals.get(name)
  }

  closePortal(name: string): void {
    this.#portals.delete(name)
    this.#pendingPortals.delete(name)
    this.#cursors.delete(name)
  }

  /** A transaction has ended, and with it the portals; cursors WITH HOLD may live on. */
  endTransaction(): void {
    if (this.#portals.size > 0) this.#portals = new Map()
  }

  declare(name: string, judgement: Judgement): void {
    this.#cursors.set(name, judgement)
    this.#portals.delete(name)
  }

  /** What a cursor or portal of this name gives. */
  cursor(name: string): Judgement | undefined {
    return this.portal(name)?.prepared.judgement ?? this.#cursors.get(name)
  }

  closeCursors(): void {
    this.#cursors.clear()
  }
}
