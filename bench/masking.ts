/** Megabytes per second of the mask on one core, clean and with finds. `script/node bench/masking.ts [--keep]`. */
import { maskingSection } from '../src/config/masking.ts'
import { createMasking } from '../src/masking/masking.ts'
import { currentLoad, describeMachine, publish, table } from './support/report.ts'

const busyAtStart = currentLoad()
const rows: string[][] = []

const masking = createMasking(maskingSection.parse({}))
const row = (index: number, extra: string): string =>
  JSON.stringify({
    id: 4_954_000_000_000_000 + index,
    name: `High error rate on checkout ${index}`,
    type: 'query alert',
    query:
      'avg(last_5m):sum:trace.http.request.errors{env:prod,service:checkout} by {resource_name}.as_rate() > 0.05',
    message: `The error rate is above the threshold. ${extra}`,
    tags: ['env:prod', 'team:payments', `service:checkout-${index % 7}`],
    created: '2026-11-21T07:00:00.123456+00:00',
    options: { notify_no_data: false, thresholds: { critical: 0.05, warning: 0.01 }, silenced: {} },
  })
const documents = {
  'clean JSON': `[${Array.from({ length: 2000 }, (_, index) => row(index, 'See the runbook.')).join(',')}]`,
  'JSON with an address in each object': `[${Array.from({ length: 2000 }, (_, index) => row(index, `Ask ana${index}@example.com.`)).join(',')}]`,
}
const inputs = { ...documents, 'clean text': documents['clean JSON'].replaceAll('},{', '}\n{').slice(1) }

async function measure(
  name: string,
  text: string,
  how: { profiles: string[]; secrets: string[]; type: string },
) {
  const bytes = Buffer.from(text)
  const piece = 64 * 1024
  async function* source(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
  }
  let best = 0
  for (let round = 0; round < 12; round++) {
    const start = process.cpuUsage()
    const { body } = masking
      .masker(how.profiles, { secrets: how.secrets })
      .body(source(), { type: how.type, encodings: [] })
    let size = 0
    for await (const chunk of body) size += chunk.length
    if (size === 0) throw new Error('nothing came out')
    const used = process.cpuUsage(start)
    best = Math.max(best, bytes.length / (used.user + used.system))
  }
  const label = how.profiles.join('+') || 'lent secrets alone'
  rows.push([name, label, best.toFixed(0)])
}

const secrets = ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210fedcba98']
for (const [name, text] of Object.entries(inputs))
  for (const profiles of [[], ['secrets'], ['personal'], ['datadog-secrets', 'personal']])
    await measure(name, text, {
      profiles,
      secrets,
      type: name.includes('JSON') ? 'application/json' : 'application/xml',
    })
publish(
  'masking',
  `# Masking: megabytes per second

\`script/bench masking\`. ${describeMachine(busyAtStart)}

Bodies of about one megabyte in pieces of 64 KiB, the best of 12 rounds, per second of CPU.

${table(['body', 'profiles', 'MB/s'], rows)}
`,
  process.argv.includes('--keep'),
)
