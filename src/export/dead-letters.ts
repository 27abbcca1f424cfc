import type { StateStore } from '../storage/storage.ts'

const space = 'dead-letter'

/** An entry that a sink would not take. The entry itself is in the log; this says where and why. */
export interface DeadLetter {
  readonly sink: string
  readonly origin: string
  /** Leaf index. */
  readonly index: number
  /** `<origin>/<index>`. */
  readonly id: string
  /** RFC 6962 leaf hash, hex. */
  readonly leaf_hash: string
  readonly kind: string
  readonly reason: string
  /** ISO 8601. */
  readonly at: string
}

/** The dead letters of all sinks, durable, in log order per sink. A letter goes only when it was sent after all. */
export class DeadLetters {
  readonly #state: StateStore

  constructor(state: StateStore) {
    this.#state = state
  }

  /** Returns false when it was there already. */
  put(letter: DeadLetter): Promise<boolean> {
    return this.#state.put(space, keyOf(letter), letter, 0)
  }

  async has(of: Pick<DeadLetter, 'sink' | 'origin' | 'index'>): Promise<boolean> {
    return (await this.#state.get(space, keyOf(of))) !== undefined
  }

  async get(of: Pick<DeadLetter, 'sink' | 'origin' | 'index'>): Promise<DeadLetter | undefined> {
    return (await this.#state.get<DeadLetter>(space, keyOf(of)))?.value
  }

  /** At most `limit` (100) letters; `after` is the `next` of the page before. */
  async list(
    sink: string,
    page: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }> {
    const limit = page.limit ?? 100
    const found = await this.#state.list<DeadLetter>(space, {
      prefix: `${sink}/`,
      limit,
      ...(page.after === undefined ? {} : { after: page.after }),
    })
    const last = found.at(-1)
    return {
      letters: found.map(each => each.value),
      ...(found.length === limit && last !== undefined ? { next: last.key } : {}),
    }
  }

  delete(of: Pick<DeadLetter, 'sink' | 'origin' | 'index'>): Promise<void> {
    return this.#state.delete(space, keyOf(of))
  }
}

/** Indexes are padded so that key order is log order. */
function keyOf(of: Pick<DeadLetter, 'sink' | 'origin' | 'index'>): string {
  return `${of.sink}/${of.origin}/${String(of.index).padStart(16, '0')}`
}
