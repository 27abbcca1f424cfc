/**
 * The way of a request, everything on, beside nginx alone and HAProxy checking the same token:
 * `script/node bench/http.ts [--seconds 4] [--rounds 3] [--keep]`. In one run, in turn, medians; the proxy has one
 * core for itself (taskset), the load generator and the upstream have the other. Needs nginx, haproxy, wrk and
 * taskset (`script/bench` brings them).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { audience, createIssuer, datadogSink, issuer, startBenchGateway } from './support/gateway.ts'
import { countKept, type Kept } from './support/kept.ts'
import { type Pinned, settle } from './support/process.ts'
import { count, currentLoad, describeMachine, median, met, publish, table } from './support/report.ts'
import { answer, personInAnswer, secretInAnswer, startHaproxy, startUpstream } from './support/rivals.ts'
import { load, type LoadResult } from './support/wrk.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    keep: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
const proxyCore = 0
const loadCore = Math.min(1, cpus().length - 1)
const path = '/api/v1/monitor'

interface Contender {
  readonly name: string
  readonly url: string
  readonly token: boolean
  /** Absent: there is nothing between the load and the upstream. */
  readonly process?: Pinned
  readonly busy: Measured[]
  readonly single: LoadResult[]
}

interface Measured extends LoadResult {
  /** Microseconds of the proxy's CPU for each request. */
  readonly cpuUs: number | undefined
}

