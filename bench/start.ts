/**
 * From the start of the process to taking connections: `script/node bench/start.ts [--rounds 5] [--keep]`. A fresh
 * directory, and one with a log of some thousand entries that was closed in good order.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openAudit } from '../src/audit/log.ts'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'
import { createIssuer, startBenchGateway } from './support/gateway.ts'
import { currentLoad, describeMachine, median, met, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, keep: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
const bar = 500
const grown = 50_000
const busyAtStart = currentLoad()

async function grow(data: string): Promise<void> {
  const storage = await openEmbeddedStorage({ directory: data })
  const audit = await openAudit({ store: storage.log, origin: 'gateway.example.com/bench' })
  const write = async (): Promise<void> => {
    while (audit.size < grown) await audit.note('identity.signed_in', { text: 'x'.repeat(400) })
  }
  await Promise.all(Array.from({ length: 128 }, write))
  await storage.index.whenIndexed(audit.size)
  await audit.close(0)
  await storage.close()
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
try {
  const { jwksFile } = await createIssuer(directory)
  const start = async (name: string): Promise<number> => {
    // On core 0, or the first there is: a start is mostly one thread's work.
    await using gateway = await startBenchGateway({
      directory: join(directory, name),
      core: 0,
      jwksFile,
      upstream: 9,
    })
    return gateway.startMs
  }
  const fresh: number[] = []
  const again: number[] = []
  await grow(join(directory, 'grown', 'data'))
  await start('grown') // publishes what was written; that is not part of every start
  for (let round = 0; round < rounds; round++) {
    fresh.push(await start(`fresh-${round}`))
    again.push(await start('grown'))
  }
  const row = (what: string, ms: number[]): string[] => [
    what,
    median(ms).toFixed(0),
    Math.min(...ms).toFixed(0),
    Math.max(...ms).toFixed(0),
    met(median(ms) < bar),
  ]
  publish(
    'start',
    `# From start to listening

\`script/bench start\`. ${describeMachine(busyAtStart)}

${rounds} rounds in turn, on one core: from the start of \`sallyport serve\` until its port takes a connection, with the configuration of \`bench http\` (20 rules). The bar of DESIGN part 10 is ${bar} ms.

${table(
  ['', 'median, ms', 'least', 'most', 'bar'],
  [
    row('a fresh directory: keys, log and tables are made', fresh),
    row(`a log of ${grown} entries, closed in good order`, again),
  ],
)}

TypeScript is stripped at each start. Where it is not met, most of the time is the loading and stripping of modules.
`,
    values.keep,
  )
} finally {
  await rm(directory, { recursive: true, force: true })
}
