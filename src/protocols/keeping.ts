/**
 * What identities come back for, encrypted under `<data>/keys/kept-results.key`. The owner is part of what each value is
 * sealed with: who asks for another's gets what they would get for one that never was.
 */
import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { loadSealingKey } from '../credentials/sealing-key.ts'
import type { Keeping, Owner } from '../gateway/keeping.ts'
import { subjectKey } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'
import { SealedValues } from './sealed-values.ts'

const space = 'kept-result'
const sweepMs = 60_000

/** Room in all and of each owner. */
export interface Room {
  readonly bytes: number
  readonly bytesOfOne: number
  readonly valuesOfOne: number
}

const defaultRoom: Room = {
  bytes: 256 * 1024 * 1024,
  bytesOfOne: 64 * 1024 * 1024,
  valuesOfOne: 1000,
}

export interface KeepingParts {
  readonly state: StateStore
  /** Where the key is kept; made at first start. */
  readonly keys: string
  readonly clock: Clock
  readonly room?: Room
}

export interface OpenKeeping extends Keeping {
  /** What is kept now, bytes. */
  readonly bytes: number
  /** Drops what is past its time. By itself every minute. */
  sweep(): Promise<void>
  close(): void
}

/** Takes up what was kept before a restart. */
export async function openKeeping(parts: KeepingParts): Promise<OpenKeeping> {
  const opened = new KeptResults(parts, await loadSealingKey(parts.keys, 'kept-results'))
  await opened.start()
  return opened
}

interface Held {
  readonly owner: string
  readonly length: number
  readonly until: number
}

class KeptResults implements OpenKeeping {
  readonly #clock: Clock
  readonly #room: Room
  readonly #values: SealedValues
  readonly #held = new Map<string, Held>()
  readonly #of = new Map<string, { bytes: number; values: number }>()
  #sweeper: NodeJS.Timeout | undefined
  bytes = 0

  constructor({ state, clock, room = defaultRoom }: KeepingParts, key: Buffer) {
    this.#clock = clock
    this.#room = room
    this.#values = new SealedValues(state, { space, key })
  }

  async start(): Promise<void> {
    for (const [id, { length, until = 0, owner = '' }] of await this.#values.takeUp())
      this.#take(id, { length, until, owner })
    await this.sweep()
    this.#sweeper = setInterval(() => void this.sweep().catch(() => undefined), sweepMs)
    this.#sweeper.unref()
  }

  async put(owner: Owner, id: string, kept: Parameters<Keeping['put']>[2]): Promise<boolean> {
    const { value, until } = kept
    const context = contextOf(owner, id)
    const next: Held = { owner: ownerOf(owner), length: value.length, until }
    const before = this.#held.get(id)
    if (!this.#fits(next, before)) return false
    this.#take(id, next)
    try {
      await this.#values.write(id, value, { context, until, owner: next.owner })
    } catch (error) {
      if (before === undefined) this.#leave(id)
      else this.#take(id, before)
      throw error
    }
    return true
  }

  async get(owner: Owner, id: string): Promise<Buffer | undefined> {
    const held = this.#held.get(id)
    if (held === undefined || held.until <= this.#clock.now()) return undefined
    return await this.#values.read(id, contextOf(owner, id))
  }

  async sweep(): Promise<void> {
    const now = this.#clock.now()
    for (const [id, { until }] of this.#held) {
      if (until > now) continue
      await this.#values.delete(id)
      this.#leave(id)
    }
  }

  close(): void {
    clearInterval(this.#sweeper)
  }

  #fits(next: Held, before: Held | undefined): boolean {
    const { bytes, bytesOfOne, valuesOfOne } = this.#room
    const own = this.#of.get(next.owner) ?? { bytes: 0, values: 0 }
    const more = next.length - (before?.length ?? 0)
    if (before !== undefined && before.owner !== next.owner) return false
    if (before === undefined && own.values >= valuesOfOne) return false
    return this.bytes + more <= bytes && own.bytes + more <= bytesOfOne
  }

  #take(id: string, held: Held): void {
    this.#leave(id)
    this.#held.set(id, held)
    this.bytes += held.length
    const own = this.#of.get(held.owner) ?? { bytes: 0, values: 0 }
    this.#of.set(held.owner, { bytes: own.bytes + held.length, values: own.values + 1 })
  }

  #leave(id: string): void {
    const held = this.#held.get(id)
    if (held === undefined) return
    this.#held.delete(id)
    this.bytes -= held.length
    const own = this.#of.get(held.owner) ?? { bytes: 0, values: 0 }
    if (own.values <= 1) this.#of.delete(held.owner)
    else this.#of.set(held.owner, { bytes: own.bytes - held.length, values: own.values - 1 })
  }
}

function contextOf({ subject, connection }: Owner, id: string): string {
  return JSON.stringify(['sallyport kept result', subjectKey(subject), connection, id])
}

/** The store says no names. */
function ownerOf({ subject, connection }: Owner): string {
  return hash('sha256', JSON.stringify([subjectKey(subject), connection]), 'base64url').slice(0, 22)
}
