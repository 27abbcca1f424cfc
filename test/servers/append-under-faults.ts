/**
 * Appends a number of batches and says what it asked for and what it was promised, a line each; ends by itself. Run
 * under strace, which makes its system calls fail.
 */
import { writeSync } from 'node:fs'
import { openEmbeddedStorage } from '../../src/storage/embedded/storage.ts'
import { StorageFullError } from '../../src/storage/storage.ts'

const [directory = '', batches = '0'] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

try {
  const { log } = await openEmbeddedStorage({
    directory,
    config: { segment_bytes: 128 * 1024, reserve_bytes: 16 * 1024 },
  })
  say(`open ${log.size}`)
  for (let turn = 0; turn < Number(batches); turn++) {
    const start = log.size
    const count = 1 + (turn % 5)
    const entries = Array.from({ length: count }, (_, i) => Buffer.from(`${start + i} ${'x'.repeat(900)}`))
    say(`try ${start} ${count}`)
    try {
      await log.append({ start, entries, blobs: [] })
      say(`ok ${start} ${count}`)
    } catch (error) {
      say(`refused ${(error as Error).name}`)
      // After anything but a full disk nothing may be promised any more.
      if (!(error instanceof StorageFullError)) break
    }
  }
} catch (error) {
  say(`refused ${(error as Error).name}`)
}
process.exit(0)
