/** What somebody with a stolen key might do, and what it looks like: actions between those of its owner. */
import { wallTime } from './calendar.ts'
import { type Asked, connections, type Identity, operationOf } from './population.ts'
import { Chance } from './random.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export interface Attack {
  readonly kind: string
  readonly victim: Identity
  readonly from: number
  readonly until: number
  /** Its owner does nothing from then until then. */
  readonly stops: boolean
  found?: { readonly detector: string; readonly afterMs: number; readonly afterActions: number }
  /** How many of its actions have passed. */
  passed: number
}

export interface AttackKind {
  readonly name: string
  fits(victim: Identity): boolean
  /** Begins at this wall hour. */
  hour(chance: Chance): number
  readonly stopsMs?: number
  acts(of: Acting): Asked[]
}

interface Acting {
  readonly victim: Identity
  readonly chance: Chance
  readonly at: number
}

const anybody = (): boolean => true
const inHours = (chance: Chance): number => chance.between(10, 16)

/** `count` of the victim's usual actions, and what is changed of them. */
function usual(
  { victim, chance, at }: Acting,
  of: { count: number; gapMs: number } & Partial<Asked>,
): Asked[] {
  const { count, gapMs, ...changed } = of
  let time = at
  return Array.from({ length: count }, () => {
    time += chance.exponential(gapMs)
    return { ...victim.usual(Math.round(time)), denied: false, ...changed }
  })
}

/** Reads of everything that the victim's connection offers; much of it is refused. */
function enumerate(
  of: Acting,
  { count, gapMs, refused }: { count: number; gapMs: number; refused: number },
): Asked[] {
  const from = of.chance.whole(90)
  return usual(of, { count, gapMs }).map((each, i) => ({
    ...each,
    connection: of.victim.connections[0]!,
    operation: operationOf('read', (from + i) % 90),
    risk: 'read',
    denied: of.chance.happens(refused),
  }))
}

export const attackKinds: readonly AttackKind[] = [
  {
    name: 'a stolen key at night',
    fits: victim => victim.kind.keepsHours,
    hour: chance => chance.between(0.5, 4),
    acts: of => usual(of, { count: 40, gapMs: 30_000 }),
  },
  {
    name: 'sweep over operations',
    fits: anybody,
    hour: inHours,
    acts: of => enumerate(of, { count: 60, gapMs: 20_000, refused: 0.6 }),
  },
  {
    name: 'exfiltration of 400 MB in an hour',
    fits: anybody,
    hour: inHours,
    acts: of => usual(of, { count: 40, gapMs: 80_000, bytes: 10_000_000 }),
  },
  {
    name: 'exfiltration of 200,000 rows in an hour',
    fits: anybody,
    hour: inHours,
    acts: of => usual(of, { count: 40, gapMs: 80_000, rows: 5000 }),
  },
  {
    name: 'twenty refusals, then a success',
    fits: anybody,
    hour: inHours,
    acts: of => {
      const tried = usual(of, { count: 20, gapMs: 8000, denied: true })
      return [...tried, ...usual({ ...of, at: tried.at(-1)!.at }, { count: 1, gapMs: 8000 })]
    },
  },
  {
    name: 'surge: 400 actions in two minutes',
    fits: anybody,
    hour: inHours,
    acts: of => usual(of, { count: 400, gapMs: 300 }),
  },
  {
    name: 'another connection',
    fits: anybody,
    hour: inHours,
    acts: of => {
      const connection = connections.find(each => !of.victim.connections.includes(each))!
      return usual(of, { count: 5, gapMs: 60_000, connection })
    },
  },
  {
    name: 'a deletion that it never did',
    fits: anybody,
    hour: inHours,
    acts: of =>
      usual(of, {
        count: 1,
        gapMs: minuteMs,
        connection: of.victim.connections[0]!,
        operation: 'v1.deleteEverything',
        risk: 'delete',
      }),
  },
  {
    name: 'stopped for two days',
    fits: ({ kind: { name } }) => ['nightly jobs', 'ci', 'pollers', 'growing'].includes(name),
    hour: inHours,
    stopsMs: 48 * hourMs,
    acts: () => [],
  },
  {
    name: 'slow and low: a read never done every 15 minutes, for 8 hours',
    fits: anybody,
    hour: () => 9,
    acts: of => enumerate(of, { count: 32, gapMs: 15 * minuteMs, refused: 0.1 }),
  },
  {
    name: 'mimicry: thirty of its own actions in its own hours',
    fits: anybody,
    hour: inHours,
    acts: of => usual(of, { count: 30, gapMs: 2 * minuteMs }),
  },
]

const everyDays = 6
/** Before this age nobody is attacked: what is usual is not known by then. */
export const learningDays = 28

/**
 * Each identity in turn with every kind that fits it, one every six days, at an age from which it is known. Each kind
 * once: who was attacked so before has learned some of it.
 */
export function planAttacks(seed: string, of: { identities: readonly Identity[]; days: number }) {
  const attacks: { attack: Attack; acts: readonly Asked[] }[] = []
  for (const [index, victim] of of.identities.entries()) {
    const chance = new Chance(`${seed}/attacks/${victim.subject.id}`)
    const fitting = attackKinds.filter(each => each.fits(victim))
    let turn = 0
    for (
      let day = victim.begins + learningDays + (index % everyDays);
      day < of.days - 3 && turn < fitting.length;
      day += everyDays
    ) {
      // Those that keep hours are attacked on days on which they work, mostly.
      while (day % 7 > 4) day++
      const kind = fitting[(index + turn++) % fitting.length]!
      const at = wallTime(day, kind.hour(chance))
      const acts = kind.acts({ victim, chance, at })
      const until = at + (kind.stopsMs ?? 0)
      const stops = kind.stopsMs !== undefined
      attacks.push({ attack: { kind: kind.name, victim, from: at, until, stops, passed: 0 }, acts })
    }
  }
  return attacks
}
