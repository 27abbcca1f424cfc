import type { Clock } from '../clock.ts'
import { timePrefix } from '../id.ts'
import type { Records } from '../audit/records.ts'

interface Aging {
  readonly clock: Clock
  /** How long records are kept, milliseconds. */
  readonly keptMs: number
}

const hourMs = 3_600_000

/**
 * The newest records, newest first. Ids sort by time and the store lists upwards only, so ever longer stretches of the
 * past are looked through until there are enough: no more is held than is asked for.
 */
export async function newestRecords<T extends { readonly id: string }>(
  records: Records<T>,
  { clock, keptMs, prefix, limit }: Aging & { readonly prefix: string; readonly limit: number },
): Promise<T[]> {
  for (let span = hourMs; ; span *= 4) {
    const whole = span >= keptMs
    let found: T[] = []
    for await (const each of records.all(whole ? undefined : timePrefix(prefix, clock.now() - span))) {
      found.push(each)
      if (found.length >= limit * 2) found = found.slice(-limit)
    }
    if (whole || found.length >= limit) return found.slice(-limit).reverse()
  }
}

/** Deletes what is over and was made longer ago than records are kept. Looks at the old ones alone. */
export async function pruneRecords<T extends { readonly id: string; readonly createdAt: number }>(
  records: Records<T>,
  { clock, keptMs, isOver }: Aging & { readonly isOver: (record: T) => boolean },
): Promise<void> {
  for await (const each of records.all()) {
    if (each.createdAt + keptMs >= clock.now()) return
    if (isOver(each)) await records.delete(each.id)
  }
}
