/**
 * False alarms, and attacks noticed, in simulated months: `script/node bench/detection.ts [--keep]`. The real detectors
 * over made-up traffic at a time of their own; the same seed gives the same figures, except those of time and memory.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type DetectorName, detectionSection, detectors } from '../src/config/detection.ts'
import { Detection } from '../src/detection/detection.ts'
import { Restrictions } from '../src/detection/restrictions.ts'
import type { LearnedState } from '../src/detection/learned.ts'
import { alarmsOf, caughtOf, kindNames } from '../src/detection/testing/figures.ts'
import { type Simulated, simulate } from '../src/detection/testing/simulate.ts'
import { timeWords } from '../src/detection/finding.ts'
import { MemoryState } from '../src/storage/memory/memory-state.ts'
import { count, currentLoad, describeMachine, met, publish, table } from './support/report.ts'

const busyAtStart = currentLoad()
const seed = 'months'
const days = 168
/** Of the smaller runs that compare thresholds. */
const small = { days: 98, share: 0.3 }

function alarmTable(of: Simulated, learning: boolean): string {
  const rows = [...kindNames, undefined].map(kind => {
    const { perMonth, byDetector } = alarmsOf(of, { learning, ...(kind === undefined ? {} : { kind }) })
    const identities = of.identities.filter(each => kind === undefined || each.kind.name === kind).length
    const each = detectors.map(name => shortly(byDetector[name] ?? 0))
    return [kind ?? '**all**', `${identities}`, shortly(perMonth), shortly((perMonth * 7) / 30), ...each]
  })
  return table(['identities', 'how many', 'a month', 'a week', ...detectors], rows)
}

function attackTable(of: Simulated): string {
  const rows = caughtOf(of).map(({ kind, attacks, found, delayMs, actions, by }) => [
    kind,
    `${attacks}`,
    `${Math.round((100 * found) / attacks)} %`,
    found === 0 ? '' : timeWords(delayMs),
    found === 0 || actions === 0 ? '' : `${actions}`,
    Object.entries(by)
      .toSorted(([, a], [, b]) => b! - a!)
      .map(([name, times]) => `${name} ${times}`)
      .join(', '),
  ])
  return table(['attack', 'tried', 'noticed', 'after', 'actions', 'by'], rows)
}

function shortly(value: number): string {
  return value === 0 ? '0' : value.toFixed(2)
}

const variants: readonly (readonly [name: string, config: object])[] = [
  ['defaults', {}],
  ['surge.factor 1.5', { surge: { factor: 1.5 } }],
  ['surge.factor 3', { surge: { factor: 3 } }],
  ['volume.factor 2', { volume: { factor: 2 } }],
  ['volume.factor 8', { volume: { factor: 8 } }],
  ['first_use.settled 0s', { first_use: { settled: '0s' } }],
  ['first_use.settled 14d', { first_use: { settled: '14d' } }],
  ['first_use.settled 56d', { first_use: { settled: '56d' } }],
  ['off_hours.settled 0s', { off_hours: { settled: '0s' } }],
  ['off_hours.settled 28d', { off_hours: { settled: '28d' } }],
  ['sweep.least 5', { sweep: { least: 5, factor: 1.5 } }],
  ['sweep.least 30', { sweep: { least: 30 } }],
  ['denial_streak.count 10', { denial_streak: { count: 10 } }],
  ['silence.regular 80h', { silence: { regular: '80h' } }],
]

/** A detector's share of the attacks that are its to find. */
const owed: Readonly<Partial<Record<DetectorName, string>>> = {
  surge: 'surge',
  volume: 'exfiltration',
  first_use: 'a deletion',
  sweep: 'slow and low',
  off_hours: 'a stolen key',
  denial_streak: 'twenty refusals',
  silence: 'stopped',
}

