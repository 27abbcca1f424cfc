import type { StateStore, Versioned } from '../storage.ts'

/** State in memory. Values pass through JSON, so that what a test reads is what a disk would give back. */
export class MemoryState implements StateStore {
  readonly #spaces = new Map<string, Map<string, { json: string; version: number }>>()

  async get<T>(space: string, key: string): Promise<Versioned<T> | undefined> {
    const found = this.#spaces.get(space)?.get(key)
    return found && { value: JSON.parse(found.json) as T, version: found.version }
  }

  async put<T>(space: string, key: string, ...change: [value: T, expected: number]): Promise<boolean> {
    const [value, expected] = change
    const json = JSON.stringify(value)
    if (json === undefined || Buffer.byteLength(json) > 1024 * 1024) {
      throw new TypeError('a state value must be JSON of at most 1 MiB')
    }
    let keys = this.#spaces.get(space)
    if ((keys?.get(key)?.version ?? 0) !== expected) return false
    if (keys === undefined) this.#spaces.set(space, (keys = new Map()))
    keys.set(key, { json, version: expected + 1 })
    return true
  }

  async delete(space: string, key: string): Promise<void> {
    this.#spaces.get(space)?.delete(key)
  }

  async list<T>(
    space: string,
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Promise<(Versioned<T> & { readonly key: string })[]> {
    const { prefix = '', after, limit = Number.MAX_SAFE_INTEGER } = options
    return [...(this.#spaces.get(space) ?? [])]
      .filter(([key]) => key.startsWith(prefix) && (after === undefined || byteOrder(key, after) > 0))
      .sort(([a], [b]) => byteOrder(a, b))
      .slice(0, limit)
      .map(([key, { json, version }]) => ({ key, value: JSON.parse(json) as T, version }))
  }
}

/** Keys are ordered by their UTF-8 bytes, as databases do. */
function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
