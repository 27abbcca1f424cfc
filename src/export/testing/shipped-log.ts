/** A log and a state in memory for the tests and the bench of this folder, with what a follower sees of the audit. */
import type { Audit, EntryRef } from '../../audit/audit.ts'
import type { EventKind } from '../../audit/events.ts'
import { MemoryLog } from '../../storage/memory/memory-log.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'

export const testOrigin = 'gateway.example.com/test'

type Attributes = Readonly<Record<string, unknown>>

export class ShippedLog extends MemoryLog implements Pick<Audit, 'origin' | 'note' | 'onGrowth'> {
  readonly origin = testOrigin
  /** Every fact that was told. */
  readonly notes: { readonly kind: EventKind; readonly attributes: Attributes }[] = []
  /** Called before each read; may throw. */
  beforeRead: () => void = () => undefined
  readonly #listeners = new Set<(size: number) => void>()
  #last: Promise<unknown> = Promise.resolve()

  async note(kind: EventKind, attributes: Attributes): Promise<EntryRef> {
    this.notes.push({ kind, attributes })
    const index = await this.write(kind, attributes)
    return { index, id: `${this.origin}/${index}` }
  }

  /** Appends one entry of a kind and gives its index. */
  write(kind: EventKind, attributes: Attributes = {}): Promise<number> {
    return this.#put(start => [entryOf(start, kind, attributes)])
  }

  /** Appends so many actions in one batch. */
  grow(count: number, attributes: Attributes = {}): Promise<number> {
    return this.#put(start =>
      Array.from({ length: count }, (_, i) => entryOf(start + i, 'action.completed', attributes)),
    )
  }

  /** Appends these very bytes. */
  writeBytes(bytes: Buffer): Promise<number> {
    return this.#put(() => [bytes])
  }

  override read(start: number, limit: number): Promise<Buffer[]> {
    this.beforeRead()
    return super.read(start, limit)
  }

  onGrowth(listener: (size: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #put(make: (start: number) => Buffer[]): Promise<number> {
    const done = this.#last.then(async () => {
      const start = this.size
      await this.append({ start, entries: make(start), blobs: [] })
      for (const listener of this.#listeners) listener(this.size)
      return start
    })
    this.#last = done
    return done
  }
}

function entryOf(seq: number, kind: EventKind, attributes: Attributes): Buffer {
  const time = new Date().toISOString().replace('Z', '000Z')
  return Buffer.from(JSON.stringify({ ...attributes, kind, log: testOrigin, seq: String(seq), time, v: 1 }))
}

/** A state whose puts a test can fail, before or after they took effect. */
export class ShippedState extends MemoryState {
  beforePut: (space: string) => Promise<void> | void = () => undefined
  afterPut: (space: string) => Promise<void> | void = () => undefined

  // oxlint-disable-next-line max-params -- the interface's own
  override async put<T>(space: string, key: string, value: T, expected: number): Promise<boolean> {
    await this.beforePut(space)
    const kept = await super.put(space, key, value, expected)
    await this.afterPut(space)
    return kept
  }
}
