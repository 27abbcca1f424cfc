/**
 * Small durable records whose every change is an entry in the log (P10). A change is a compare-and-swap on the stored
 * record, so of two racing changes one wins and the other is judged against what won. A record is stored together with
 * the entries that the change owes; they are paid before anyone hears of the change, and one that a crash or a fault
 * kept from being written is written before the next change, or at the next start.
 */
import type { Audit } from './audit.ts'
import type { EventKind } from './events.ts'
import { GatewayError } from '../errors.ts'
import type { StateStore, Versioned } from '../storage/storage.ts'

export type Facts = Readonly<Record<string, unknown>>

export interface Change<T> {
  readonly next: T
  /** The entries that tell of it, in order. None: the change is not one, and `next` is what there is. */
  readonly kinds: readonly EventKind[]
  readonly facts?: Facts
}

/** Finds out whether an entry is in the log already, so that one that was written before a crash is not repeated. */
export type FindEntry = (of: {
  readonly id: string
  readonly kind: EventKind
  readonly revision: number
}) => Promise<boolean>

export interface RecordsParts<T> {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  /** Name in the state store. */
  readonly space: string
  /** What every entry about a record says of it; `revision` is added. */
  readonly entry: (record: T) => Facts
  /** Told of each change once its entries are durable. */
  readonly changed: (record: T) => void
  readonly findEntry?: FindEntry
}

interface Row<T> {
  readonly record: T
  readonly owed: readonly EventKind[]
  readonly facts?: Facts
}

const pageSize = 100

export class Records<T extends { readonly id: string }> {
  readonly #parts: RecordsParts<T>
  readonly #turns = new Map<string, Promise<void>>()

  constructor(parts: RecordsParts<T>) {
    this.#parts = parts
  }

  /** Durable, and an entry, when it resolves. */
  async create(record: T, kinds: readonly EventKind[], facts?: Facts): Promise<T> {
    const { state, space } = this.#parts
    return await this.inTurn(record.id, async () => {
      const value: Row<T> = { record, owed: kinds, ...(facts === undefined ? {} : { facts }) }
      if (!(await state.put(space, record.id, value, 0))) throw new GatewayError('conflict')
      return await this.#pay({ value, version: 1 }, 'fresh')
    })
  }

  /** As stored: a change whose entries could not be written yet shows, and nothing can be done with it before they are. */
  async get(id: string): Promise<T | undefined> {
    return (await this.#parts.state.get<Row<T>>(this.#parts.space, id))?.value.record
  }

  /**
   * Changes one record. `decide` sees the newest state, may be called again when another node was faster, and throws to
   * change nothing. Undefined when there is no such record.
   */
  async change(id: string, decide: (current: T) => Change<T>): Promise<T | undefined> {
    const { state, space } = this.#parts
    return await this.inTurn(id, async () => {
      for (;;) {
        let stored = await state.get<Row<T>>(space, id)
        if (stored === undefined) return undefined
        // An earlier change whose entry could not be written goes first: no change hides another.
        if (stored.value.owed.length > 0) {
          await this.#pay(stored, 'late')
          stored = { value: { record: stored.value.record, owed: [] }, version: stored.version + 1 }
        }
        const { next, kinds, facts } = decide(stored.value.record)
        if (kinds.length === 0) return next
        const value: Row<T> = { record: next, owed: kinds, ...(facts === undefined ? {} : { facts }) }
        if (!(await state.put(space, id, value, stored.version))) continue
        return await this.#pay({ value, version: stored.version + 1 }, 'fresh')
      }
    })
  }

  /** Every record from the oldest on, what it owes paid. `after` is an id, exclusive. */
  async *all(after?: string): AsyncGenerator<T, void, undefined> {
    for await (const { key, value } of this.#pages(after)) {
      if (value.owed.length > 0) await this.change(key, current => ({ next: current, kinds: [] }))
      yield value.record
    }
  }

  async delete(id: string): Promise<void> {
    await this.#parts.state.delete(this.#parts.space, id)
  }

  /** Runs work after whatever runs under this key in this process. */
  async inTurn<R>(key: string, work: () => Promise<R>): Promise<R> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work)
    const over = turn.then(
      () => undefined,
      () => undefined,
    )
    this.#turns.set(key, over)
    try {
      return await turn
    } finally {
      if (this.#turns.get(key) === over) this.#turns.delete(key)
    }
  }

  async *#pages(after: string | undefined): AsyncGenerator<Versioned<Row<T>> & { readonly key: string }> {
    const { state, space } = this.#parts
    for (let from = after; ; ) {
      const page = await state.list<Row<T>>(space, {
        limit: pageSize,
        ...(from === undefined ? {} : { after: from }),
      })
      yield* page
      if (page.length < pageSize) return
      from = page.at(-1)!.key
    }
  }

  /** Writes the entries that a stored record owes, then says so. */
  async #pay({ value, version }: Versioned<Row<T>>, when: 'fresh' | 'late'): Promise<T> {
    const { state, space, audit, entry, changed, findEntry } = this.#parts
    const { record, owed, facts } = value
    for (const kind of owed) {
      const known = when === 'late' && findEntry !== undefined
      if (known && (await findEntry({ id: record.id, kind, revision: version }))) continue
      await audit.note(kind, { ...entry(record), ...facts, revision: version })
    }
    if (!(await state.put(space, record.id, { record, owed: [] }, version))) {
      throw new GatewayError('conflict', { detail: 'another node changed it' })
    }
    changed(record)
    return record
  }
}
