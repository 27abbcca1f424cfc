/**
 * Notices, while identities act, what should not pass silently. It stands on the path as a guard and learns how actions
 * end as an observer, so a finding holds for the very action that made it; its entry is written behind. In memory, at a
 * bounded cost for each action; what was learned is kept over a restart.
 */
import type { Audit, ClientFacts } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { DetectionConfig, DetectorName } from '../config/detection.ts'
import type { Logger } from '../log.ts'
import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision } from '../model/decision.ts'
import type { Subject, SubjectFacts } from '../model/subject.ts'
import { subjectFacts } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { type Answer, type Answers, compileAnswers, termsFor } from './answers.ts'
import {
  countsAsNovel,
  findDenialStreak,
  findFirstUse,
  findOffHours,
  findSilence,
  findSurge,
  findSweep,
  findVolume,
  mostLearned,
  type Sight,
} from './detectors.ts'
import { type Finding, findingKinds } from './finding.ts'
import { hoursIn, WeekClock } from './hour-of-week.ts'
import { Memory, type Watched } from './memory.ts'
import type { Restricted, Restrictions } from './restrictions.ts'
import { Telling } from './telling.ts'

/** A session as far as this goes. */
interface Seen {
  readonly id: string
  readonly subject: Subject
  readonly target: Connection
  readonly connection: { readonly name: string; readonly protocol: string; readonly sensitivity: string }
  readonly client: ClientFacts
}

interface Ended {
  readonly session: Seen
  readonly action: Action
  readonly outcome: 'success' | 'failure' | 'denied'
  readonly bytesIn: number
  readonly bytesOut: number
  readonly rows: number
}

export interface DetectionParts {
  readonly config: DetectionConfig
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  readonly restrictions: Restrictions
  readonly logger?: Pick<Logger, 'warn' | 'info'>
}

/** How soon what was learned is asked for again, where the store did not give it. */
const loadAgainMs = 30_000
const tickMs = 5000
const hourMs = 3_600_000
/** How long the same is not told again of the same identity. */
const quietMs: Readonly<Record<DetectorName, number>> = {
  surge: hourMs,
  volume: hourMs,
  first_use: 0,
  sweep: 12 * hourMs,
  off_hours: 12 * hourMs,
  denial_streak: hourMs,
  silence: 0,
}
/** First uses that are told of one identity: so many are known to have been, and so many at most in a day. */
const mostTold = 256
const mostToldADay = 50

export class Detection {
  readonly name = 'detection'
  readonly #parts: DetectionParts
  readonly #memory: Memory
  readonly #week: WeekClock
  readonly #telling: Telling
  #config: DetectionConfig
  #answers: Answers
  #hours: ReadonlySet<number>
  /** What was kept is not all there yet: nothing is said of what is usual. */
  #ready = false
  #loading: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #again: NodeJS.Timeout | undefined
  #stopped = false

