/**
 * Ten thousand calls held for approval: `script/node --expose-gc bench/approvals.ts [holds]`. Memory per hold, and what
 * the holds do to the latency of a vote and of an unrelated call's round trip through the same step, on embedded storage
 * in a temporary directory. Ratios are within one run.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Approvals } from '../src/approvals/approvals.ts'
import { createApprovalStep } from '../src/approvals/settle.ts'
import { callOf, decisionOf, sessionOf } from '../src/approvals/testing/calls.ts'
import { agent, person } from '../src/approvals/testing/world.ts'
import { openAudit } from '../src/audit/log.ts'
import { systemClock } from '../src/clock.ts'
import { storageSection } from '../src/config/storage.ts'
import type { Masker } from '../src/masking/masker.ts'
import { openEmbeddedStorage } from '../src/storage/embedded/storage.ts'

const holds = Number(process.argv[2] ?? 10_000)
const rounds = 200
const hour = 3_600_000

const masker = { json: (value: unknown) => value, text: (text: string) => text } as unknown as Masker

function heap(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  return process.memoryUsage().heapUsed
}

function quantile(values: number[], q: number): string {
  return (values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? 0).toFixed(2)
}

const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
const storage = await openEmbeddedStorage({ directory, config: storageSection.parse({}) })
const audit = await openAudit({
  store: storage.log,
  origin: 'gateway.example.com/bench',
  root: async () => '',
  onFault: () => undefined,
})
const approvals = new Approvals({ state: storage.state, audit, clock: systemClock })
await approvals.start()
const step = createApprovalStep({
  approvals,
  audit,
  clock: systemClock,
  recheck: async () => ({ ok: true }),
  masker: () => masker,
})
const terms = { expiresAfterMs: hour, usableForMs: hour }

/** One call that is asked, approved, and let through: three durable changes and their entries. */
async function roundTrip(name: string): Promise<number> {
  const began = performance.now()
  const settling = step.settle(sessionOf(), callOf({ body: name, holdMs: hour }), decisionOf(terms))
  let asked = await find(name)
  while (asked === undefined) asked = await find(name)
  await approvals.vote(asked, person('bo'), { effect: 'approve', channel: 'api' })
  const settled = await settling
  if (!settled.granted) throw new Error('it was not let through')
  return performance.now() - began
}

async function find(name: string): Promise<string | undefined> {
  await new Promise(resolve => setImmediate(resolve))
  const { action } = callOf({ body: name })
  const about = { requester: agent, connection: { name: 'datadog-prod' }, digest: action.digest() }
  return (await approvals.findFor(about))?.id
}

async function measure(label: string): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < rounds; i++) times.push(await roundTrip(`${label} ${i}`))
  console.log(`${label}: round trip p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms`)
}

await measure('warm up')
await measure('nothing held')
const before = heap()
const began = performance.now()
const calls = Array.from({ length: holds }, (_, i) => callOf({ body: `held ${i}`, holdMs: hour }))
const settling = calls.map(call => step.settle(sessionOf(), call, decisionOf(terms)))
while (approvals.held.waiting < holds) await new Promise(resolve => setTimeout(resolve, 5))
const took = performance.now() - began
console.log(`${holds} held in ${Math.round(took)} ms: ${Math.round((holds / took) * 1000)} a second`)
console.log(
  `heap per hold, the test's own call included: ${((heap() - before) / holds / 1024).toFixed(2)} KiB`,
)
await measure(`${holds} held`)
const sweeping = performance.now()
await approvals.sweep()
console.log(`a sweep over them: ${(performance.now() - sweeping).toFixed(2)} ms`)
const left = performance.now()
for (let i = 0; i < holds; i += 500) {
  for (const call of calls.slice(i, i + 500)) call.leave()
  await Promise.all(settling.slice(i, i + 500))
}
console.log(`all clients leave, each abandonment an entry: ${Math.round(performance.now() - left)} ms`)
console.log(`held in memory afterwards: ${JSON.stringify(approvals.held)}`)
approvals.stop()
await audit.close(1000)
await storage.close()
await rm(directory, { recursive: true })
