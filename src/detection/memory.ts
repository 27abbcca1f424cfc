/** Where what was learned of each identity is held, bounded, and kept over a restart. */
import { createHash, hash, randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Finding } from './finding.ts'
import { Learned, type LearnedState, type Peaks } from './learned.ts'
import { type Subject, type SubjectFacts, subjectFacts, subjectKey } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'

/** One identity under watch. */
export interface Watched {
  readonly key: string
  readonly learned: Learned
  /** What each figure is learned at most; see `mostLearned`. Undefined: to be worked out. */
  most: Peaks | undefined
  /** Of each detector: not told again before this time. */
  readonly quiet: Map<Finding['detector'], number>
  /** First uses that were told, as hashes, oldest first. */
  readonly told: Set<number>
  readonly toldToday: { day: number; count: number }
  silent: boolean
  savedAt: number
  version: number
}

export interface MemoryParts {
  readonly state: StateStore
  readonly clock: Clock
  readonly identities: number
  readonly streakMs: number
  readonly place: (now: number) => number
}

const space = 'detection'
const saltKey = 'salt'
const pageSize = 200
const mostSaved = 200
/** An identity that goes on acting is kept this often. */
const saveEveryMs = 5 * 60_000
/** Of all identities together: some 30 MB. */
const mostOperationsOfAll = 500_000
const memoSize = 4096

export class Memory {
  readonly #parts: MemoryParts
  /** Least recently active first. */
  readonly #watched = new Map<string, Watched>()
  /** Of these, who has acted on one day only; in the same order. */
  readonly #strangers = new Set<string>()
  readonly #hashes = new Map<string, number>()
  #salt = ''
  #saving = false

  constructor(parts: MemoryParts) {
    this.#parts = parts
  }

  /**
   * Reads what was kept, a page at a time. Identities that act meanwhile are taken up where they were. Of more than are
   * remembered those that acted longest ago are forgotten.
   */
  async load(): Promise<void> {
    const { state, clock, streakMs } = this.#parts
    this.#salt = await this.#readSalt()
    const now = clock.now()
    const lasts = new Map<string, number>()
    for (let after: string | undefined; ; ) {
      const page = await state.list<LearnedState>(space, {
        prefix: 'i:',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      for (const { key, value, version } of page) {
        const learned = Learned.from(value, streakMs)
        // While the gateway was down nobody was silent.
        learned.last = Math.max(learned.last, now)
        const name = keyOfFacts(value.subject)
        lasts.set(name, this.#watched.has(name) ? now : value.last)
        this.#watched.set(name, fresh({ key, learned, version }, now))
        if (learned.days > 1) this.#strangers.delete(name)
        else this.#strangers.add(name)
      }
      if (page.length < pageSize) break
      after = page.at(-1)!.key
    }
    this.#order(name => lasts.get(name) ?? now)
    while (this.#watched.size > this.#parts.identities) this.#evict()
  }

  #order(last: (name: string) => number): void {
    const sorted = [...this.#watched].toSorted(([a], [b]) => last(a) - last(b))
    const strangers = new Set(this.#strangers)
    this.#watched.clear()
    this.#strangers.clear()
    for (const [name, each] of sorted) {
      this.#watched.set(name, each)
      if (strangers.has(name)) this.#strangers.add(name)
    }
  }

  /**
   * The identity, made if need be. The one that acted longest ago makes room: of those that acted on one day only while
   * they are more than a tenth, so that whoever makes up identities does not have what is usual for others forgotten.
   */
  of(subject: Subject, now: number): Watched {
    const name = subjectKey(subject)
    const known = this.#watched.get(name)
    if (known !== undefined) {
      this.#watched.delete(name)
      this.#watched.set(name, known)
      if (this.#strangers.delete(name) && known.learned.days <= 1) this.#strangers.add(name)
      return known
    }
    if (this.#watched.size >= this.#parts.identities) this.#evict()
    const { place, streakMs } = this.#parts
    const learned = new Learned(subjectFacts(subject), { now, place: place(now), streakMs })
    const made = fresh({ key: storedKey(name), learned, version: 0 }, 0)
    this.#watched.set(name, made)
    this.#strangers.add(name)
    return made
  }

  find(subject: Subject): Watched | undefined {
    return this.#watched.get(subjectKey(subject))
  }

  all(): IterableIterator<Watched> {
    return this.#watched.values()
  }

  get size(): number {
    return this.#watched.size
  }

  /** 32 bits that stand for an operation on a connection; salted, so that nobody can choose a name that is known. */
  hashOf(connection: string, operation: string): number {
    const name = `${connection}\n${operation}`
    const known = this.#hashes.get(name)
    if (known !== undefined) return known
    const made = Number.parseInt(hash('sha256', `${this.#salt}\n${name}`).slice(0, 8), 16)
    if (this.#hashes.size >= memoSize) this.#hashes.delete(this.#hashes.keys().next().value!)
    this.#hashes.set(name, made)
    return made
  }

  /** Keeps what has changed; all of it, or what is due. Never rejects: what could not be kept is kept next time. */
  async save(all: boolean): Promise<void> {
    if (this.#saving && !all) return
    this.#saving = true
    try {
      let operations = 0
      for (const { learned } of this.#watched.values()) operations += learned.operations.size
      for (; operations > mostOperationsOfAll; ) operations -= this.#evict()
      let left = all ? Infinity : mostSaved
      for (const each of this.#watched.values()) {
        if (!isDue(each, this.#parts.clock.now(), all)) continue
        if (left-- === 0) return
        await this.#saveOne(each).catch(() => undefined)
      }
    } finally {
      this.#saving = false
    }
  }

  async #saveOne(each: Watched): Promise<void> {
    const { state, clock } = this.#parts
    each.savedAt = clock.now()
    each.learned.dirty = false
    if (await state.put(space, each.key, each.learned.state(), each.version)) each.version++
    else each.version = (await state.get(space, each.key))?.version ?? 0
  }

  /** Returns how many operations it knew. */
  #evict(): number {
    const isMany = this.#strangers.size > this.#parts.identities / 10
    const name = (isMany ? this.#strangers : this.#watched).keys().next().value
    if (name === undefined) return Infinity
    const { key, learned } = this.#watched.get(name)!
    this.#watched.delete(name)
    this.#strangers.delete(name)
    void this.#parts.state.delete(space, key).catch(() => undefined)
    return learned.operations.size
  }

  async #readSalt(): Promise<string> {
    const { state } = this.#parts
    const made = randomBytes(16).toString('hex')
    if (await state.put(space, saltKey, made, 0)) return made
    return (await state.get<string>(space, saltKey))?.value ?? made
  }
}

function fresh(of: Pick<Watched, 'key' | 'learned' | 'version'>, savedAt: number): Watched {
  return {
    ...of,
    most: undefined,
    quiet: new Map(),
    told: new Set(),
    toldToday: { day: 0, count: 0 },
    silent: false,
    savedAt,
  }
}

function isDue({ learned, savedAt }: Watched, now: number, all: boolean): boolean {
  if (all) return learned.dirty || learned.last > savedAt
  return learned.dirty && now - savedAt >= saveEveryMs
}

function storedKey(name: string): string {
  return `i:${createHash('sha256').update(name).digest('base64url')}`
}

function keyOfFacts(facts: SubjectFacts): string {
  const { issuer, id, kind, method, on_behalf_of: onBehalfOf } = facts
  return subjectKey({
    issuer,
    id,
    method,
    kind: kind as Subject['kind'],
    groups: [],
    claims: {},
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
  })
}
