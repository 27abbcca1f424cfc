import type { Clock } from '../clock.ts'
import type { StateStore } from '../storage/storage.ts'
import type { LogRecord } from './record.ts'

const space = 'export-cursor'

interface Kept {
  readonly sink: string
  readonly origin: string
  readonly next: number
  /** Leaf hash of entry `next - 1`, hex; absent at a start that shipped nothing. */
  readonly leaf?: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/**
 * How far a sink has acknowledged one log: every entry below `next` is at the far end. Durable; never ahead of the
 * truth, so that a crash sends again and never skips.
 */
export class Cursor {
  readonly #state: StateStore
  readonly #clock: Clock
  readonly #kept: { readonly sink: string; readonly origin: string }
  readonly #key: string
  #version = 0
  #next = 0
  #leaf: string | undefined

  constructor(state: StateStore, clock: Clock, of: { readonly sink: string; readonly origin: string }) {
    this.#state = state
    this.#clock = clock
    this.#kept = of
    this.#key = `${of.sink}@${of.origin}`
  }

  get next(): number {
    return this.#next
  }

  /** Leaf hash of the last entry that was shipped, by which a log that was cut or exchanged is noticed. */
  get leaf(): string | undefined {
    return this.#leaf
  }

  /** Reads the durable position; a sink seen for the first time starts at `first`, durably. */
  async load(first: number): Promise<void> {
    const found = await this.#state.get<Kept>(space, this.#key)
    if (found === undefined) {
      this.#next = first
      if (first > 0) await this.#put(first)
      return
    }
    this.#version = found.version
    this.#next = found.value.next
    this.#leaf = found.value.leaf
  }

  /**
   * Moves past `last`; durable when it resolves. Where another process moved the cursor meanwhile, the stored
   * position is taken over: whoever moved it has sent what lies before it.
   */
  async advance(last: LogRecord): Promise<void> {
    const next = last.index + 1
    if (next <= this.#next) return
    const leaf = last.leafHash
    if (!(await this.#put(next, leaf))) return this.load(0)
    this.#next = next
    this.#leaf = leaf
  }

  async #put(next: number, leaf?: string): Promise<boolean> {
    const value: Kept = {
      ...this.#kept,
      next,
      at: this.#clock.now(),
      ...(leaf === undefined ? {} : { leaf }),
    }
    const kept = await this.#state.put(space, this.#key, value, this.#version)
    if (kept) this.#version++
    return kept
  }
}