  constructor(parts: DetectionParts) {
    const { config, state, clock } = parts
    this.#parts = parts
    this.#config = config
    this.#answers = compileAnswers(config)
    this.#hours = hoursOf(config)
    this.#week = new WeekClock(config.timezone)
    this.#telling = new Telling(parts.audit)
    this.#memory = new Memory({
      state,
      clock,
      identities: config.identities,
      streakMs: config.denial_streak.within,
      place: now => this.#week.at(now),
    })
  }

  /** Begins to take up what was learned. Ceilings and configured hours hold at once, the rest when it is there. */
  start(): void {
    if (!this.#config.enabled) return
    this.#loading = this.#load()
    this.#timer = setInterval(() => this.tick(), tickMs).unref()
  }

  /** Without what was learned everything would be new: with ceilings alone the gateway goes on, and asks again. */
  async #load(): Promise<void> {
    try {
      await this.#memory.load()
      this.#ready = true
    } catch (error) {
      this.#parts.logger?.warn(
        'what is usual for identities can not be read: until then ceilings alone hold',
        {
          error: error instanceof Error ? error.message : String(error),
          again_in_ms: loadAgainMs,
        },
      )
      if (this.#stopped) return
      this.#again = setTimeout(() => void (this.#loading = this.#load()), loadAgainMs).unref()
    }
  }

  /** Resolves when what was kept is taken up, or could not be. */
  async loaded(): Promise<void> {
    await this.#loading
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    clearTimeout(this.#again)
    this.#stopped = true
    await this.#loading
    if (this.#ready) await this.#memory.save(true)
    await this.#telling.stop()
  }

  /** Takes up a changed configuration; `identities`, `timezone` and the time of a streak are those of the start. */
  configure(config: DetectionConfig): void {
    this.#config = config
    this.#answers = compileAnswers(config)
    this.#hours = hoursOf(config)
  }

  /** Resolves when every finding so far has its entry. */
  async settled(): Promise<void> {
    await this.#telling.settled()
  }

  get dropped(): number {
    return this.#telling.dropped
  }

  /** Identities that have acted here, for whoever wants to name one. */
  identities(): SubjectFacts[] {
    return [...this.#memory.all()].map(({ learned }) => learned.subject)
  }

  inspect(action: Action, decision: Decision, session: Seen): Decision {
    const { restrictions, clock } = this.#parts
    if (!this.#config.enabled || restrictions.suspension(session.subject) !== undefined) return decision
    const now = clock.now()
    const { sight, watched, newHour } = this.#look(session.subject, now)
    const { surge, off_hours: offHours } = this.#config
    if (decision.effect === 'deny' && decision.retryAfterMs === undefined) watched.learned.deny(now)
    if (surge.enabled) this.#found(findSurge(sight), { watched, session, action, now })
    if (newHour && offHours.enabled && (this.#ready || this.#hours.size > 0))
      this.#found(findOffHours(sight, this.#hours), { watched, session, action, now })
    if (!this.#ready) return decision
    const about = { watched, session, action, now }
    const hash = this.#memory.hashOf(session.connection.name, action.operation)
    if (!watched.learned.operations.has(hash)) this.#sweep(sight, hash, about)
    return decision.effect === 'deny' ? decision : this.#firstUse(sight, { decision, hash }, about)
  }

  ended(of: Ended): void {
    if (!this.#config.enabled) return
    const { session, action, outcome } = of
    const watched = this.#memory.find(session.subject)
    if (watched === undefined) return
    const now = this.#parts.clock.now()
    const { learned } = watched
    const sight = { config: this.#config, learned, now, place: this.#week.at(now) }
    learned.pass(of.bytesIn + of.bytesOut, of.rows, this.#most(watched, sight))
    const about = { watched, session, action, now }
    if (this.#config.volume.enabled) this.#found(findVolume(sight), about)
    if (outcome !== 'success') return
    if (this.#config.denial_streak.enabled) this.#found(findDenialStreak(sight), about)
    const refused = learned.denials.at(now)
    if (refused > 0) learned.endStreak(refused, this.#most(watched, sight))
    learned.learnConnection(session.connection.name, now)
    const hash = this.#memory.hashOf(session.connection.name, action.operation)
    learned.learnOperation(hash, { risk: action.risk, now })
  }

  /** Silences, and keeping what was learned. By itself every few seconds once started. */
  tick(): void {
    if (!this.#ready) return
    const now = this.#parts.clock.now()
    const { silence } = this.#config
    for (const watched of this.#memory.all()) {
      const { learned } = watched
      if (!silence.enabled || watched.silent || !silence.kinds.includes(learned.subject.kind as 'agent'))
        continue
      const finding = findSilence({ config: this.#config, learned, now, place: 0 })
      if (finding === undefined) continue
      watched.silent = true
      this.#telling.tell(findingKinds.silence, { subject: learned.subject, detection: factsOf(finding) })
    }
    void this.#memory.save(false)
  }

  #look(subject: Subject, now: number): { sight: Sight; watched: Watched; newHour: boolean } {
    const watched = this.#memory.of(subject, now)
    const { learned } = watched
    const place = this.#week.at(now)
    const sight = { config: this.#config, learned, now, place }
    if (learned.advance(now, place)) watched.most = undefined
    const newHour = learned.count.hour === 0
    learned.arrive(now, this.#most(watched, sight))
    watched.silent = false
    return { sight, watched, newHour }
  }

  #most(watched: Watched, sight: Sight) {
    return (watched.most ??= mostLearned(sight))
  }

  #sweep(sight: Sight, hash: number, about: About): void {
    const { watched, session } = about
    if (!this.#config.sweep.enabled || !countsAsNovel(sight, session.connection.name)) return
    if (watched.learned.attempt(hash, this.#most(watched, sight))) this.#found(findSweep(sight), about)
  }

  /** Told once; where the answer is to ask, asked until it was used with success. */
  #firstUse(
    sight: Sight,
    of: { readonly decision: Decision; readonly hash: number },
    about: About,
  ): Decision {
    const { decision, hash } = of
    if (!this.#config.first_use.enabled) return decision
    const { session, action, watched } = about
    const { operation, risk } = action
    const connection = session.connection.name
    const used = { connection, operation, risk, hash }
    const first = findFirstUse(sight, used, 0)
    if (first === undefined) return decision
    const answer = this.#answers(first, session.subject, session.target)
    // Whoever wants an answer to first uses wants it to each.
    const finding = answer === undefined ? findFirstUse(sight, used) : first
    const isOperation = watched.learned.connections.has(connection)
    if (
      finding !== undefined &&
      isUntold(watched, isOperation ? hash : this.#memory.hashOf(connection, ''), sight.now)
    ) {
      if (isOperation) watched.learned.latest[risk] = sight.now
      this.#found(finding, about)
    }
    const terms = answer?.answer === 'ask' ? termsFor(answer, first) : undefined
    if (decision.effect !== 'permit' || terms === undefined) return decision
    return { ...decision, effect: 'ask', reason: 'first-use', approval: terms }
  }

  #found(finding: Finding | undefined, about: About): void {
    if (finding === undefined) return
    const { watched, session, action, now } = about
    const { detector } = finding
    const quiet = watched.quiet.get(detector) ?? 0
    // One that ends later than it can was begun by a clock that was ahead.
    if (quiet > now && quiet <= now + quietMs[detector]) return
    watched.quiet.set(detector, now + quietMs[detector])
    const answer = this.#answers(finding, session.subject, session.target)
    this.#telling.tell(findingKinds[detector], {
      session: session.id,
      subject: subjectFacts(session.subject),
      client: session.client,
      connection: session.connection,
      action: action.id,
      operation: action.operation,
      risk: action.risk,
      detection: factsOf(finding, answer),
    })
    if (answer !== undefined) this.#restrict(finding, answer, about)
  }

  #restrict(finding: Finding, answer: Answer, { session, now }: About): void {
    // What is used for the first time is asked about by itself; that says nothing of what else the identity does.
    if (answer.answer === 'ask' && finding.detector === 'first_use') return
    const terms = termsFor(answer, finding)
    const { restrictions } = this.#parts
    const imposed = restrictions.impose(
      {
        kind: answer.answer,
        who: whoIs(session.subject),
        reason: finding.words,
        detector: finding.detector,
        ...(answer.answer === 'suspend' ? {} : { until: now + answer.for }),
        ...(answer.answer === 'slow' ? { limit: answer.limit } : {}),
        ...(answer.answer === 'ask' && terms !== undefined ? { terms } : {}),
      },
      session.id,
    )
    // It holds already; the store is asked again until it has it.
    imposed.catch(() => undefined)
  }
}

interface About {
  readonly watched: Watched
  readonly session: Seen
  readonly action: Action
  readonly now: number
}

/** Whether it is to be told, and from then on it is told. */
function isUntold(watched: Watched, hash: number, now: number): boolean {
  const { told, toldToday } = watched
  const day = Math.floor(now / (24 * hourMs))
  if (told.has(hash)) return false
  if (toldToday.day !== day) Object.assign(toldToday, { day, count: 0 })
  if (++toldToday.count > mostToldADay) return false
  if (told.size >= mostTold) told.delete(told.values().next().value!)
  told.add(hash)
  return true
}

function whoIs(subject: Subject): Restricted {
  const { method: _, ...who } = subjectFacts(subject)
  return who
}

function hoursOf({ off_hours: { hours } }: DetectionConfig): ReadonlySet<number> {
  return new Set(hours.flatMap(each => [...hoursIn(each)]))
}

function factsOf(finding: Finding, answer?: Answer): Readonly<Record<string, unknown>> {
  return { ...finding, ...(answer === undefined ? {} : { answer: answer.answer }) }
}
