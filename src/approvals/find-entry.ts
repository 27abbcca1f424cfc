import type { Storage } from '../storage/storage.ts'
import type { FindEntry } from '../audit/records.ts'

/** Looks in the log's search tables, once they have taken in all that the log holds. */
export function findEntryIn({ log, index }: Pick<Storage, 'log' | 'index'>): FindEntry {
  return async ({ id, kind, revision }) => {
    await index.whenIndexed(log.size)
    for (let after: number | undefined; ; ) {
      const page = await index.search({
        approval: id,
        kinds: [kind],
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      })
      const found = page.entries.some(
        ({ bytes }) => (JSON.parse(bytes.toString('utf8')) as { revision?: unknown }).revision === revision,
      )
      if (found || page.next === undefined) return found
      after = page.next
    }
  }
}
