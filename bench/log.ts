/**
 * Durable appends: `script/node bench/log.ts [--seconds N] [--directory PATH]
 * [--keep]`. The audit log with so many waiters, each
 * of which asks for its next entry when the last is durable, beside what the disk gives a bare loop of write and
 * fdatasync on a file that was filled before, in the same run. On a disk whose sync is not honest it measures the CPU.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openAudit } from '../src/audit/log.ts'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'
import { count, currentLoad, describeMachine, met, publish, table } from './support/report.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    directory: { type: 'string', default: tmpdir() },
    keep: { type: 'boolean', default: false },
  },
})
const durationMs = Number(values.seconds) * 1000
const entryBytes = 700
const ceilingBytes = 64 * 1024 * 1024

interface Row {
  readonly what: string
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

function rowOf(
  what: string,
  latencies: number[],
  { elapsedMs, each = 1 }: { elapsedMs: number; each?: number },
): Row {
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return { what, perSecond: (latencies.length * each * 1000) / elapsedMs, p50: at(0.5), p99: at(0.99) }
}

/** One write and one fdatasync at a time, of `count` entries each. */
function measureCeiling(directory: string, count: number): Row {
  const path = join(directory, 'ceiling')
  const fd = openSync(path, 'w+')
  const zeros = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < ceilingBytes; at += zeros.length) writeSync(fd, zeros, 0, zeros.length, at)
  fdatasyncSync(fd)
  const bytes = Buffer.alloc(entryBytes * count, 'x')
  const latencies: number[] = []
  const began = performance.now()
  let at = 0
  while (performance.now() - began < durationMs) {
    const asked = performance.now()
    writeSync(fd, bytes, 0, bytes.length, at)
    fdatasyncSync(fd)
    latencies.push(performance.now() - asked)
    at = at + 2 * bytes.length > ceilingBytes ? 0 : at + bytes.length
  }
  const row = rowOf(`bare write + fdatasync of ${count}`, latencies, {
    elapsedMs: performance.now() - began,
    each: count,
  })
  closeSync(fd)
  rmSync(path)
  return row
}

async function measureLog(directory: string, waiters: number): Promise<Row> {
  const storage = await openEmbeddedStorage({ directory: join(directory, `log-${waiters}`) })
  const audit = await openAudit({ store: storage.log, origin: 'bench.example.com/log' })
  const text = 'x'.repeat(entryBytes - 250)
  const latencies: number[] = []
  const warmUpEnds = performance.now() + 500
  let began = 0
  let ends = Number.POSITIVE_INFINITY
  const ask = async (): Promise<void> => {
    for (;;) {
      const asked = performance.now()
      if (asked >= ends) return
      await audit.note('identity.signed_in', { text })
      const now = performance.now()
      if (began > 0) latencies.push(now - asked)
      else if (now >= warmUpEnds) {
        began = now
        ends = now + durationMs
      }
    }
  }
  await Promise.all(Array.from({ length: waiters }, ask))
  const row = rowOf(`audit log, ${waiters} waiting`, latencies, { elapsedMs: performance.now() - began })
  await audit.close(0)
  await storage.close()
  return row
}

const bar = 100_000
const busyAtStart = currentLoad()
const directory = mkdtempSync(join(values.directory, 'sallyport-bench-'))
try {
  const rows: Row[] = []
  for (const waiters of [1, 16, 64, 256]) {
    rows.push(measureCeiling(directory, waiters))
    rows.push(await measureLog(directory, waiters))
  }
  const figures = rows.map(({ what, perSecond, p50, p99 }, i) => {
    const share = i % 2 === 0 ? '' : `${Math.round((perSecond * 100) / rows[i - 1]!.perSecond)} %`
    return [what, count(perSecond), p50.toFixed(3), p99.toFixed(3), share]
  })
  const best = rows.at(-1)!.perSecond
  publish(
    'log',
    `# The log: durable appends per second

\`script/bench log\`. ${describeMachine(busyAtStart)}

Entries of some ${entryBytes} bytes, each caller asks for its next when its last is durable; beside it, in the same run, what the disk gives a bare loop of write and fdatasync of as many. A host that caches answers fdatasync sooner than a disk would: read it as a ceiling of the CPU.

${table(['', 'appends/s', 'p50, ms', 'p99, ms', 'of the ceiling'], figures)}

The bar of DESIGN part 10 is ${count(bar)} with 256 waiting: ${count(best)}, ${met(best >= bar)}.
`,
    values.keep,
  )
} finally {
  rmSync(directory, { recursive: true })
}
