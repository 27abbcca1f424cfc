/** Identities of many kinds, and what each does in a day: plausible, made up, the same for the same seed. */
import type { Action } from '../../model/action.ts'
import type { Subject, SubjectKind } from '../../model/subject.ts'
import { beginsMonth, isRelease, isWorkday, wallTime } from './calendar.ts'
import { Chance, Zipf } from './random.ts'

type Risk = Action['risk']

/** One action that is asked for. */
export interface Asked {
  readonly at: number
  readonly connection: string
  readonly operation: string
  readonly risk: Risk
  readonly denied: boolean
  readonly bytes: number
  readonly rows: number
}

/** A piece of work: so many actions, one after another. */
interface Task {
  readonly at: number
  readonly actions: number
  /** Mean time between two of them. */
  readonly gapMs: number
  /** Of an action, of the median. */
  readonly bytes?: number
  readonly rows?: number
  /** All are refused. */
  readonly refused?: boolean
}

export interface Kind {
  readonly name: string
  readonly count: number
  readonly subject: SubjectKind
  readonly connections: number
  /** Of what it does. */
  readonly reads: number
  /** How narrow its work is: the exponent of Zipf's law, and of how many operations of a risk it makes use at most. */
  readonly habit: number
  readonly width: number
  /** Share of actions that policy refuses as a matter of course. */
  readonly refusals: number
  /** It keeps to the hours of people. */
  readonly keepsHours: boolean
  /** Day on which the i-th of them comes. */
  begins?(index: number): number
  day(of: Identity, day: number): Task[]
}

const catalogue: Readonly<Record<Risk, number>> = { read: 90, write: 40, delete: 15, admin: 5 }
export const connections = Array.from({ length: 12 }, (_, i) => `connection-${i}`)

export function operationOf(risk: Risk, number: number): string {
  return `v1.${risk}${number}`
}

export class Identity {
  readonly subject: Subject
  readonly kind: Kind
  readonly begins: number
  readonly chance: Chance
  readonly connections: readonly string[]
  /** Its own hour to begin work. */
  readonly morning: number
  readonly #holiday: number
  readonly #orders: Readonly<Record<Risk, readonly number[]>>
  readonly #zipf: Readonly<Record<Risk, Zipf>>

  constructor(kind: Kind, of: { readonly index: number; readonly seed: string }) {
    const id = `${kind.name.replaceAll(' ', '-')}-${of.index}`
    const chance = new Chance(`${of.seed}/${id}`)
    this.kind = kind
    this.chance = chance
    this.begins = kind.begins?.(of.index) ?? 0
    this.subject = subjectOf(id, kind.subject)
    this.connections = shuffled(connections, chance).slice(0, kind.connections)
    this.morning = chance.normal(8.5, 0.7)
    this.#holiday = 40 + chance.whole(90)
    const each = <T>(make: (risk: Risk) => T): Record<Risk, T> => ({
      read: make('read'),
      write: make('write'),
      delete: make('delete'),
      admin: make('admin'),
    })
    this.#orders = each(risk =>
      shuffled(
        Array.from({ length: catalogue[risk] }, (_, i) => i),
        chance,
      ),
    )
    this.#zipf = each(risk => new Zipf(Math.min(kind.width, catalogue[risk]), kind.habit))
  }

  /** Two weeks once. */
  isAway(day: number): boolean {
    return day >= this.#holiday && day < this.#holiday + 14
  }

  /** What it asks for in tasks that begin on this day; they may end on the next. */
  day(day: number): Asked[] {
    if (day < this.begins) return []
    return this.kind.day(this, day).flatMap(task => [...this.#perform(task)])
  }

  /** An action as it usually is. */
  usual(at: number, of: Partial<Task> = {}): Asked {
    const { chance, kind } = this
    const risk = chance.happens(kind.reads) ? 'read' : this.#graver()
    const number = this.#orders[risk][this.#zipf[risk].draw(chance)]!
    const connection = this.connections[Math.floor(this.connections.length * chance.next() ** 2)]!
    const denied = of.refused === true || chance.happens(kind.refusals)
    const bytes = Math.round(chance.lognormal(of.bytes ?? 4000, 1))
    const rows = of.rows === undefined ? chance.whole(20) : Math.round(chance.lognormal(of.rows, 2))
    return { at, connection, operation: operationOf(risk, number), risk, denied, bytes, rows }
  }

  #graver(): Risk {
    const at = this.chance.next()
    return at < 0.88 ? 'write' : at < 0.98 ? 'delete' : 'admin'
  }

  *#perform(task: Task): Generator<Asked> {
    let at = task.at
    for (let i = 0; i < task.actions; i++) {
      yield this.usual(Math.round(at), task)
      at += this.chance.exponential(task.gapMs)
    }
  }
}

