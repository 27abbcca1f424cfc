/**
 * Entries per second and core that `verify` checks: `script/node bench/verify.ts [--entries 200000] [--keep]`. A log of
 * actions, intent and end each, as the gateway writes and publishes it; first the proof alone, then with what the
 * entries say (`--complete`). Per second of CPU, so that a busy machine does not count.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openCheckpointer } from '../src/audit/checkpoint.ts'
import { openAudit } from '../src/audit/log.ts'
import { verify, type VerifyOptions } from '../src/audit/verify.ts'
import type { Action } from '../src/model/action.ts'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'
import { count, currentLoad, describeMachine, median, met, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '200000' }, keep: { type: 'boolean', default: false } },
})
const entries = Number(values.entries)
const busyAtStart = currentLoad()
const origin = 'gateway.example.com/bench'
const bar = 300_000

const action: Action = {
  id: 'a_1',
  operation: 'v1.listMonitors',
  known: true,
  risk: 'read',
  resource: '/api/v1/monitor',
  content: {},
  digest: () => 'c0ffee'.padEnd(64, '0'),
  facts: { http: { method: 'GET', path: '/api/v1/monitor', host: 'api.datadoghq.com', version: '1.1' } },
}
const session = {
  id: 's_1',
  subject: {
    issuer: 'https://issuer.example.com',
    id: 'agent-7',
    email: 'ana@example.com',
    kind: 'agent' as const,
    groups: [],
    method: 'oidc',
    claims: {},
  },
  connection: { name: 'datadog', protocol: 'datadog', sensitivity: 'high' },
  client: { ip: '203.0.113.7', port: 52_000, agent: 'bench' },
}

async function writeLog(directory: string): Promise<{ published: string; bytes: number }> {
  const storage = await openEmbeddedStorage({ directory })
  const published = join(directory, 'log')
  const checkpointer = await openCheckpointer({
    directory: published,
    keyFiles: [join(directory, 'log.key')],
    origin,
    store: storage.log,
    onAlarm: error => {
      throw error
    },
  })
  const root = async (): Promise<string> => (await checkpointer.catchUp()).root
  const audit = await openAudit({ store: storage.log, origin, root })
  audit.onGrowth(() => checkpointer.grew())
  const act = async (): Promise<void> => {
    while (audit.size < entries) {
      const open = await audit.begin(session, action)
      open.forwarding()
      await open.complete({
        success: true,
        facts: { http: { status_code: 200 } },
        bytesIn: 0,
        bytesOut: 1600,
        masked: { count: 0, kinds: [] },
      })
    }
  }
  await Promise.all(Array.from({ length: 128 }, act))
  await audit.close(0)
  await checkpointer.catchUp()
  await checkpointer.close()
  const [last] = await storage.log.read(entries - 2, 1)
  await storage.close()
  return { published, bytes: last!.length }
}

/** Entries per second of CPU, median of three. */
async function measure(options: VerifyOptions): Promise<{ perCpuSecond: number; perSecond: number }> {
  const rates: number[] = []
  const clock: number[] = []
  for (let round = 0; round < 3; round++) {
    const used = process.cpuUsage()
    const began = performance.now()
    const report = await verify(options)
    const { user, system } = process.cpuUsage(used)
    if (report.exit !== 0 || report.size === undefined) throw new Error(JSON.stringify(report))
    rates.push((report.size * 1e6) / (user + system))
    clock.push((report.size * 1000) / (performance.now() - began))
  }
  return { perCpuSecond: median(rates), perSecond: median(clock) }
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
try {
  const { published, bytes } = await writeLog(directory)
  const source = { directory: published, vkeys: [join(published, 'log.vkey')] }
  const proof = await measure(source)
  const complete = await measure({ ...source, complete: true })
  const row = (what: string, { perCpuSecond, perSecond }: typeof proof): string[] => [
    what,
    count(perCpuSecond),
    count(perSecond),
    met(perCpuSecond >= bar),
  ]
  publish(
    'verify',
    `# Verify: entries per second and core

\`script/bench verify\`. ${describeMachine(busyAtStart)}

A published log of ${count(entries)} entries of some ${bytes} bytes, medians of 3. The bar of DESIGN part 10 is ${count(bar)} entries per second and core.

${table(
  ['', 'entries per second of CPU', 'entries per second', 'bar'],
  [
    row('leaves, tiles, root, signature', proof),
    row('the same, and what the entries say (`--complete`)', complete),
  ],
)}
`,
    values.keep,
  )
} finally {
  await rm(directory, { recursive: true, force: true })
}