async function variantTable(): Promise<string> {
  const rows: string[][] = []
  for (const [name, config] of variants) {
    const peace = await simulate({ seed, ...small, config })
    const attacked = caughtOf(await simulate({ seed, ...small, config, attacked: true }))
    const shares = Object.values(owed).map(begins => {
      const those = attacked.filter(({ kind }) => kind.startsWith(begins))
      const sum = (of: 'found' | 'attacks'): number => those.reduce((total, each) => total + each[of], 0)
      return `${Math.round((100 * sum('found')) / sum('attacks'))} %`
    })
    rows.push([name, shortly(alarmsOf(peace, { learning: false }).perMonth), ...shares])
    console.error(rows.at(-1)!.join('  '))
  }
  return table(['', 'false alarms a month', ...Object.values(owed)], rows)
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of memory for each of many identities that are remembered in this state. */
async function bytesEach(states: readonly LearnedState[], many: number): Promise<number> {
  const state = new MemoryState()
  for (let i = 0; i < many; i++) {
    const learned = states[i % states.length]!
    await state.put('detection', `i:${i}`, { ...learned, subject: { ...learned.subject, id: `x-${i}` } }, 0)
  }
  const clock = { now: () => Date.now() }
  const audit = { note: () => Promise.resolve({ index: 0, id: '' }) }
  const restrictions = new Restrictions({ state, audit, clock })
  collect()
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const config = detectionSection.parse({ identities: 100_000 })
  const detection = new Detection({ config, state, audit, clock, restrictions })
  detection.start()
  await detection.loaded()
  collect()
  const bytes = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before
  if (detection.identities().length !== many) throw new Error('not all were taken up')
  await detection.stop()
  return bytes / many
}

function fullest(learned: LearnedState): LearnedState {
  return {
    ...learned,
    connections: Array.from({ length: 256 }, (_, i) => [`a-connection-of-many-${i}`, 0] as const),
    operations: Array.from({ length: 1024 }, (_, i) => i * 4_000_037),
  }
}

const peace = await simulate({ seed, days })
const attacked = await simulate({ seed, days, attacked: true })
const later = alarmsOf(peace, { learning: false })
const first = alarmsOf(peace, { learning: true })
const states = (await peace.state.list<LearnedState>('detection', { prefix: 'i:' })).map(({ value }) => value)
const each = await bytesEach(states, 5000)
const full = await bytesEach([fullest(states[0]!)], 500)
const target = 1

publish(
  'detection',
  `# Detection: false alarms, and attacks noticed

\`script/bench detection\`. ${describeMachine(busyAtStart)}

${peace.identities.length} made-up identities of ${kindNames.length} kinds over ${days} days (${count(peace.actions)} actions), with weekends, public holidays, two weeks' leave, releases that triple work, a change to summer time, somebody new every week, and the gateway started anew every four weeks. \`src/detection/testing/population.ts\` says what each kind does; sizes are lognormal, operations are used by Zipf's law, and nobody's work is ever finished: new operations go on coming up. The configuration is the default one. Nothing here was measured on a company's real traffic.

## False alarms

A false alarm is any finding without an attack. Target: at most ${target} for an identity and month after the first four weeks, of all kinds together. Measured: **${shortly(later.perMonth)}** (${met(later.perMonth <= target)}), which is ${((later.perMonth * 1000) / 30).toFixed(0)} a day for a thousand identities; in the first four weeks of an identity ${shortly(first.perMonth)} a month.

After the first four weeks, for each identity and month:

${alarmTable(peace, false)}

In the first four weeks:

${alarmTable(peace, true)}

## Attacks

One on each identity every six days, of each kind once, after its first four weeks, between its owner's own work. \`after\` and \`actions\`: median, from the attack's first action to the first finding that one of its actions made.

${attackTable(attacked)}

What is not noticed: whoever does what its owner does, when and as much as its owner does it (mimicry). A deletion is told of where the owner did not delete anything new for four weeks; of an agent that does new things every week one more is no news. Where each must be seen, an answer (\`on: [first_use]\`) makes it so. A stopped agent is noticed where it used to work around the clock.

## Thresholds

A third of the identities, ${small.days} days; the share noticed of the attacks that each detector is for.

${await variantTable()}

## Cost

${((1000 * peace.spentMs) / peace.actions).toFixed(1)} µs for an action, its decision and its end together, with the look for silences every five minutes in it. ${(each / 1000).toFixed(1)} kB of memory for an identity as it is after these months, ${(full / 1000).toFixed(0)} kB for one that has used as many operations (1,024) and connections (256) as are remembered. By number it is bounded by \`detection.identities\` (10,000), and all operations together by 500,000.
`,
  process.argv.includes('--keep'),
)
