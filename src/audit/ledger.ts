/**
 * What is open, and the counts that must add up (facts I5), kept in step with the durable log: every change is made
 * when its entry is durable, in log order, so at any commit the ledger says what a reader of the log would count.
 */
import type { EventKind } from './events.ts'
import { terminalKinds } from './events.ts'

/** Longest list of open numbers that a heartbeat carries, characters; past it only the low-water mark is said. */
const longestList = 6000

const terminal: ReadonlySet<string> = new Set(terminalKinds)

/** The kinds that carry the counters. */
export const countedKinds: ReadonlySet<string> = new Set(['heartbeat', 'log.opened', 'log.closed'])

export interface Ledger {
  /** Numbers of the intents without an end, ascending. */
  readonly intents: ReadonlySet<number>
  /** Open sessions and the numbers of their `session.started`, ascending. */
  readonly sessions: ReadonlyMap<string, number>
  /** Number of the last entry that carried the counters; -1 where there is none. */
  readonly counted: number
  /** Takes in one durable entry. */
  take(seq: number, kind: EventKind, of: { readonly intent?: number; readonly session?: string }): void
  /** Counts one refused attempt, which may have left no other trace in the log. */
  refuse(code: string): void
  /** The counters that entry `seq` carries; to be asked when all entries below it, and no other, were taken. */
  counters(seq: number): Counters
}

/** What a reader of the log can count too, but for `refused`: attempts by code since `log.opened`. */
export interface Counters {
  /** The entry that carried the counters before; absent in the first. */
  readonly since?: string
  /** Entries, intents and ends since then, this entry not among them. */
  readonly appended: number
  readonly intended: number
  readonly ended: number
  readonly open_intents: number
  readonly open_sessions: number
  /** Nothing below this was open. */
  readonly oldest_open: string
  /** The numbers of all that was open, as differences (`1841 3 12`); absent where they are too many. */
  readonly open?: { readonly intents: string; readonly sessions: string }
  readonly refused: Readonly<Record<string, number>>
}

export function newLedger(): Ledger {
  const intents = new Set<number>()
  const sessions = new Map<string, number>()
  const refused: Record<string, number> = {}
  let last = -1
  let intended = 0
  let ended = 0
  return {
    intents,
    sessions,
    get counted() {
      return last
    },
    take(seq, kind, { intent, session }) {
      if (kind === 'action.intended') {
        intents.add(seq)
        intended++
      } else if (terminal.has(kind)) {
        if (intent !== undefined) intents.delete(intent)
        ended++
      } else if (countedKinds.has(kind)) {
        last = seq
        intended = ended = 0
      } else if (session !== undefined && kind === 'session.started') sessions.set(session, seq)
      else if (session !== undefined && kind === 'session.ended') sessions.delete(session)
    },
    refuse(code) {
      refused[code] = (refused[code] ?? 0) + 1
    },
    counters(seq) {
      const openIntents = listOf(intents)
      const openSessions = listOf(sessions.values())
      const listed = openIntents !== undefined && openSessions !== undefined
      return {
        ...(last < 0 ? {} : { since: String(last) }),
        appended: seq - last - 1,
        intended,
        ended,
        open_intents: intents.size,
        open_sessions: sessions.size,
        oldest_open: String(Math.min(first(intents) ?? seq, first(sessions.values()) ?? seq)),
        ...(listed ? { open: { intents: openIntents, sessions: openSessions } } : {}),
        refused: { ...refused },
      }
    },
  }
}

function first(values: Iterable<number>): number | undefined {
  for (const value of values) return value
  return undefined
}

/** Ascending numbers as differences, `1841 3 12`; undefined when too long to carry. */
function listOf(values: Iterable<number>): string | undefined {
  let text = ''
  let last = 0
  for (const value of values) {
    text += `${text === '' ? '' : ' '}${value - last}`
    last = value
    if (text.length > longestList) return undefined
  }
  return text
}

/** The numbers of a list that a heartbeat carries. */
export function readList(text: string): number[] {
  let last = 0
  return text === '' ? [] : text.split(' ').map(step => (last += Number(step)))
}
