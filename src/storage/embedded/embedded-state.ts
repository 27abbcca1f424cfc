import type { StateStore, Versioned } from '../storage.ts'
import { type Caller, startCaller } from './worker-call.ts'

const largestValue = 1024 * 1024

interface Row {
  readonly key: string
  readonly value: string
  readonly version: number
}

/** Small state in SQLite, asked for in a thread of its own. */
export class EmbeddedState implements StateStore {
  readonly #caller: Caller

  private constructor(caller: Caller) {
    this.#caller = caller
  }

  /** Throws StorageFaultError where the file is not sound. */
  static async open(path: string): Promise<EmbeddedState> {
    const caller = startCaller(new URL('./state-worker.ts', import.meta.url), { path })
    await caller.call('open', undefined)
    return new EmbeddedState(caller)
  }

  async get<T>(space: string, key: string): Promise<Versioned<T> | undefined> {
    const row = await this.#caller.call<Row | undefined>('get', { space, key })
    return row && { value: JSON.parse(row.value) as T, version: row.version }
  }

  async put<T>(space: string, key: string, ...change: [value: T, expected: number]): Promise<boolean> {
    const [value, expected] = change
    const json = JSON.stringify(value)
    if (json === undefined || Buffer.byteLength(json) > largestValue) {
      throw new TypeError('a state value must be JSON of at most 1 MiB')
    }
    return this.#caller.call('put', { space, key, value: json, expected })
  }

  async delete(space: string, key: string): Promise<void> {
    await this.#caller.call('delete', { space, key })
  }

  async list<T>(
    space: string,
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Promise<(Versioned<T> & { readonly key: string })[]> {
    const { prefix = '', after = '', limit = -1 } = options
    const rows = await this.#caller.call<Row[]>('list', { space, prefix, after, limit })
    return rows.map(({ key, value, version }) => ({ key, value: JSON.parse(value) as T, version }))
  }

  async close(): Promise<void> {
    await this.#caller.call('close', undefined).catch(() => undefined)
    await this.#caller.end()
  }
}
