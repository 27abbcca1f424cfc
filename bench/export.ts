/**
 * Events per second to far ends that take 25 ms per call (DESIGN part 10: at least 2,000 for Datadog), and what shipping
 * costs the event loop meanwhile, since requests share it. `script/node bench/export.ts
 * [--entries 50000] [--ms 25] [--keep]`
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
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

/** What each far end says when it has taken everything; a bulk of Elasticsearch is answered for each document. */
function answerTo(path: string, body: string): { readonly status: number; readonly text: string } {
  if (path.endsWith('/_bulk')) {
    const items = [...body.matchAll(/^\{"create"/gm)].map(() => ({ create: { status: 201 } }))
    return { status: 200, text: JSON.stringify({ errors: false, items }) }
  }
  if (path.startsWith('/services/collector')) return { status: 200, text: '{"text":"Success","code":0}' }
  return { status: path === '/api/v2/logs' ? 202 : 200, text: '{}' }
}

async function startIntake(): Promise<{ url: string; bytes: () => number; close: () => void }> {
  let bytes = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
    })
    request.on('end', () => {
      const whole = Buffer.concat(chunks)
      const { 'content-encoding': encoding } = request.headers
      const body = encoding === 'gzip' ? gunzipSync(whole).toString() : whole.toString()
      const { status, text } = answerTo(new URL(request.url ?? '/', 'http://far.end').pathname, body)
      setTimeout(
        () => response.writeHead(status, { 'content-type': 'application/json' }).end(text),
        latencyMs,
      )
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, bytes: () => bytes, close: () => server.close() }
}

interface Subject {
  readonly label: string
  readonly sink: (url: string) => Readonly<Record<string, unknown>>
}

async function measure({ label, sink }: Subject): Promise<string[]> {
  const log = new ShippedLog()
  for (let written = 0; written < entries; written += 5000) {
    await log.grow(Math.min(5000, entries - written), samples['action.completed'])
  }
  const intake = await startIntake()
  const shipping = createExport({
    log,
    audit: log,
    state: new ShippedState(),
    sinks: sinksSection.parse([{ name: 'far', ...sink(intake.url) }]),
    clock: systemClock,
    registry: new Registry(),
    version: '0.1.0',
    secret: () => ({ read: () => 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' }),
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
  return [label, count(rate), met(rate >= bar), perEvent, String(wire), p99]
}

const key = '${env:KEY}'
const datadog = (events: number): Subject => ({
  label: `datadog, ${count(events)} a call`,
  sink: url => ({
    type: 'datadog',
    api_key: key,
    intake_url: `${url}/api/v2/logs`,
    batch: { max_events: events },
  }),
})
const subjects: readonly Subject[] = [
  datadog(100),
  datadog(500),
  datadog(1000),
  { label: 'webhook', sink: url => ({ type: 'webhook', url, secret: key }) },
  ...(['json', 'protobuf'] as const).map(encoding => ({
    label: `otlp, ${encoding}`,
    sink: (url: string) => ({ type: 'otlp', url: `${url}/v1/logs`, encoding }),
  })),
  { label: 'splunk', sink: url => ({ type: 'splunk', url, token: key }) },
  { label: 'elasticsearch', sink: url => ({ type: 'elasticsearch', url, api_key: key }) },
  ...(['ndjson', 'parquet'] as const).map(format => ({
    label: `s3, ${format}`,
    sink: (url: string) => ({
      type: 's3',
      bucket: 'audit',
      endpoint: url,
      region: 'eu-west-1',
      format,
      access_key_id: key,
      secret_access_key: key,
    }),
  })),
]
const rows: string[][] = []
for (const each of subjects) rows.push(await measure(each))
publish(
  'export',
  `# Export: events per second to slow far ends

\`script/bench export\`. ${describeMachine(busyAtStart)}

${count(entries)} entries to a far end that takes ${latencyMs} ms for each call, one call in flight; the bar of DESIGN part 10 is ${count(bar)} events/s for Datadog. Datadog events are one in a call by nature, and files and syslog have no far end that answers: they are not here. CPU is of both ends, which are one process here.

${table(['sink', 'events/s', 'bar', 'CPU per event, µs', 'bytes per event, as sent', 'p99 of loop delay, ms'], rows)}
`,
  values.keep,
)
