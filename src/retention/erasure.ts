/**
 * Erasure: the recordings of a session or of a person become unreadable for good, by the destruction of their wrapped
 * keys. Entries, hashes and ciphertexts stay, so every proof still holds; nothing that is kept gives the plaintext.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Audit, EntryRef } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import { newId } from '../id.ts'
import { type Subject, type SubjectFacts, subjectFacts } from '../model/subject.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { Storage } from '../storage/storage.ts'
import type { LegalHolds } from './holds.ts'
import {
  findSession,
  findSessionsOf,
  type RecordedSession,
  type RunningSessions,
} from './recorded-session.ts'

const space = 'erasure'
const keySpace = 'retention'
/** Sessions that one entry names, far below what an entry holds. */
const perEntry = 100

export interface ErasureParts {
  readonly storage: Pick<Storage, 'index' | 'log' | 'state'>
  readonly audit: Audit
  readonly clock: Clock
  readonly recordings: Pick<Recordings, 'erase'>
  readonly sessions: RunningSessions
  readonly holds: LegalHolds
  /** Milliseconds before which the law wants recordings kept. */
  readonly minimumMs: number
}

export interface ErasureRequest {
  /** A session, or all sessions of a person or machine: an id or an e-mail address, also as whom an agent acts for. */
  readonly of: { readonly session: string } | { readonly person: string }
  /** The legal basis, in words that name nobody: it stays in the log. */
  readonly basis: string
  readonly by: Subject
  /** Leaves out what a hold or the legal minimum protects, rather than refusing as a whole. */
  readonly exceptProtected?: boolean
}

/** What an erasure would do. */
export interface ErasurePlan {
  readonly sessions: readonly string[]
  /** Under a legal hold: session and hold. */
  readonly held: readonly { readonly session: string; readonly hold: string }[]
  /** Younger than the legal minimum. */
  readonly young: readonly string[]
}

export interface ErasureResult extends ErasurePlan {
  readonly id: string
  /** Keys that were there and are no more. */
  readonly keys: number
  /** The `erasure.done` entries. */
  readonly entries: readonly EntryRef[]
}

/** An erasure under way; kept until its entry is durable, so that a crash can't leave it half done or unsaid. */
interface Job {
  readonly id: string
  readonly sessions: readonly string[]
  readonly of: Readonly<Record<string, string>>
  readonly basis: string
  readonly by: SubjectFacts
}

export class Erasures {
  readonly #parts: ErasureParts

  constructor(parts: ErasureParts) {
    this.#parts = parts
  }

  /** Ends what a crash interrupted. */
  async resume(): Promise<void> {
    for (const { value } of await this.#parts.storage.state.list<Job>(space)) await this.#run(value)
  }

  /** Throws `not-found` where nobody and nothing of that name has a session. */
  async plan({ of }: Pick<ErasureRequest, 'of'>): Promise<ErasurePlan> {
    const { storage, holds, clock, minimumMs } = this.#parts
    await storage.index.whenIndexed(storage.log.size)
    const found =
      'session' in of ? await this.#one(of.session) : await findSessionsOf(storage.index, of.person)
    if (found.length === 0)
      throw new GatewayError('not-found', { detail: 'no session of that name is in the log' })
    const sessions: string[] = []
    const held: { session: string; hold: string }[] = []
    const young: string[] = []
    for (const session of found) {
      const hold = holds.on(session)
      if (hold !== undefined) held.push({ session: session.id, hold: hold.id })
      else if (session.startedAt > clock.now() - minimumMs) young.push(session.id)
      else sessions.push(session.id)
    }
    return { sessions, held, young }
  }

  /**
   * Resolves when the keys are gone from every file of the store and the entry that says so is durable. Sessions that
   * run are ended. Throws `conflict`, and changes nothing, where a hold or the legal minimum stands against it.
   */
  async erase(request: ErasureRequest): Promise<ErasureResult> {
    const plan = await this.plan(request)
    refuseProtected(plan, request.exceptProtected ?? false)
    const { of, basis, by } = request
    const job: Job = {
      id: newId('er', this.#parts.clock.now()),
      sessions: plan.sessions,
      of: 'session' in of ? { session: of.session } : { person: await this.#reference(of.person) },
      basis,
      by: subjectFacts(by),
    }
    if (!(await this.#parts.storage.state.put(space, job.id, job, 0))) throw new GatewayError('conflict')
    return { id: job.id, ...plan, ...(await this.#run(job)) }
  }

  async #run(job: Job): Promise<{ keys: number; entries: EntryRef[] }> {
    const { sessions, recordings, audit, storage } = this.#parts
    let keys = 0
    for (const id of job.sessions) {
      await sessions.end(id, 'erased')
      if (await recordings.erase(id, 'erased')) keys++
    }
    const entries: EntryRef[] = []
    const parts = Math.ceil(job.sessions.length / perEntry)
    for (let part = 0; part < parts; part++) {
      const named = job.sessions.slice(part * perEntry, (part + 1) * perEntry)
      const erasure = {
        id: job.id,
        of: job.of,
        basis: job.basis,
        sessions: named,
        counts: { sessions: job.sessions.length, keys },
        ...(parts > 1 ? { part: part + 1, parts } : {}),
      }
      entries.push(await audit.note('erasure.done', { subject: job.by, erasure }))
    }
    await storage.state.delete(space, job.id)
    return { keys, entries }
  }

  async #one(id: string): Promise<RecordedSession[]> {
    const found = await findSession(this.#parts.storage.index, id)
    return found === undefined ? [] : [found]
  }

  /**
   * Stands for a person in the log: a MAC under a key of this store, so that whoever runs it can tell later that an
   * erasure was of this person, and nobody can read or guess the name from the log.
   */
  async #reference(person: string): Promise<string> {
    const { state } = this.#parts.storage
    const fresh = randomBytes(32).toString('base64')
    await state.put(keySpace, 'person-key', fresh, 0)
    const key = (await state.get<string>(keySpace, 'person-key'))!.value
    const mac = createHmac('sha256', Buffer.from(key, 'base64')).update(person.toLowerCase()).digest('hex')
    return `hmac-sha256:${mac}`
  }
}

function refuseProtected({ sessions, held, young }: ErasurePlan, except: boolean): void {
  if (except && sessions.length > 0) return
  const first = held[0]
  if (first !== undefined) {
    const detail = `${held.length} of the sessions are under a legal hold (${first.hold})`
    throw new GatewayError('conflict', { detail })
  }
  if (young.length > 0) {
    const detail = `${young.length} of the sessions are younger than the legal minimum (retention.minimum.recordings)`
    throw new GatewayError('conflict', { detail })
  }
}
