/**
 * Reads what the entries say: numbers without a gap (I3), one end for each intent (I2), a beginning for each run (I4),
 * and counters that add up (I5).
 */
import type { Findings } from './findings.ts'

type Fields = Readonly<Record<string, unknown>>

const ends = new Set([
  'action.completed',
  'action.failed',
  'action.denied',
  'action.not_forwarded',
  'action.outcome_unknown',
])
const countedKinds = new Set(['heartbeat', 'log.opened', 'log.closed'])

/** Stands for the action of an intent that was not there to be read. */
const unread = Symbol('unread')

export interface NamedBlob {
  readonly hash: string
  readonly length: number
  readonly entry: number
  readonly session: string
}

export interface Completeness {
  readonly intents: number
  readonly ends: number
  /** Intents without an end so far, of the run that is still going. */
  readonly open: number
  readonly runs: number
  /** The last run ended in good order. */
  readonly closed: boolean
  /** Longest time between two entries that carry counters within a run, seconds. */
  readonly longestSilence: number
  /** Attempts that were refused, by code, as the runs counted them. */
  readonly refused: Readonly<Record<string, number>>
}

export class CompletenessCheck {
  readonly blobs: NamedBlob[] = []
  /** Sessions whose recordings were removed when their time had ended, as entries say. */
  readonly expired = new Set<string>()
  readonly #findings: Findings
  readonly #origin: string
  readonly #open = new Map<number, unknown>()
  readonly #sessions = new Map<unknown, number>()
  readonly #refused: Record<string, number> = {}
  /** The next entry that should come. */
  #next = 0
  /** Entries before this one were not there to be read. */
  #gap = 0
  /** True from a gap on until an entry says what was open. */
  #adopting = false
  /** Sessions that began before the gap and have not ended. Which of them ends when can't be told. */
  #strangers = 0
  #ofRun: Fields = {}
  #since = -1
  #sinceTime = 0
  #silence = 0
  #intended = 0
  #ended = 0
  #intents = 0
  #ends = 0
  #runs = 0
  #last = ''
  /** Where the ends that a start writes for a crashed run begin, and the root before them. */
  #recovery: { readonly at: number; readonly root: Buffer; readonly closed: boolean } | undefined

  constructor(findings: Findings, origin: string) {
    this.#findings = findings
    this.#origin = origin
  }

  /** Entries come in order; some may not be there (removed by policy, or missing), and nothing is held against those. */
  take(index: number, bytes: Buffer, root: () => Buffer): void {
    const entry = parse(bytes)
    if (entry === undefined) return this.#fault('entry-malformed', `entry ${index} is not a JSON object`)
    const kind = String(entry['kind'])
    if (entry['seq'] !== String(index))
      this.#fault('seq-gap', `entry ${index} says it is ${String(entry['seq'])}`)
    if (entry['log'] !== this.#origin)
      this.#fault('other-log', `entry ${index} is of ${String(entry['log'])}`)
    if (index !== this.#next) this.#skip(index)
    this.#next = index + 1
    this.#takeRun(index, entry, root)
    if (kind === 'action.intended') {
      this.#open.set(index, entry['action'])
      this.#intents++
      this.#intended++
    } else if (ends.has(kind)) this.#takeEnd(index, entry)
    else if (kind === 'session.started') this.#sessions.set(entry['session'], index)
    else if (kind === 'session.ended') this.#takeSessionEnd(entry['session'])
    const { blob, length } = (entry['recording'] ?? {}) as Fields
    if (typeof blob === 'string')
      this.blobs.push({ hash: blob, length: Number(length), entry: index, session: String(entry['session']) })
    if (kind === 'erasure.done') this.#takeErasure(entry)
    this.#last = kind
  }

  finish(): Completeness {
    this.#addRefused()
    const closed = this.#last === 'log.closed'
    if (closed && this.#open.size > 0)
      this.#fault('intent-open', `${this.#open.size} intents of a closed log have no end`)
    return {
      intents: this.#intents,
      ends: this.#ends,
      open: this.#open.size,
      runs: this.#runs,
      closed,
      longestSilence: this.#silence / 1000,
      refused: this.#refused,
    }
  }

  #takeErasure(entry: Fields): void {
    const { basis, of, sessions } = (entry['erasure'] ?? {}) as Fields
    // What somebody asked for names whom it is of; it destroys keys and leaves the files.
    if (basis !== 'retention' || of !== undefined || !Array.isArray(sessions)) return
    for (const each of sessions) this.expired.add(String(each))
  }

  #skip(index: number): void {
    this.#gap = index
    this.#adopting = true
    this.#strangers = 0
    this.#open.clear()
    this.#sessions.clear()
    this.#recovery = undefined
    this.#last = ''
  }

  #takeSessionEnd(session: unknown): void {
    if (!this.#sessions.delete(session) && this.#strangers > 0) this.#strangers--
  }

  #fault(code: string, detail: string): void {
    this.#findings.add('tampering', code, detail)
  }

