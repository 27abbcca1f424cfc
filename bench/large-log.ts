/**
 * A log that has grown large: `script/node bench/large-log.ts [--entries 1000000] [--directory PATH] [--keep]`. How
 * large it is on disk, how long it takes to start on it, to search in it and to verify it. Entries are those of
 * actions: an intent and its end, by forty identities on five connections.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { SessionFacts } from '../src/audit/audit.ts'
import { openCheckpointer } from '../src/audit/checkpoint.ts'
import { openAudit } from '../src/audit/log.ts'
import { verify } from '../src/audit/verify.ts'
import type { Action } from '../src/model/action.ts'
import { noObligations } from '../src/model/decision.ts'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'
import type { EntryQuery } from '../src/storage/storage.ts'
import { count, currentLoad, describeMachine, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    directory: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
  },
})
const wanted = Number(values.entries)
const origin = 'bench.example.com/large'
const load = currentLoad()
const home = mkdtempSync(join(values.directory, 'sallyport-large-'))

const sessions: SessionFacts[] = Array.from({ length: 200 }, (_, i) => ({
  id: `s_${String(i).padStart(6, '0')}`,
  subject: {
    issuer: 'https://idp.example.com',
    id: `agent-${i % 40}`,
    kind: 'agent',
    groups: [],
    method: 'oidc',
    claims: {},
    onBehalfOf: { issuer: 'https://idp.example.com', id: `p${i % 10}`, email: `p${i % 10}@example.com` },
  },
  connection: { name: `connection-${i % 5}`, protocol: 'http', sensitivity: 'high' },
  client: { ip: '10.0.0.1', port: 40_000 + i, agent: 'datadog-api-client-typescript/1.64.0' },
}))

function actionOf(i: number): Action {
  const path = `/api/v1/monitor/${i % 5000}`
  return {
    id: `a_${String(i).padStart(10, '0')}`,
    operation: i % 7 === 0 ? 'v1.updateMonitor' : 'v1.getMonitor',
    known: true,
    risk: i % 7 === 0 ? 'write' : 'read',
    resource: path,
    content: {},
    digest: () => 'd'.repeat(64),
    facts: { http: { method: 'GET', path, request_id: `r${i}` } },
  }
}

const decision = {
  effect: 'permit',
  reason: 'rule-allowed',
  rule: 'agents-read',
  matched: ['agents-read'],
  shadow: [],
  obligations: noObligations,
  policyVersion: `sha256:${'0'.repeat(64)}`,
} as const

async function seconds<T>(work: () => Promise<T>): Promise<{ took: number; value: T }> {
  const began = performance.now()
  const value = await work()
  return { took: (performance.now() - began) / 1000, value }
}

async function open() {
  const storage = await openEmbeddedStorage({ directory: home })
  const checkpointer = await openCheckpointer({
    directory: join(home, 'log'),
    keyFiles: [join(home, 'keys', 'log.key')],
    origin,
    store: storage.log,
    scrub: 0,
    onAlarm: error => console.error(error),
  })
  const root = async (): Promise<string> => (await checkpointer.catchUp()).root
  const audit = await openAudit({ store: storage.log, origin, root, heartbeat: { growing: 0, idle: 0 } })
  const close = async (): Promise<void> => {
    await audit.close(1000)
    await checkpointer.close()
    await storage.close()
  }
  return { storage, checkpointer, audit, close }
}

async function fill({ audit, storage }: Awaited<ReturnType<typeof open>>): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    while (storage.log.size < wanted) {
      const i = next++
      const entry = await audit.begin(sessions[i % sessions.length]!, actionOf(i))
      entry.decided(decision)
      entry.forwarding()
      const masked = { count: 0, kinds: [] }
      const success = i % 50 !== 0
      const facts = { http: { status_code: success ? 200 : 500 } }
      await entry.complete({ success, facts, bytesIn: 0, bytesOut: 1600, masked, upstreamDuration: 1e6 })
    }
  }
  await Promise.all(Array.from({ length: 256 }, one))
}

const queries: Readonly<Record<string, Omit<EntryQuery, 'limit'>>> = {
  'newest page': {},
  'one identity': { identity: 'agent-7' },
  'one connection, failures': { connection: 'connection-3', outcome: 'failure' },
  'an operation with *': { operation: 'v1.update*' },
  'one session': { session: 's_000042' },
  'one action': { action: `a_${String(Math.floor(wanted / 5)).padStart(10, '0')}` },
  'a word that one entry has': { text: `r${Math.floor(wanted / 7)}` },
  'words that many have': { text: 'v1.updateMonitor agent-7' },
  'an hour that is empty': { since: Date.now() + 3_600_000 },
}

async function measureSearch({ storage }: Awaited<ReturnType<typeof open>>): Promise<string[][]> {
  const rows: string[][] = []
  for (const [name, query] of Object.entries(queries)) {
    const times: number[] = []
    let found = 0
    for (let i = 0; i < 20; i++) {
      const { took, value } = await seconds(() =>
        storage.index.search({ ...query, descending: true, limit: 50 }),
      )
      times.push(took * 1000)
      found = value.entries.length
    }
    times.sort((a, b) => a - b)
    rows.push([name, String(found), times[10]!.toFixed(1), times[18]!.toFixed(1)])
  }
  return rows
}

function sizeOf(path: string): string {
  const kib = Number(execFileSync('du', ['-sk', join(home, path)], { encoding: 'utf8' }).split('\t')[0])
  return `${(kib / 1024).toFixed(0)} MiB`
}

try {
  const first = await open()
  const filled = await seconds(() => fill(first))
  const indexed = await seconds(() => first.storage.index.whenIndexed(first.storage.log.size))
  const signed = await seconds(() => first.checkpointer.publish())
  const size = first.storage.log.size
  const search = await measureSearch(first)
  await first.close()
  const again = await seconds(open)
  await again.value.close()
  const vkeys = [join(home, 'log', 'log.vkey')]
  const whole = await seconds(() => verify({ directory: join(home, 'log'), vkeys }))
  const complete = await seconds(() => verify({ directory: join(home, 'log'), vkeys, complete: true }))
  if (whole.value.exit !== 0 || complete.value.exit !== 0) throw new Error('the log does not verify')
  const rate = (took: number): string => `${took.toFixed(1)} s, ${count(size / took)}/s`
  publish(
    'large-log',
    `# A log of ${count(size)} entries

\`script/node bench/large-log.ts --entries ${wanted}\`. ${describeMachine(load)}

| | |
| --- | ---: |
| written durably, 256 waiting | ${rate(filled.took)} |
| then until searchable | ${indexed.took.toFixed(1)} s |
| then until published and signed | ${signed.took.toFixed(1)} s |
| start on it, closed in good order | ${(again.took * 1000).toFixed(0)} ms |
| verify: leaves, tiles, root, signature | ${rate(whole.took)} |
| verify \`--complete\` | ${rate(complete.took)} |
| journal | ${sizeOf('journal')} |
| published tree and entries | ${sizeOf('log')} |
| search tables | ${sizeOf('index.db')} |

Searches, newest first, pages of 50, 20 times each:

${table(['search', 'found', 'p50, ms', 'p95, ms'], search)}
`,
    values.keep,
  )
} finally {
  rmSync(home, { recursive: true, force: true })
}
