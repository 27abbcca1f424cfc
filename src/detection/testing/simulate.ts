/** Months of traffic through the real detectors, at a time of their own: nothing waits, and the same seed finds the same. */
import { type DetectionConfig, detectionSection } from '../../config/detection.ts'
import type { SubjectFacts } from '../../model/subject.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import { Detection } from '../detection.ts'
import type { Finding } from '../finding.ts'
import { Restrictions } from '../restrictions.ts'
import { type Attack, learningDays, planAttacks } from './attacks.ts'
import { beginning } from './calendar.ts'
import { type Asked, type Identity, populate } from './population.ts'
import { actionOf, permitted, sessionOf } from './watched-world.ts'

const dayMs = 86_400_000
const tickMs = 5 * 60_000

export interface Simulation {
  readonly seed: string
  readonly days: number
  /** Of the identities of each kind. */
  readonly share?: number
  readonly attacked?: boolean
  /** The gateway is started anew this often. */
  readonly restartDays?: number
  readonly config?: unknown
}

/** What was found though nobody did anything wrong. */
export interface FalseAlarm {
  readonly identity: Identity
  readonly at: number
  /** In the first four weeks of the identity. */
  readonly learning: boolean
  readonly finding: Finding
}

export interface Simulated {
  readonly days: number
  readonly identities: readonly Identity[]
  readonly falseAlarms: readonly FalseAlarm[]
  readonly attacks: readonly Attack[]
  readonly actions: number
  /** Of the processor, without what makes the traffic up. */
  readonly spentMs: number
  readonly state: MemoryState
}

type Act = Asked & { readonly identity: Identity; readonly attack?: Attack }

export async function simulate(of: Simulation): Promise<Simulated> {
  const identities = populate(of.seed, of.share)
  const run = new Run(identities, detectionSection.parse(of.config ?? {}))
  const planned = of.attacked === true ? planAttacks(of.seed, { identities, days: of.days }) : []
  const stops = planned.map(({ attack }) => attack).filter(each => each.stops)
  let ahead: Act[] = planned.flatMap(({ attack, acts }) =>
    acts.map(act => ({ ...act, identity: attack.victim, attack })),
  )
  ahead.sort((a, b) => a.at - b.at)
  await run.open()
  for (let day = 0; day < of.days; day++) {
    if (day > 0 && day % (of.restartDays ?? 28) === 0) await run.restart()
    const end = beginning + (day + 1) * dayMs
    // A day on walls begins before the day of UTC.
    const days = day === 0 ? [0, 1] : [day + 1]
    const made = days.flatMap(each =>
      identities.flatMap(identity => identity.day(each).map(asked => ({ ...asked, identity }))),
    )
    const stopped = (act: Act): boolean =>
      stops.some(({ victim, from, until }) => victim === act.identity && act.at >= from && act.at < until)
    const all = [...ahead, ...made.filter(act => !stopped(act))].toSorted((a, b) => a.at - b.at)
    const cut = all.findIndex(({ at }) => at >= end)
    ahead = cut === -1 ? [] : all.slice(cut)
    run.day(cut === -1 ? all : all.slice(0, cut), end, stops)
    await run.settle()
  }
  await run.close()
  const { falseAlarms, actions, spentMs, state } = run
  return {
    days: of.days,
    identities,
    falseAlarms,
    attacks: planned.map(({ attack }) => attack),
    actions,
    spentMs,
    state,
  }
}

class Run {
  readonly state = new MemoryState()
  readonly falseAlarms: FalseAlarm[] = []
  actions = 0
  spentMs = 0
  readonly #config: DetectionConfig
  readonly #byId: ReadonlyMap<string, Identity>
  readonly #sessions = new Map<string, ReturnType<typeof sessionOf>>()
  readonly #clock = { time: beginning, now: () => this.#clock.time }
  #current: Act | undefined
  #stops: readonly Attack[] = []
  #detection: Detection | undefined
  #ticked = beginning

  constructor(identities: readonly Identity[], config: DetectionConfig) {
    this.#config = config
    this.#byId = new Map(identities.map(each => [each.subject.id, each]))
  }

  async open(): Promise<void> {
    const { state } = this
    const clock = this.#clock
    const audit = {
      note: (_kind: string, attributes: Readonly<Record<string, unknown>>) => {
        this.#noted(attributes)
        return Promise.resolve({ index: 0, id: '' })
      },
    }
    const restrictions = new Restrictions({ state, audit, clock })
    const detection = new Detection({ config: this.#config, state, audit, clock, restrictions })
    detection.start()
    await detection.loaded()
    this.#detection = detection
  }

  async close(): Promise<void> {
    await this.#detection?.stop()
  }

  async restart(): Promise<void> {
    await this.close()
    await this.open()
  }

  /** Findings have their entries, and what was learned is kept. */
  async settle(): Promise<void> {
    await this.#detection?.settled()
    await new Promise(resolve => setImmediate(resolve))
  }

  day(acts: readonly Act[], end: number, stops: readonly Attack[]): void {
    this.#stops = stops
    const began = process.cpuUsage()
    for (const act of acts) {
      this.#tickUntil(act.at)
      this.#clock.time = Math.max(this.#clock.time, act.at)
      this.#current = act
      this.#act(act)
      this.#current = undefined
    }
    this.#tickUntil(end)
    const { user, system } = process.cpuUsage(began)
    this.spentMs += (user + system) / 1000
    this.actions += acts.length
  }

  #tickUntil(at: number): void {
    for (; this.#ticked + tickMs <= at; ) {
      this.#ticked += tickMs
      this.#clock.time = Math.max(this.#clock.time, this.#ticked)
      this.#detection!.tick()
    }
  }

  #act(act: Act): void {
    if (act.attack !== undefined) act.attack.passed++
    const session = this.#session(act)
    const { operation, risk, denied } = act
    const action = actionOf({ operation, risk })
    const decision = this.#detection!.inspect(action, denied ? refused : permitted, session)
    const outcome = decision.effect === 'permit' ? ('success' as const) : ('denied' as const)
    const passed = denied ? nothing : { bytesIn: 0, bytesOut: act.bytes, rows: act.rows }
    this.#detection!.ended({ session, action, outcome, ...passed })
  }

  #session({ identity, connection }: Act) {
    const name = `${identity.subject.id}\n${connection}`
    let session = this.#sessions.get(name)
    if (session === undefined) this.#sessions.set(name, (session = sessionOf(identity.subject, connection)))
    return session
  }

  #noted(attributes: Readonly<Record<string, unknown>>): void {
    const finding = attributes['detection'] as Finding
    const at = this.#clock.time
    const identity = this.#byId.get((attributes['subject'] as SubjectFacts).id)!
    const attack =
      this.#current?.attack ??
      this.#stops.find(each => each.victim === identity && at >= each.from && at <= each.until)
    if (attack === undefined) {
      const learning = at < beginning + (identity.begins + learningDays) * dayMs
      this.falseAlarms.push({ identity, at, learning, finding })
      return
    }
    attack.found ??= { detector: finding.detector, afterMs: at - attack.from, afterActions: attack.passed }
  }
}

const refused = { ...permitted, effect: 'deny' as const, reason: 'rule-denied' }
const nothing = { bytesIn: 0, bytesOut: 0, rows: 0 }
