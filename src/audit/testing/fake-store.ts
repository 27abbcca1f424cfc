import type { Batch, Blob, LogStore } from '../../storage/storage.ts'

/** A log store in memory whose appends a test can hold back, fail, or make durable and then fail. */
export interface FakeStore extends LogStore {
  readonly entries: Buffer[]
  readonly batches: { readonly start: number; readonly count: number; readonly urgent: boolean }[]
  readonly blobs: Map<string, Buffer>
  /** Called before each append; throw to fail it, return a promise to hold it back. */
  before: (batch: Batch, urgent: boolean) => void | Promise<void>
}

export function fakeStore(entries: readonly Buffer[] = []): FakeStore {
  let appending = false
  return {
    entries: [...entries],
    batches: [],
    blobs: new Map(),
    before: () => undefined,
    get size() {
      return this.entries.length
    },
    async append(batch: Batch, options?: { urgent?: boolean }) {
      if (appending) throw new Error('two appends in flight')
      appending = true
      try {
        await this.before(batch, options?.urgent ?? false)
        if (batch.start !== this.entries.length) throw new Error('a stale writer')
        this.entries.push(...batch.entries)
        for (const blob of batch.blobs) this.blobs.set(blob.hash, blob.bytes)
        this.batches.push({
          start: batch.start,
          count: batch.entries.length,
          urgent: options?.urgent ?? false,
        })
      } finally {
        appending = false
      }
    },
    async read(start: number, limit: number) {
      return this.entries.slice(start, start + limit)
    },
    async readBlob(hash: string) {
      return this.blobs.get(hash)
    },
    async writeBlob(blob: Blob) {
      this.blobs.set(blob.hash, blob.bytes)
    },
    async close() {},
  }
}