  #takeEnd(index: number, entry: Fields): void {
    this.#ends++
    this.#ended++
    const intent = Number(entry['intent'])
    const began = this.#open.get(intent)
    if (!this.#open.has(intent)) {
      const before = this.#adopting && intent < this.#gap
      if (!before) this.#fault('end-without-intent', `entry ${index} ends ${String(entry['intent'])}`)
    } else if (began !== unread && began !== entry['action']) {
      this.#fault('end-of-another', `entry ${index} ends the intent of another action`)
    }
    this.#open.delete(intent)
  }

  #takeRun(index: number, entry: Fields, root: () => Buffer): void {
    const kind = String(entry['kind'])
    const recovering =
      (kind === 'action.outcome_unknown' && entry['cause'] === 'crash') ||
      (kind === 'session.ended' && entry['reason'] === 'crash')
    if (recovering || kind === 'log.opened') {
      this.#recovery ??= { at: index, root: root(), closed: this.#last === 'log.closed' }
    } else {
      if (this.#recovery !== undefined)
        this.#fault('run-without-start', `no log.opened before entry ${index}`)
      if (index === 0) this.#fault('run-without-start', 'the log does not begin with log.opened')
      if (this.#last === 'log.closed') this.#fault('run-without-start', `entry ${index} follows log.closed`)
    }
    if (kind === 'log.opened') this.#takeOpened(index, entry)
    if (recovering && this.#last === 'log.closed') this.#fault('crash-after-close', `entry ${index}`)
    if (countedKinds.has(kind)) this.#takeCounters(index, entry)
    if (kind === 'log.opened') this.#recovery = undefined
  }

  #takeOpened(index: number, entry: Fields): void {
    this.#runs++
    const { at, root, closed } = this.#recovery!
    // Where the beginning of this was not there to be read, nobody can tell what it continues.
    if (at === this.#gap && at > 0) return
    const { size, end, root: said } = (entry['previous'] ?? {}) as Fields
    if (size !== String(at))
      this.#fault('run-gap', `entry ${index} continues ${String(size)} entries, not ${at}`)
    if (said !== undefined && said !== root.toString('base64')) {
      this.#fault('run-root', `entry ${index} continues another tree`)
    }
    const real = at === 0 ? 'none' : closed ? 'closed' : 'crash'
    if (end !== real)
      this.#fault('run-end', `entry ${index} says the last run ended as ${String(end)}, not ${real}`)
    if (this.#open.size > 0)
      this.#fault('intent-open', `${this.#open.size} intents have no end at entry ${index}`)
  }

  #takeCounters(index: number, entry: Fields): void {
    const counters = (entry['counters'] ?? {}) as Fields
    if (this.#adopting) this.#adopt(index, counters)
    else this.#compareCounters(index, counters)
    if (entry['kind'] === 'log.opened') this.#addRefused()
    this.#ofRun = (counters['refused'] ?? {}) as Fields
    const time = Date.parse(String(entry['time']))
    if (entry['kind'] !== 'log.opened' && this.#sinceTime > 0)
      this.#silence = Math.max(this.#silence, time - this.#sinceTime)
    this.#sinceTime = time
    this.#since = index
    this.#intended = this.#ended = 0
  }

  /** Takes what was open from the first entry after a gap that says it, and holds the rest of the log to that. */
  #adopt(index: number, counters: Fields): void {
    const open = counters['open'] as Fields | undefined
    // Too much was open to be listed: a later one will say.
    if (open === undefined) return
    const intents = listed(open['intents'])
    const read = [...this.#open.keys()]
    const said = intents.filter(each => each >= this.#gap)
    if (read.length !== said.length || read.some((each, i) => each !== said[i]))
      this.#fault('counters', `entry ${index}: other intents are open than it says`)
    const own = new Map(this.#open)
    this.#open.clear()
    for (const each of intents) this.#open.set(each, own.has(each) ? own.get(each) : unread)
    this.#strangers = listed(open['sessions']).filter(each => each < this.#gap).length
    this.#adopting = false
  }

  #compareCounters(index: number, counters: Fields): void {
    const sessions = [...this.#sessions.values()]
    const intents = [...this.#open.keys()]
    const oldest = Math.min(index, sessions[0] ?? index, intents[0] ?? index)
    const real: Fields = {
      since: this.#since < 0 ? undefined : String(this.#since),
      appended: index - this.#since - 1,
      intended: this.#intended,
      ended: this.#ended,
      open_intents: intents.length,
      open_sessions: sessions.length + this.#strangers,
      ...(this.#strangers > 0 ? {} : { oldest_open: String(oldest) }),
    }
    for (const [key, value] of Object.entries(real)) {
      if (counters[key] === value) continue
      this.#fault('counters', `entry ${index}: ${key} is ${String(counters[key])}, counted ${String(value)}`)
    }
  }

  #addRefused(): void {
    for (const [code, count] of Object.entries(this.#ofRun)) {
      this.#refused[code] = (this.#refused[code] ?? 0) + Number(count)
    }
    this.#ofRun = {}
  }
}

/** Ascending numbers that are written as differences. */
function listed(text: unknown): number[] {
  let last = 0
  return typeof text === 'string' && text !== '' ? text.split(' ').map(step => (last += Number(step))) : []
}

function parse(bytes: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Fields)
      : undefined
  } catch {
    return undefined
  }
}
