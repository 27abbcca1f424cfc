/**
 * What the console waits for: `script/node bench/console.ts [--entries 1000000]`. Searches and counts over a log of a
 * million entries, as the API asks the index for them, a month of forty identities on five connections.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'
import { countFields, type EntryIndex } from '../src/storage/storage.ts'
import { count, currentLoad, describeMachine, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    keep: { type: 'boolean', default: false },
  },
})
const asks = 20
const wanted = Number(values.entries)
const load = currentLoad()
const home = mkdtempSync(join(tmpdir(), 'sallyport-console-'))
const month = 30 * 86_400_000
const end = Date.now()
const start = end - month

function entryOf(i: number): Buffer {
  const ends = i % 2 === 1
  const of = Math.floor(i / 2)
  const agent = of % 40
  const outcome = of % 50 === 0 ? 'failure' : of % 31 === 0 ? 'denied' : 'success'
  return Buffer.from(
    JSON.stringify({
      v: 1,
      kind: ends ? (outcome === 'denied' ? 'action.denied' : 'action.completed') : 'action.intended',
      log: 'bench.example.com/console',
      seq: String(i),
      time: new Date(start + (i / wanted) * month).toISOString(),
      session: `s_${String(of % 5000).padStart(6, '0')}`,
      action: `a_${String(of).padStart(10, '0')}`,
      subject: {
        issuer: 'https://idp.example.com',
        id: `agent-${agent}`,
        kind: 'agent',
        method: 'oidc',
        on_behalf_of: {
          issuer: 'https://idp.example.com',
          id: `p${of % 10}`,
          email: `p${of % 10}@example.com`,
        },
      },
      connection: { name: `connection-${of % 5}`, protocol: 'http', sensitivity: 'high' },
      operation: `v1.operation${of % 60}`,
      risk: 'read',
      resource: `/api/v1/monitor/${of % 5000}`,
      http: { method: 'GET', path: `/api/v1/monitor/${of % 5000}`, request_id: `r${of}` },
      ...(ends
        ? { outcome, decision: { effect: 'permit', reason: 'rule-allowed', rule: 'agents-read' } }
        : {}),
    }),
  )
}

const days = (count: number, buckets: number) => ({
  from: end - count * 86_400_000,
  width: Math.ceil((count * 86_400_000) / buckets),
  count: buckets,
})
const newest = { limit: 50, descending: true }
const asked: Readonly<Record<string, (index: EntryIndex) => Promise<unknown>>> = {
  'search: newest page': index => index.search(newest),
  'search: an identity and an outcome': index =>
    index.search({ ...newest, identity: 'agent-7', outcome: 'denied' }),
  'search: a quarter of an hour, a connection': index =>
    index.search({
      ...newest,
      connection: 'connection-3',
      since: end - month / 2,
      until: end - month / 2 + 900_000,
    }),
  'search: words that many have': index => index.search({ ...newest, text: 'monitor agents read' }),
  'search: a word that one entry has': index =>
    index.search({ ...newest, text: `r${Math.floor(wanted / 5)}` }),
  'overview: outcomes of a day': index =>
    index.count({ filter: {}, fields: ['outcome'], top: 8, buckets: days(1, 60) }),
  'overview: connections of a month': index =>
    index.count({ filter: {}, fields: ['connection'], top: 8, buckets: days(30, 60) }),
  'overview: identities of a month': index =>
    index.count({ filter: {}, fields: ['identity'], top: 8, buckets: days(30, 60) }),
  'overview: operations of a month, one connection': index =>
    index.count({
      filter: { connection: 'connection-2' },
      fields: ['operation'],
      top: 8,
      buckets: days(30, 60),
    }),
  'menus: every field of everything': index => index.count({ filter: {}, fields: [...countFields], top: 20 }),
  'menus: one identity': index =>
    index.count({ filter: { identity: 'agent-7' }, fields: [...countFields], top: 20 }),
  'who was seen': index => index.identities({ limit: 50 }),
}

const storage = await openEmbeddedStorage({ directory: home })
try {
  const { log, index } = storage
  // As group commit makes them under load: 256 callers wait for one sync.
  const batch = 256
  for (let at = 0; at < wanted; at += batch) {
    const entries = Array.from({ length: Math.min(batch, wanted - at) }, (_, i) => entryOf(at + i))
    await log.append({ start: at, entries, blobs: [] })
  }
  const began = performance.now()
  const behind = wanted - index.indexed
  await index.whenIndexed(wanted)
  const rate = behind / ((performance.now() - began) / 1000)
  const rows: string[][] = []
  for (const [name, ask] of Object.entries(asked)) {
    const times: number[] = []
    const before = process.cpuUsage()
    for (let i = 0; i < asks; i++) {
      const from = performance.now()
      await ask(index)
      times.push(performance.now() - from)
    }
    const { user, system } = process.cpuUsage(before)
    times.sort((a, b) => a - b)
    const cpu = (user + system) / 1000 / asks
    rows.push([name, times[9]!.toFixed(1), times[18]!.toFixed(1), cpu.toFixed(1)])
  }
  publish(
    'console',
    `# What the console waits for, over ${count(wanted)} entries

\`script/node bench/console.ts\`. ${describeMachine(load)}

The index took in ${count(Math.round(rate))} entries a second. Each question ${asks} times. CPU is what the whole process used for one, which a busy machine does not lengthen:

${table(['question', 'p50, ms', 'p95, ms', 'CPU, ms'], rows)}
`,
    values.keep,
  )
} finally {
  await storage.close()
  rmSync(home, { recursive: true })
}
