/**
 * A process of its own that appends for as long as it lives. It says on stdout, a line each, what it is about to ask for
 * (`try <first> <count>`) and what the store has promised (`ok <first> <count>`).
 */
import { writeSync } from 'node:fs'
import { blobOf } from '../../contract.ts'
import { openEmbeddedStorage } from '../storage.ts'

const directory = process.argv[2]!
const { log, state } = await openEmbeddedStorage({
  directory,
  config: { segment_bytes: 256 * 1024, reserve_bytes: 64 * 1024 },
})
const say = (line: string): void => void writeSync(1, `${line}\n`)
say(`open ${log.size}`)
const started = await state.get<number>('test', 'starts')
await state.put('test', 'starts', (started?.value ?? 0) + 1, started?.version ?? 0)
say('counted')

for (let turn = 0; ; turn++) {
  const count = 1 + ((turn * 7) % 40)
  const start = log.size
  const entries = Array.from({ length: count }, (_, i) =>
    Buffer.from(`${start + i} ${'x'.repeat((start + i) % 700)}`),
  )
  const blobs = turn % 5 === 0 ? [blobOf(Buffer.from(`blob of ${start} ${'y'.repeat(3000)}`))] : []
  say(`try ${start} ${count}`)
  await log.append({ start, entries, blobs })
  say(`ok ${start} ${count}`)
}
