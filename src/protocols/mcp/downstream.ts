/** The client's side of one request: a single JSON answer, or a stream of messages that ends with it. */
import type { Downstream } from '../http/downstream.ts'
import { sseComment, sseEvent } from './sse.ts'

export class Answer {
  readonly downstream: Downstream
  readonly #headers: readonly string[]
  readonly #keepAliveMs: number
  readonly #mayStream: boolean
  readonly #quiet: boolean
  #timer: NodeJS.Timeout | undefined
  #ended = false
  readonly #left = new AbortController()

  constructor(
    downstream: Downstream,
    how: {
      /** Flat; on every answer. */
      readonly headers?: readonly string[]
      readonly keepAliveMs: number
      /** Whether the client takes `text/event-stream`; else what comes before the answer is dropped. */
      readonly mayStream: boolean
      /** A stream that ends without an answer. */
      readonly quiet?: boolean
    },
  ) {
    this.downstream = downstream
    this.#headers = how.headers ?? []
    this.#keepAliveMs = how.keepAliveMs
    this.#mayStream = how.mayStream
    this.#quiet = how.quiet ?? false
    downstream.onGone(() => this.#left.abort())
  }

  get streaming(): boolean {
    return this.downstream.headSent
  }

  /** Fires when the client leaves before the end. */
  get left(): AbortSignal {
    return this.#left.signal
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Begins the stream, so that a client that waits knows that it is being served. */
  open(): void {
    if (this.streaming || this.downstream.gone || !this.#mayStream) return
    this.downstream.head(200, '', [
      'Content-Type',
      'text/event-stream',
      'Cache-Control',
      'no-cache, no-transform',
      'X-Accel-Buffering',
      'no',
      ...this.#headers,
    ])
    this.downstream.flush()
    this.#timer = setInterval(() => {
      if (!this.downstream.gone) this.downstream.write(Buffer.from(sseComment))
    }, this.#keepAliveMs)
    this.#timer.unref()
  }

  /** One message before the answer. Resolves when there is room for the next. */
  async message(text: string): Promise<void> {
    this.open()
    if (!this.streaming || this.downstream.gone) return
    if (!this.downstream.write(Buffer.from(sseEvent(text)))) await this.downstream.drained()
  }

  /** The answer, and the end. `status` and `headers` (flat) hold where nothing was sent yet. */
  finish(text: string, status = 200, headers: readonly string[] = []): void {
    this.#stop()
    if (this.#ended || this.downstream.gone) return
    this.#ended = true
    if (this.streaming) return this.downstream.end(this.#quiet ? undefined : Buffer.from(sseEvent(text)))
    const body = Buffer.from(text)
    this.downstream.head(status, '', [
      'Content-Type',
      'application/json',
      'Content-Length',
      String(body.length),
      'Cache-Control',
      'no-store',
      ...this.#headers,
      ...headers,
    ])
    this.downstream.end(body)
  }

  /** An answer without a body, such as 202. */
  empty(status: number, headers: readonly string[] = []): void {
    this.#stop()
    if (this.#ended || this.downstream.gone) return
    this.#ended = true
    this.downstream.head(status, '', ['Content-Length', '0', ...this.#headers, ...headers])
    this.downstream.end()
  }

  #stop(): void {
    clearInterval(this.#timer)
  }
}
