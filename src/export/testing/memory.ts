/** Stores in memory for the tests and the bench of this folder: the real ones are tested where they live. */
import type { Audit, EntryRef } from '../../audit/audit.ts'
import type { EventKind } from '../../audit/events.ts'
import type { Batch, LogStore, StateStore, Versioned } from '../../storage/storage.ts'

export const testOrigin = 'gateway.example.com/test'

/** A log, and the little of the audit that a follower sees of it. */
export class MemoryLog implements LogStore, Pick<Audit, 'origin' | 'note' | 'onGrowth'> {
  readonly origin = testOrigin
  readonly entries: Buffer[] = []
  readonly notes: { readonly kind: EventKind; readonly attributes: Readonly<Record<string, unknown>> }[] = []
  readonly #listeners = new Set<(size: number) => void>()
  /** Most entries that one `read` gave. */
  largestRead = 0

  get size(): number {
    return this.entries.length
  }

  async append(batch: Batch): Promise<void> {
    this.entries.push(...batch.entries)
    for (const listener of this.#listeners) listener(this.size)
  }

  async read(start: number, limit: number): Promise<Buffer[]> {
    const read = this.entries.slice(start, start + limit)
    this.largestRead = Math.max(this.largestRead, read.length)
    return read
  }

  async note(kind: EventKind, attributes: Readonly<Record<string, unknown>>): Promise<EntryRef> {
    this.notes.push({ kind, attributes })
    const index = this.size
    await this.write(kind, attributes)
    return { index, id: `${this.origin}/${index}` }
  }

  /** One entry of a kind; key order does not matter to what is tested with it. */
  write(kind: EventKind, attributes: Readonly<Record<string, unknown>> = {}): Promise<void> {
    return this.append({ start: this.size, entries: [this.entry(this.size, kind, attributes)], blobs: [] })
  }

  /** `count` actions in one batch. */
  grow(count: number, attributes: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const start = this.size
    const entries = Array.from({ length: count }, (_, i) =>
      this.entry(start + i, 'action.completed', attributes),
    )
    return this.append({ start, entries, blobs: [] })
  }

  entry(seq: number, kind: EventKind, attributes: Readonly<Record<string, unknown>>): Buffer {
    const time = new Date().toISOString().replace('Z', '000Z')
    return Buffer.from(
      JSON.stringify({ ...attributes, kind, log: this.origin, seq: String(seq), time, v: 1 }),
    )
  }

  onGrowth(listener: (size: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readBlob(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  writeBlob(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** What a state store promises, in a map; it outlives the followers that a test starts one after the other. */
export class MemoryState implements StateStore {
  readonly #values = new Map<string, { readonly json: string; readonly version: number }>()
  /** Called before each put; may throw, or hold it up. */
  beforePut: (space: string, key: string) => Promise<void> | void = () => undefined

  async get<T>(space: string, key: string): Promise<Versioned<T> | undefined> {
    const found = this.#values.get(`${space}\0${key}`)
    return found && { value: JSON.parse(found.json) as T, version: found.version }
  }

  // oxlint-disable-next-line max-params -- the interface's own
  async put<T>(space: string, key: string, value: T, expected: number): Promise<boolean> {
    await this.beforePut(space, key)
    const found = this.#values.get(`${space}\0${key}`)
    if ((found?.version ?? 0) !== expected) return false
    this.#values.set(`${space}\0${key}`, { json: JSON.stringify(value), version: expected + 1 })
    return true
  }

  async delete(space: string, key: string): Promise<void> {
    this.#values.delete(`${space}\0${key}`)
  }

  async list<T>(
    space: string,
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Promise<(Versioned<T> & { readonly key: string })[]> {
    const { prefix = '', after = '', limit = Infinity } = options
    return [...this.#values.keys()]
      .filter(full => full.startsWith(`${space}\0${prefix}`))
      .map(full => full.slice(space.length + 1))
      .filter(key => key > after)
      .toSorted()
      .slice(0, limit)
      .map(key => {
        const { json, version } = this.#values.get(`${space}\0${key}`)!
        return { key, value: JSON.parse(json) as T, version }
      })
  }
}
