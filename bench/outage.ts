/**
 * The request path while a sink is healthy, slow, failing and gone: `script/node bench/outage.ts [--seconds 4]
 * [--rounds 3] [--keep]`. One gateway with a Datadog sink, whose intake changes its behaviour in turn; p50 and p99 of
 * requests at one connection. They should not move (P7).
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createIssuer, datadogSink, startBenchGateway } from './support/gateway.ts'
import { countKept } from './support/kept.ts'
import { freePort } from './support/process.ts'
import { count, currentLoad, describeMachine, median, publish, table } from './support/report.ts'
import { startUpstream } from './support/rivals.ts'
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
const busyAtStart = currentLoad()

const weathers = [
  'healthy',
  'slow: 3 s for each answer',
  'failing: 503',
  'gone: connections refused',
] as const
type Weather = (typeof weathers)[number]

/** A logs intake in this process, whose behaviour can be changed while it runs. */
async function startIntake() {
  const port = await freePort()
  let server: Server | undefined
  let weather: Weather = 'healthy'
  let calls = 0
  const listen = (): Promise<void> =>
    new Promise(resolve => {
      server = createServer((request, response) => {
        calls++
        request.resume().on('end', () => {
          const answer = (): void =>
            void response.writeHead(weather.startsWith('failing') ? 503 : 202).end('{}')
          if (weather.startsWith('slow')) setTimeout(answer, 3000).unref()
          else answer()
        })
      }).listen(port, '127.0.0.1', resolve)
    })
  const stop = (): Promise<void> =>
    new Promise(resolve => {
      if (server === undefined) return resolve()
      server.close(() => resolve())
      server.closeAllConnections()
      server = undefined
    })
  await listen()
  return {
    url: `http://127.0.0.1:${(server!.address() as AddressInfo).port}/intake`,
    calls: () => calls,
    stop,
    async become(next: Weather): Promise<void> {
      weather = next
      if (next.startsWith('gone')) await stop()
      else if (server === undefined) await listen()
    },
  }
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
try {
  const keys = await createIssuer(directory)
  const headers = { Authorization: `Bearer ${await keys.token('agent-7')}` }
  await using upstream = await startUpstream(directory, 1)
  const intake = await startIntake()
  await using gateway = await startBenchGateway({
    core: 0,
    jwksFile: keys.jwksFile,
    upstream: upstream.port,
    directory: join(directory, 'gateway'),
    sinks: datadogSink(intake.url),
  })
  const url = `${gateway.url}/c/datadog/api/v1/monitor`
  const on = { core: 1, directory }
  await load({ url, headers, connections: 32, seconds: 5 }, on)
  const measured = new Map<Weather, LoadResult[]>(weathers.map(each => [each, []]))
  for (let round = 0; round < rounds; round++) {
    for (const weather of weathers) {
      await intake.become(weather)
      // Until the change is felt: what was under way has ended.
      await load({ url, headers, connections: 1, seconds: 1 }, on)
      measured.get(weather)!.push(await load({ url, headers, connections: 1, seconds }, on))
    }
  }
  await intake.become('healthy')
  await gateway.process.stop()
  await intake.stop()
  const kept = await countKept(gateway.data)
  if (kept.intents !== kept.ends) throw new Error(`${kept.intents} intents and ${kept.ends} ends`)
  const rows = weathers.map(weather => {
    const results = measured.get(weather)!
    return {
      weather,
      p50: median(results.map(each => each.p50)),
      p99: median(results.map(each => each.p99)),
      rate: median(results.map(each => each.perSecond)),
    }
  })
  const healthy = rows[0]!
  const change = (p50: number): string => `${(((p50 - healthy.p50) * 100) / healthy.p50).toFixed(0)} %`
  publish(
    'outage',
    `# The request path while a sink is down

\`script/bench outage\`. ${describeMachine(busyAtStart)}

One gateway, everything on, a Datadog sink; one connection; ${rounds} rounds of ${seconds} s in turn, medians. The intake changes, the gateway is told nothing.

${table(
  ['the intake is', 'p50, ms', 'p99, ms', 'requests/s', 'p50 against healthy'],
  rows.map((row, i) => [
    row.weather,
    row.p50.toFixed(3),
    row.p99.toFixed(3),
    count(row.rate),
    i === 0 ? '' : change(row.p50),
  ]),
)}

No outage makes requests slower beyond the noise of this run: the shipping waits, and its share of the core goes to requests. All ${count(kept.intents)} requests have their two entries.
`,
    values.keep,
  )
} finally {
  await rm(directory, { recursive: true, force: true })
}
