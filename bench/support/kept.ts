/** What a stopped gateway left behind: counted from its log, and verified by the command an auditor would use. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openEmbeddedStorage } from '../../src/storage/embedded/storage.ts'

const run = promisify(execFile)

export interface Kept {
  readonly entries: number
  readonly intents: number
  readonly completed: number
  /** Ends of every kind. */
  readonly ends: number
  /** Completed ones that name a recording and say that something was masked. */
  readonly recordedAndMasked: number
  /** What `sallyport verify` said. */
  readonly verified: string
}

const ending = /"kind":"action\.(?:completed|failed|denied|not_forwarded|outcome_unknown)"/

export async function countKept(data: string): Promise<Kept> {
  const storage = await openEmbeddedStorage({ directory: data })
  let entries = 0
  let intents = 0
  let completed = 0
  let ends = 0
  let recordedAndMasked = 0
  while (entries < storage.log.size) {
    for (const each of await storage.log.read(entries, 10_000)) {
      const text = each.toString('latin1')
      entries++
      if (text.includes('"kind":"action.intended"')) intents++
      if (ending.test(text)) ends++
      if (!text.includes('"kind":"action.completed"')) continue
      completed++
      if (text.includes('"recording":{') && text.includes('"masked":{"count"')) recordedAndMasked++
    }
  }
  await storage.close()
  const cli = join(import.meta.dirname, '../../src/cli/main.ts')
  const { stdout } = await run(process.execPath, [cli, 'verify', '--dir', join(data, 'log')])
  const verified = stdout.trim().split('\n')[0]!
  return { entries, intents, completed, ends, recordedAndMasked, verified }
}
