/** The client's side of one request: a single JSON answer, or a stream of messages that ends with it. */
import type { Subject } from '../../model/subject.ts'
import type { Downstream } from '../http/downstream.ts'
import type { Replay } from './replay.ts'
import { sseComment, sseEvent, ssePriming } from './sse.ts'

export type Resumed = 'resumed' | 'gone' | 'denied'

export class Answer {
  #downstream: Downstream
  readonly #headers: readonly string[]
  readonly #keepAliveMs: number
  readonly #mayStream: boolean
  /** It ends without an answer. */
  readonly quiet: boolean
  readonly #replay: Replay | undefined
  #timer: NodeJS.Timeout | undefined
  #opened = false
  #ended = false
  /** Who may hear of it; absent: it does not outlive its connection. */
  #isFor: ((subject: Subject) => boolean) | undefined
  /** Set while the stream waits for its client to come back. */
  #away: NodeJS.Timeout | undefined
  readonly #left = new AbortController()

  constructor(
    downstream: Downstream,
    how: {
      /** Flat; on every answer. */
      readonly headers?: readonly string[]
      readonly keepAliveMs: number
      /** Whether the client takes `text/event-stream`; else what comes before the answer is dropped. */
      readonly mayStream: boolean
      readonly quiet?: boolean
      /** Where a client of 2025 that lost its connection finds the rest, of a quiet stream too. */
      readonly replay?: Replay | undefined
    },
  ) {
    this.#downstream = downstream
    this.#headers = how.headers ?? []
    this.#keepAliveMs = how.keepAliveMs
    this.#mayStream = how.mayStream
    this.quiet = how.quiet ?? false
    this.#replay = how.replay
    downstream.onGone(() => this.#gone(downstream))
  }

  get streaming(): boolean {
    return this.#opened
  }

  /** Fires when the client leaves before the end, and does not come back in time where it may. */
  get left(): AbortSignal {
    return this.#left.signal
  }

  get ended(): boolean {
    return this.#ended
  }

  /**
   * From here on the request has been sent to its server: a client of 2025 that loses its connection has not cancelled it
   * (2025-11-25, basic/transports, "Sending Messages to the Server"). `isFor`: whether who comes back may have the rest.
   */
  outlives(isFor: (subject: Subject) => boolean): void {
    this.#isFor ??= isFor
  }

  /** Whether its client has lost it and may come back. */
  get waiting(): boolean {
    return this.#away !== undefined
  }

  /** Begins the stream, so that a client that waits knows that it is being served. */
  open(): void {
    if (this.#opened || this.#ended || this.#downstream.gone || !this.#mayStream) return
    this.#opened = true
    this.#begin(this.#downstream)
    const primed = this.#replay?.begin(this)
    if (primed !== undefined) this.#downstream.write(Buffer.from(ssePriming(primed)))
  }

  /** One message before the answer. Resolves when there is room for the next. */
  async message(text: string): Promise<void> {
    this.open()
    if (!this.#opened) return
    if (this.#away !== undefined) await this.#replay?.room()
    if (this.#left.signal.aborted || this.#ended) return
    const id = this.#replay?.keep(text, this.#away === undefined)
    const downstream = this.#downstream
    if (this.#away !== undefined || downstream.gone) return
    if (!downstream.write(Buffer.from(sseEvent(text, id)))) await downstream.drained()
  }

  /** The server has let go of its stream and the client may too: it comes back for the answer, if it knows how. */
  letGo(): void {
    if (!this.#opened || this.#ended || this.#away !== undefined || !this.#mayComeBack()) return
    clearInterval(this.#timer)
    this.#waitForClient()
    this.#downstream.end()
  }

  /** The answer, and the end. `status` and `headers` (flat) hold where nothing was sent yet. */
  finish(text: string, status = 200, headers: readonly string[] = []): void {
    if (this.#ended) return
    if (this.#downstream.gone && this.#away === undefined) {
      this.#stop()
      return this.#replay?.drop()
    }
    const away = this.#away !== undefined
    this.#ended = true
    if (this.#opened && !this.quiet) {
      const id = this.#replay?.keep(text, !away)
      this.#replay?.end()
      this.#stop()
      if (!away) this.#downstream.end(Buffer.from(sseEvent(text, id)))
      return
    }
    this.#stop()
    if (this.#opened) {
      this.#replay?.drop()
      return this.#downstream.end()
    }
    const body = Buffer.from(text)
    this.#downstream.head(status, '', [
      'Content-Type',
      'application/json',
      'Content-Length',
      String(body.length),
      'Cache-Control',
      'no-store',
      ...this.#headers,
      ...headers,
    ])
    this.#downstream.end(body)
  }

  /** An answer without a body, such as 202. */
  empty(status: number, headers: readonly string[] = []): void {
    this.#stop()
    if (this.#ended || this.#downstream.gone) return
    this.#ended = true
    this.#downstream.head(status, '', ['Content-Length', '0', ...this.#headers, ...headers])
    this.#downstream.end()
  }

  /**
   * The client has come back and gets what came after this event, then the rest as it comes. An older connection that was
   * not seen to break ends. Where not, nothing was sent: `gone`, it is not kept any more; `denied`, it is not for this
   * subject, whose token may be another than the one that it began with.
   */
  resume(by: { readonly downstream: Downstream; readonly subject: Subject }, after: number): Resumed {
    const { downstream, subject } = by
    const missed = this.#replay?.after(after)
    if (missed === undefined || this.#left.signal.aborted) return 'gone'
    // Before it was sent to its server there is nothing in it but the gateway's own words.
    if (this.#isFor?.(subject) === false) return 'denied'
    const before = this.#downstream
    const waited = this.#away !== undefined
    this.#downstream = downstream
    this.#stop()
    if (!waited && !this.#ended) before.end()
    downstream.onGone(() => this.#gone(downstream))
    this.#begin(downstream)
    for (const [id, data] of missed) downstream.write(Buffer.from(sseEvent(data, id)))
    if (!this.#ended) return 'resumed'
    this.#stop()
    downstream.end()
    return 'resumed'
  }

  /** Cuts it: nobody waits for the client any more. */
  abandon(): void {
    this.#giveUp()
    this.#downstream.abandon()
  }

  #begin(downstream: Downstream): void {
    downstream.head(200, '', [
      'Content-Type',
      'text/event-stream',
      'Cache-Control',
      'no-cache, no-transform',
      'X-Accel-Buffering',
      'no',
      ...this.#headers,
    ])
    downstream.flush()
    this.#timer = setInterval(() => {
      if (!downstream.gone) downstream.write(Buffer.from(sseComment))
    }, this.#keepAliveMs)
    this.#timer.unref()
  }

  #gone(downstream: Downstream): void {
    if (downstream !== this.#downstream || this.#ended) return
    clearInterval(this.#timer)
    if (this.#opened && this.#mayComeBack()) this.#waitForClient()
    else this.#left.abort()
  }

  #mayComeBack(): boolean {
    const { aborted } = this.#left.signal
    return this.#isFor !== undefined && !aborted && this.#replay?.mayWait === true && this.#replay.keptMs > 0
  }

  #waitForClient(): void {
    this.#replay!.away()
    this.#away = setTimeout(() => this.#giveUp(), this.#replay!.keptMs)
    this.#away.unref()
  }

  #giveUp(): void {
    this.#stop()
    if (!this.#ended) this.#left.abort()
  }

  #stop(): void {
    clearInterval(this.#timer)
    if (this.#away === undefined) return
    clearTimeout(this.#away)
    this.#away = undefined
    this.#replay?.back()
  }
}