const busyAtStart = currentLoad()
const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
try {
  await run()
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function run(): Promise<void> {
  await using running = new AsyncDisposableStack()
  const on = { core: loadCore, directory }
  const keys = await createIssuer(directory)
  const token = await keys.token('agent-7')
  const upstream = running.use(await startUpstream(directory, loadCore))
  const rival = { directory, core: proxyCore, upstream: upstream.port, issuer, audience }
  const haproxy = running.use(await startHaproxy({ ...rival, publicKeyFile: keys.publicKeyFile }))
  const common = { core: proxyCore, jwksFile: keys.jwksFile, upstream: upstream.port }
  const following = running.use(
    await startBenchGateway({
      ...common,
      directory: join(directory, 'following'),
      sinks: datadogSink(`http://127.0.0.1:${upstream.port}/intake`),
    }),
  )
  const alone = running.use(await startBenchGateway({ ...common, directory: join(directory, 'alone') }))

  const contender = (name: string, url: string, more: { token: boolean; process?: Pinned }): Contender => ({
    name,
    url: url + path,
    ...more,
    busy: [],
    single: [],
  })
  const local = (port: number): string => `http://127.0.0.1:${port}`
  const contenders: Contender[] = [
    contender('nginx, direct', local(upstream.port), { token: false }),
    contender('HAProxy 2.6: RS256, JSON access log', local(haproxy.port), {
      token: true,
      process: haproxy.process,
    }),
    contender('Sallyport, everything on, a sink following', `${following.url}/c/datadog`, {
      token: true,
      process: following.process,
    }),
    contender('Sallyport, everything on, no sink', `${alone.url}/c/datadog`, {
      token: true,
      process: alone.process,
    }),
  ]
  const headersOf = ({ token: wanted }: Contender): Record<string, string> =>
    wanted ? { Authorization: `Bearer ${token}` } : {}

  for (const each of contenders) {
    await check(each, headersOf(each))
    await load({ url: each.url, connections: 32, seconds: 3, headers: headersOf(each) }, on)
    if (each.process) await settle(each.process)
  }
  for (let round = 0; round < rounds; round++) {
    for (const each of contenders) {
      const headers = headersOf(each)
      const cpuBefore = await each.process?.cpuMs()
      const busy = await load({ url: each.url, connections: 32, seconds, headers }, on)
      const cpuAfter = await each.process?.cpuMs()
      const cpuUs = cpuBefore === undefined ? undefined : ((cpuAfter! - cpuBefore) * 1000) / busy.requests
      each.busy.push({ ...busy, cpuUs })
      if (each.process) await settle(each.process)
      each.single.push(await load({ url: each.url, connections: 1, seconds, headers }, on))
      if (each.process) await settle(each.process)
    }
  }
  for (const each of contenders) await check(each, headersOf(each))

  await following.process.stop()
  await alone.process.stop()
  const kept = [await countKept(following.data), await countKept(alone.data)]
  for (const each of kept) checkKept(each)
  publish('http', await page(contenders, kept), values.keep)
}

/** An answer that is wrong makes every figure worthless: status, bytes, and that the mask took what it should. */
async function check(contender: Contender, headers: Record<string, string>): Promise<void> {
  const response = await fetch(contender.url, { headers })
  const text = await response.text()
  const wanted = contender.name.startsWith('Sallyport')
    ? !text.includes(secretInAnswer) && !text.includes(personInAnswer) && text.includes('[masked:')
    : text === answer
  if (response.status !== 200 || !wanted) throw new Error(`${contender.name}: ${response.status} ${text}`)
  JSON.parse(text)
  if (!contender.token) return
  const tampered = headers['Authorization']!.replace(/.{8}$/, 'AAAAAAAA')
  const refused = await fetch(contender.url, { headers: { Authorization: tampered } })
  await refused.text()
  if (refused.status !== 401) throw new Error(`${contender.name}: a forged token gave ${refused.status}`)
}

/** Every request has its intent and its one end, and every completed one its recording. */
function checkKept({ intents, ends, completed, recordedAndMasked, verified }: Kept): void {
  if (intents !== ends) throw new Error(`${intents} intents and ${ends} ends`)
  if (completed !== recordedAndMasked)
    throw new Error(`${completed} completed, ${recordedAndMasked} recorded`)
  if (completed < intents * 0.99) throw new Error(`${completed} of ${intents} completed`)
  if (verified === '') throw new Error('verify said nothing')
}

async function page(contenders: readonly Contender[], kept: readonly Kept[]): Promise<string> {
  const rows = contenders.map(each => {
    const { busy, single } = each
    const cpu = busy.map(one => one.cpuUs).filter(one => one !== undefined)
    return {
      name: each.name,
      rate: median(busy.map(one => one.perSecond)),
      busyP50: median(busy.map(one => one.p50)),
      busyP99: median(busy.map(one => one.p99)),
      p50: median(single.map(one => one.p50)),
      p99: median(single.map(one => one.p99)),
      cpu: cpu.length === 0 ? undefined : median(cpu),
    }
  })
  const [direct, haproxy, following, alone] = rows
  const added = (row: typeof following): number => row!.p50 - direct!.p50
  const figures = table(
    [
      '',
      'requests/s at 32',
      'p50 at 32, ms',
      'p99 at 32, ms',
      'p50 at 1, ms',
      'p99 at 1, ms',
      'added p50 at 1, ms',
      'CPU per request, µs',
    ],
    rows.map(row => [
      row.name,
      count(row.rate),
      row.busyP50.toFixed(2),
      row.busyP99.toFixed(2),
      row.p50.toFixed(3),
      row.p99.toFixed(3),
      row === direct ? '' : added(row).toFixed(3),
      row.cpu === undefined ? '' : row.cpu.toFixed(0),
    ]),
  )
  const bars = table(
    ['bar (DESIGN part 10)', 'wanted', 'measured', ''],
    [
      [
        'requests/s at 32 connections, everything on, against HAProxy with RS256 and a JSON log',
        count(haproxy!.rate),
        `${count(alone!.rate)} (${Math.round((alone!.rate * 100) / haproxy!.rate)} %)`,
        met(alone!.rate >= haproxy!.rate),
      ],
      ['added p50 at one connection', '0.5 ms', `${added(alone).toFixed(3)} ms`, met(added(alone) <= 0.5)],
      [
        'the same with a sink following',
        '0.5 ms',
        `${added(following).toFixed(3)} ms`,
        met(added(following) <= 0.5),
      ],
    ],
  )
  const entries = kept.reduce((sum, each) => sum + each.entries, 0)
  const requests = kept.reduce((sum, each) => sum + each.intents, 0)
  return `# HTTP: the way of a request, everything on

\`script/bench http\`. ${describeMachine(busyAtStart)}

${rounds} rounds of ${seconds} s each, in turn, medians. The proxy has core ${proxyCore} to itself, all its threads included; wrk and nginx have core ${loadCore}. The request is \`GET ${path}\` of Datadog's API with an RS256 token; the answer is ${answer.length} bytes of JSON with an e-mail address and a token in it.

${figures}

Everything on: the token's signature, issuer, audience and expiry (checked once, kept until it expires; HAProxy checks the signature each time), 20 rules with conditions in CEL, every detector of secrets and personal data over the answer, the upstream's two keys put in, request and answer recorded in full and encrypted (age), the intent durable before the request leaves and the outcome before the answer does (two group commits with fdatasync), the Merkle tree and its signed checkpoints each second. "A sink following" adds the shipping of every entry as an event, gzipped, in batches of 1,000, to an intake, from the same core.

${bars}

Checked in the same run: every answer had status 200 and was masked, a forged token got 401, and the two logs hold ${count(requests)} intents with exactly one end each (${count(entries)} entries, every completed one with its recording), which \`sallyport verify\` found sound: ${kept.map(each => `“${each.verified}”`).join(', ')}.

${shortfall(haproxy!.rate, alone!.rate)}
`
}

function shortfall(wanted: number, rate: number): string {
  if (rate >= wanted) return ''
  return `What falls short: HAProxy is C, writes its access log without waiting for a disk, looks at no body and keeps no recording. One core of Node, doing all of the above, gives ${Math.round((rate * 100) / wanted)} % of its rate.`
}
