/**
 * What was said on one stream, kept so that a client that lost its connection gets the rest (2025-11-25, basic/transports,
 * "Resumability and Redelivery"). It holds what the client was sent, masked as it was, and nothing else.
 */
import { randomBytes } from 'node:crypto'
import type { Answer } from './downstream.ts'

/** `listening`: the stream of what servers say unasked, which lasts as long as its session. */
export type StreamKind = 'answering' | 'listening'

/** Most of one stream, bytes, before its oldest events are dropped or, with nobody there, its server has to wait. */
const mostOfOne: Readonly<Record<StreamKind, number>> = { answering: 256 * 1024, listening: 64 * 1024 }
/** Streams of one session that may wait for their client at once. */
const mostAway = 32

/**
 * The kept events of a connection's streams, bounded together: of those that have ended the oldest give way, and then
 * those that listen, to which a client comes back without them.
 */
export class ReplayStore {
  readonly #most: number
  readonly #endedKeptMs: number
  readonly #ended = new Map<Replay, number>()
  readonly #listening = new Set<Replay>()
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

  /** Makes room by dropping other streams. False where there is none. */
  take(bytes: number, asking: Replay): boolean {
    this.#sweep()
    for (const dispensable of [this.#ended.keys(), this.#listening]) {
      for (const oldest of dispensable) {
        if (this.#size + bytes <= this.#most) break
        if (oldest !== asking) oldest.drop()
      }
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

  listens(replay: Replay): void {
    this.#listening.add(replay)
  }

  forget(replay: Replay): void {
    this.#ended.delete(replay)
    this.#listening.delete(replay)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [replay, until] of this.#ended) {
      if (until > now) return
      replay.drop()
    }
  }
}

/** The streams of one session that its client may come back to, by what their event ids begin with. */
export class ReplayableStreams {
  readonly #open = new Map<string, { readonly answer: Answer; readonly replay: Replay }>()
  /** An id of one session means nothing in another. */
  readonly #tag = randomBytes(9).toString('base64url')
  #made = 0
  away = 0

  /** False where this session has as many clients away as may be. */
  get mayWait(): boolean {
    return this.away < mostAway
  }

  add(answer: Answer, replay: Replay): string {
    const name = `${this.#tag}.${++this.#made}${replay.kind === 'listening' ? 'l' : ''}`
    this.#open.set(name, { answer, replay })
    return name
  }

  delete(name: string): void {
    this.#open.delete(name)
  }

  /**
   * The stream that an event was of, and which of its events that was. `past`: it was of a stream of this session that
   * listened and is not kept.
   */
  find(eventId: string): { readonly answer: Answer; readonly after: number } | 'past' | undefined {
    const found = /^(([\w-]{12})\.([0-9]{1,15})(l?))\.([0-9]{1,15})$/.exec(eventId)
    if (found === null) return undefined
    const [, name = '', tag, number, listened, after] = found
    const stream = this.#open.get(name)
    if (stream !== undefined) return { answer: stream.answer, after: Number(after) }
    const was = tag === this.#tag && Number(number) <= this.#made && listened !== ''
    return was ? 'past' : undefined
  }

  /** A client that listens anew does not come back to how it listened before. */
  listensAnew(): void {
    for (const { answer, replay } of this.#open.values())
      if (replay.kind === 'listening' && answer.waiting) answer.abandon()
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
  readonly kind: StreamKind
  #events: { readonly n: number; readonly data: string; readonly bytes: number }[] = []
  #size = 0
  #made = 0
  #dropped = false
  #roomMade: (() => void) | undefined

  constructor(
    store: ReplayStore,
    streams: ReplayableStreams,
    how: { readonly primes: boolean; readonly kind?: StreamKind },
  ) {
    this.#store = store
    this.#streams = streams
    this.#primes = how.primes
    this.kind = how.kind ?? 'answering'
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
    if (this.kind === 'listening') this.#store.listens(this)
    return this.#primes ? this.keep('') : undefined
  }

  /** Keeps one event and gives its id. The newest stay; without room for one, the client can't come back. */
  keep(data: string, trim = true): string {
    const n = this.#made++
    if (!this.#dropped) {
      const bytes = Buffer.byteLength(data)
      if (this.#store.take(bytes, this)) {
        this.#events.push({ n, data, bytes })
        this.#size += bytes
      } else this.drop()
    }
    while (trim && this.#size > mostOfOne[this.kind] && this.#events.length > 1) this.#shift()
    return `${this.#name}.${n}`
  }

  /** Events after this one; undefined where some of them are no longer kept. */
  after(n: number): readonly (readonly [id: string, data: string])[] | undefined {
    if (this.#dropped || n >= this.#made) return undefined
    const first = this.#events[0]?.n ?? this.#made
    if (n < first - 1) return undefined
    return this.#events.filter(each => each.n > n).map(each => [`${this.#name}.${each.n}`, each.data])
  }

  /** Resolves when another event has room while nobody takes them, or somebody does. */
  async room(): Promise<void> {
    if (this.#size < mostOfOne[this.kind] || this.#dropped) return
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
    const { bytes } = this.#events.shift()!
    this.#size -= bytes
    this.#store.give(bytes)
  }
}
