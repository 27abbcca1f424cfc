/**
 * What was said on the stream of one answer, kept so that a client that lost its connection gets the rest (2025-11-25,
 * basic/transports, "Resumability and Redelivery"). It holds what the client was sent, masked as it was, and nothing else.
 */
import type { Answer } from './downstream.ts'

/** Most of one stream, bytes, before its oldest events are dropped or, with nobody there, its server has to wait. */
const mostOfOne = 256 * 1024
/** Streams of one session that may wait for their client at once. */
const mostAway = 32

/** The kept events of a connection's streams, bounded together: of those that have ended the oldest give way. */
export class ReplayStore {
  readonly #most: number
  readonly #endedKeptMs: number
  readonly #ended = new Map<Replay, number>()
  #size = 0

  constructor(of: { readonly most: number; readonly keptMs: number }) {
    this.#most = of.most
    this.#endedKeptMs = of.keptMs
  }

  /** How long a stream waits for its client, milliseconds; 0 where none does. */
  get keptMs(): number {
    return this.#most === 0 ? 0 : this.#endedKeptMs
  }

  /** Bytes that are kept. */
  get size(): number {
    return this.#size
  }

  /** Makes room by dropping ended streams. False where there is none. */
  take(bytes: number): boolean {
    this.#sweep()
    for (const [oldest] of this.#ended) {
      if (this.#size + bytes <= this.#most) break
      oldest.drop()
    }
    if (this.#size + bytes > this.#most) return false
    this.#size += bytes
    return true
  }

  give(bytes: number): void {
    this.#size -= bytes
  }

  ended(replay: Replay): void {
    this.#sweep()
    this.#ended.set(replay, performance.now() + this.#endedKeptMs)
  }

  forget(replay: Replay): void {
    this.#ended.delete(replay)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [replay, until] of this.#ended) {
      if (until > now) return
      replay.drop()
    }
  }
}

/** The streams of one session that its client may come back to, by the first part of their event ids. */
export class ReplayableStreams {
  readonly #open = new Map<string, { readonly answer: Answer; readonly replay: Replay }>()
  #made = 0
  away = 0

  /** False where this session has as many clients away as may be. */
  get mayWait(): boolean {
    return this.away < mostAway
  }

  add(answer: Answer, replay: Replay): string {
    const name = String(++this.#made)
    this.#open.set(name, { answer, replay })
    return name
  }

  delete(name: string): void {
    this.#open.delete(name)
  }

  /** The stream that an event was of, and which of its events that was. */
  find(eventId: string): { readonly answer: Answer; readonly after: number } | undefined {
    const found = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(eventId)
    const stream = found === null ? undefined : this.#open.get(found[1]!)
    return stream === undefined ? undefined : { answer: stream.answer, after: Number(found![2]) }
  }

  close(): void {
    for (const { replay } of this.#open.values()) replay.drop()
  }
}

/** One stream's events, numbered from 0. */
export class Replay {
  readonly #store: ReplayStore
  readonly #streams: ReplayableStreams
  readonly #primes: boolean
  #name = ''
  #events: { readonly n: number; readonly data: string }[] = []
  #size = 0
  #made = 0
  #dropped = false
  #roomMade: (() => void) | undefined

  constructor(store: ReplayStore, streams: ReplayableStreams, primes: boolean) {
    this.#store = store
    this.#streams = streams
    this.#primes = primes
  }

  get keptMs(): number {
    return this.#store.keptMs
  }

  /** Whether the client knows an id to come back with, and there is something for it to come back to. */
  get mayWait(): boolean {
    return this.#made > 0 && !this.#dropped && this.#streams.mayWait
  }

  /**
   * The stream begins. Gives the id of an event without a message, where this client's revision knows of it; a client of
   * an earlier one would take it for a broken message.
   */
  begin(answer: Answer): string | undefined {
    this.#name = this.#streams.add(answer, this)
    return this.#primes ? this.keep('') : undefined
  }

  /** Keeps one event and gives its id. The newest stay; without room for one, the client can't come back. */
  keep(data: string, trim = true): string {
    const n = this.#made++
    const bytes = data.length
    if (!this.#dropped) {
      if (this.#store.take(bytes)) {
        this.#events.push({ n, data })
        this.#size += bytes
      } else this.drop()
    }
    while (trim && this.#size > mostOfOne && this.#events.length > 1) this.#shift()
    return `${this.#name}-${n}`
  }

  /** Events after this one; undefined where some of them are no longer kept. */
  after(n: number): readonly (readonly [id: string, data: string])[] | undefined {
    if (this.#dropped || n >= this.#made) return undefined
    const first = this.#events[0]?.n ?? this.#made
    if (n < first - 1) return undefined
    return this.#events.filter(each => each.n > n).map(each => [`${this.#name}-${each.n}`, each.data])
  }

  /** Resolves when another event has room while nobody takes them, or somebody does. */
  async room(): Promise<void> {
    if (this.#size < mostOfOne || this.#dropped) return
    await new Promise<void>(resolve => (this.#roomMade = resolve))
  }

  away(): void {
    this.#streams.away++
  }

  /** Its client has come back, or will not any more. */
  back(): void {
    this.#streams.away--
    this.#roomMade?.()
  }

  /** There is no more to come: it stays for a while, for a client that did not get it all. */
  end(): void {
    if (!this.#dropped) this.#store.ended(this)
  }

  drop(): void {
    if (this.#dropped) return
    this.#dropped = true
    this.#store.give(this.#size)
    this.#store.forget(this)
    this.#events = []
    this.#size = 0
    this.#streams.delete(this.#name)
    this.#roomMade?.()
  }

  #shift(): void {
    const { data } = this.#events.shift()!
    this.#size -= data.length
    this.#store.give(data.length)
  }
}