export function subjectOf(id: string, kind: SubjectKind): Subject {
  const issuer = 'https://issuer.example.com'
  return {
    issuer,
    id,
    kind,
    groups: [],
    method: 'oidc',
    claims: {},
    ...(kind === 'agent' ? { onBehalfOf: { issuer, id: `person-of-${id}` } } : {}),
  }
}

function shuffled<T>(values: readonly T[], chance: Chance): T[] {
  const all = [...values]
  for (let i = all.length - 1; i > 0; i--) {
    const j = chance.whole(i + 1)
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all
}

const size = (chance: Chance, median: number, sigma: number): number =>
  Math.max(1, Math.round(chance.lognormal(median, sigma)))

/** An hour of a working day: more before noon and in the afternoon than at lunch. */
function workHour({ chance, morning }: Identity): number {
  return chance.happens(0.5) ? chance.normal(morning + 2, 0.9) : chance.normal(morning + 6.5, 1.2)
}

/** Work of somebody who keeps hours: `tasks` on a working day, at times in an evening or at a weekend. */
function officeWork(
  of: Identity,
  day: number,
  work: { tasks: number; actions: number; gapMs: number },
): Task[] {
  const { chance } = of
  const free = !isWorkday(day) || of.isAway(day)
  if (free && !chance.happens(of.isAway(day) ? 0 : 0.01)) return []
  const many = free ? 1 : isRelease(day) ? work.tasks * 3 : work.tasks
  const task = (hour: number): Task => ({
    at: wallTime(day, hour),
    actions: size(chance, work.actions, 1),
    gapMs: work.gapMs,
  })
  const tasks = Array.from({ length: chance.poisson(many) }, () => task(workHour(of)))
  if (chance.happens(0.03)) tasks.push(task(chance.between(19, 22)))
  return tasks
}

const agentsOfPeople: Omit<Kind, 'name' | 'count' | 'day'> = {
  subject: 'agent',
  connections: 3,
  reads: 0.8,
  habit: 1.3,
  width: 30,
  refusals: 0.004,
  keepsHours: true,
}

export const kinds: readonly Kind[] = [
  {
    ...agentsOfPeople,
    name: 'agents of people',
    count: 20,
    day: (of, day) => officeWork(of, day, { tasks: 8, actions: 15, gapMs: 4000 }),
  },
  {
    ...agentsOfPeople,
    name: 'people',
    count: 8,
    subject: 'user',
    connections: 2,
    width: 20,
    day: (of, day) => officeWork(of, day, { tasks: 4, actions: 6, gapMs: 15_000 }),
  },
  {
    ...agentsOfPeople,
    name: 'newcomers',
    count: 24,
    begins: index => 7 + index * 7,
    day: (of, day) =>
      officeWork(of, day, { tasks: Math.min(8, 2 + (day - of.begins) / 4), actions: 15, gapMs: 4000 }),
  },
  {
    ...agentsOfPeople,
    name: 'on call',
    count: 6,
    keepsHours: false,
    connections: 5,
    reads: 0.92,
    width: 60,
    day: (of, day) => {
      const incidents = Array.from({ length: of.chance.poisson(0.35) }, () => ({
        at: wallTime(day, of.chance.between(0, 24)),
        actions: size(of.chance, 150, 0.8),
        gapMs: 2000,
        bytes: 30_000,
      }))
      return [...officeWork(of, day, { tasks: 1.5, actions: 10, gapMs: 5000 }), ...incidents]
    },
  },
  {
    ...agentsOfPeople,
    name: 'shifts',
    count: 4,
    keepsHours: false,
    day: (of, day) => {
      const from = [6, 14, 22][Math.floor(day / 7) % 3]!
      if (day % 7 > 4) return []
      return Array.from({ length: of.chance.poisson(8) }, () => ({
        at: wallTime(day, from + of.chance.between(0, 8)),
        actions: size(of.chance, 12, 0.8),
        gapMs: 5000,
      }))
    },
  },
  {
    name: 'nightly jobs',
    count: 6,
    subject: 'service',
    connections: 1,
    reads: 0.9,
    habit: 0.5,
    width: 4,
    refusals: 0,
    keepsHours: false,
    day: ({ chance }, day) => {
      const actions = size(chance, beginsMonth(day) ? 360 : 120, 0.15)
      const run = (hour: number): Task => ({ at: wallTime(day, hour), actions, gapMs: 1000, bytes: 200_000 })
      const tasks = [run(2 + chance.between(0, 0.1))]
      if (chance.happens(0.02)) tasks.push(run(chance.between(7, 10)))
      return tasks
    },
  },
  {
    name: 'ci',
    count: 6,
    subject: 'service',
    connections: 2,
    reads: 0.5,
    habit: 1,
    width: 6,
    refusals: 0,
    keepsHours: false,
    day: ({ chance }, day) => {
      const busy = isWorkday(day) ? (isRelease(day) ? 160 : 40) : 3
      const pipeline = (hour: number): Task[] => {
        const refused = chance.happens(0.0008)
        const actions = refused ? 6 + chance.whole(20) : size(chance, 25, 0.7)
        const task = { at: wallTime(day, hour), actions, gapMs: 500, refused }
        // It is tried again as a whole.
        return chance.happens(0.08) ? [task, { ...task, at: task.at + actions * 500 + 20_000 }] : [task]
      }
      const hours = Array.from({ length: chance.poisson(busy) }, () => chance.normal(13, 3))
      const nights = Array.from({ length: chance.poisson(2) }, () => chance.between(0, 24))
      return [...hours, ...nights].flatMap(pipeline)
    },
  },
  {
    name: 'pollers',
    count: 6,
    subject: 'service',
    connections: 1,
    reads: 1,
    habit: 0.3,
    width: 3,
    refusals: 0,
    keepsHours: false,
    day: ({ chance }, day) => {
      // Deployed again for ten minutes at times; rarely an outage of an hour or three.
      const outage = chance.happens(0.03) ? chance.between(60, 180) : chance.happens(0.1) ? 10 : 0
      const from = chance.between(0, 1440 - outage)
      return Array.from({ length: 1440 }, (_, i) => ({
        at: wallTime(day, i / 60),
        actions: 1,
        gapMs: 0,
      })).filter((_, i) => i < from || i > from + outage)
    },
  },
  {
    ...agentsOfPeople,
    name: 'growing',
    count: 3,
    keepsHours: false,
    subject: 'service',
    refusals: 0,
    day: ({ chance, begins }, day) =>
      Array.from({ length: chance.poisson(20 * 1.06 ** ((day - begins) / 7)) }, () => ({
        at: wallTime(day, chance.between(0, 24)),
        actions: size(chance, 10, 0.7),
        gapMs: 2000,
      })),
  },
  {
    ...agentsOfPeople,
    name: 'monthly batch',
    count: 3,
    subject: 'service',
    connections: 1,
    width: 5,
    refusals: 0,
    day: ({ chance }, day) => {
      const weekly = day % 7 === 0 ? [{ at: wallTime(day, 6), actions: 10, gapMs: 2000 }] : []
      const monthly = beginsMonth(day)
        ? [{ at: wallTime(day, 9 + chance.next()), actions: size(chance, 2000, 0.2), gapMs: 300 }]
        : []
      return [...weekly, ...monthly]
    },
  },
  {
    ...agentsOfPeople,
    name: 'analysts',
    count: 5,
    reads: 0.97,
    day: (of, day) =>
      officeWork(of, day, { tasks: 5, actions: 3, gapMs: 60_000 }).map(task => ({
        ...task,
        bytes: 300_000,
        rows: 2000,
      })),
  },
]

/** `share`: of each kind, at least one. */
export function populate(seed: string, share = 1): Identity[] {
  return kinds.flatMap(kind =>
    Array.from({ length: Math.ceil(kind.count * share) }, (_, index) => new Identity(kind, { index, seed })),
  )
}
