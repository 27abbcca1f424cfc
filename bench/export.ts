/**
 * Events per second to a Datadog intake that takes 25 ms per call (DESIGN part 10: at least 2,000), and what shipping
 * costs the event loop meanwhile, since requests share it. `script/node bench/export.ts
 * [--entries 50000] [--ms 25] [--keep]`
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Registry } from 'prom-client'
import { systemClock } from '../src/clock.ts'
import { sinksSection } from '../src/config/sinks.ts'
import { createExport } from '../src/export/export.ts'
import { samples } from '../src/export/testing/samples.ts'
import { count, currentLoad, describeMachine, met, publish, table } from './support/report.ts'
import { ShippedLog, ShippedState } from '../src/export/testing/shipped-log.ts'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '50000' },
    ms: { type: 'string', default: '25' },
    keep: { type: 'boolean', default: false },
  },
})
const entries = Number(values.entries)
const latencyMs = Number(values.ms)
const bar = 2000
const busyAtStart = currentLoad()

async function startIntake(): Promise<{ url: string; bytes: () => number; close: () => void }> {
  let bytes = 0
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length))
    request.on('end', () => {
      setTimeout(() => response.writeHead(202, { 'content-type': 'application/json' }).end('{}'), latencyMs)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/api/v2/logs`, bytes: () => bytes, close: () => server.close() }
}

async function measure(batchEvents: number): Promise<string[]> {
  const log = new ShippedLog()
  for (let written = 0; written < entries; written += 5000) {
    await log.grow(Math.min(5000, entries - written), samples['action.completed'])
  }
  const intake = await startIntake()
  const shipping = createExport({
    log,
    audit: log,
    state: new ShippedState(),
    sinks: sinksSection.parse([
      {
        name: 'dd',
        type: 'datadog',
        api_key: '${env:DD_API_KEY}',
        intake_url: intake.url,
        batch: { max_events: batchEvents },
      },
    ]),
    clock: systemClock,
    registry: new Registry(),
    version: '0.1.0',
    secret: () => ({ read: () => '0123456789abcdef0123456789abcdef' }),
    resolvePath: path => path,
  })
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  const cpu = process.cpuUsage()
  const started = performance.now()
  shipping.start()
  while (shipping.status()[0]!.cursor < entries) await new Promise(resolve => setTimeout(resolve, 5))
  const seconds = (performance.now() - started) / 1000
  const used = process.cpuUsage(cpu)
  loop.disable()
  await shipping.stop(0)
  intake.close()
  const rate = Math.round(entries / seconds)
  const perEvent = ((used.user + used.system) / entries).toFixed(1)
  const p99 = (loop.percentile(99) / 1e6).toFixed(1)
  const wire = Math.round(intake.bytes() / entries)
  return [count(batchEvents), count(rate), met(rate >= bar), perEvent, String(wire), p99]
}

const rows: string[][] = []
for (const size of [100, 500, 1000]) rows.push(await measure(size))
publish(
  'export',
  `# Export: events per second to a slow intake

\`script/bench export\`. ${describeMachine(busyAtStart)}

${count(entries)} entries to a Datadog intake that takes ${latencyMs} ms for each call, one call in flight; the bar of DESIGN part 10 is ${count(bar)} events/s. CPU is of both ends, which are one process here.

${table(['events per call', 'events/s', 'bar', 'CPU per event, µs', 'bytes per event, gzip', 'p99 of loop delay, ms'], rows)}
`,
  values.keep,
)
