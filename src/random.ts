import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(4096)
let used = pool.length

/**
 * Fresh bytes of the system's generator, the caller's own. They are taken ahead in one call, since to ask for a few costs
 * microseconds each time. Throws RangeError for more than 4096.
 */
export function freshBytes(count: number): Buffer {
  if (count > pool.length) throw new RangeError(`${count} bytes at once are too many`)
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + count))
  pool.fill(0, used, used + count)
  used += count
  return bytes
}
