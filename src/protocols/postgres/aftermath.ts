/**
 * What the server says after a fault amid an answer: nothing of it reaches the client, but the log must say what became
 * of the statements that had gone upstream already, and the session can go on only once the server is ready again.
 */
import type { GatewayError } from '../../errors.ts'
import { type Ended, toldBy } from './answer.ts'
import type { Message } from './codec.ts'
import type { Host } from './host.ts'
import { copyFail, type Report, readReport, sync } from './messages.ts'

/** How long a server that was asked to stop may take. */
const patienceMs = 10_000

/** Faults after which nobody knows what the server says next. */
const unusable: ReadonlySet<string> = new Set([
  'internal',
  'upstream-invalid',
  'upstream-unreachable',
  'upstream-timeout',
])

/** The session can't go on: an answer was cut, and nobody knows what of it the client has. */
export class SessionOver extends Error {
  readonly report: Report
  constructor(report: Report) {
    super(report.message)
    this.report = report
  }
}

/** An earlier statement of the same string failed, so the server never came to this one. */
export const notRun: Ended = { last: Buffer.alloc(0), type: '', success: false, rows: 0 }

export class Aftermath {
  readonly #host: Host
  readonly #until = performance.now() + patienceMs
  #ready: Message | undefined
  #lost: boolean

  private constructor(host: Host, lost: boolean) {
    this.#host = host
    this.#lost = lost
  }

  /** Ends what the server still runs. `synced`: the bytes that went upstream end with what makes it say it is ready. */
  static async begin(
    host: Host,
    cause: { readonly fault: GatewayError; readonly synced: boolean },
  ): Promise<Aftermath> {
    const aftermath = new Aftermath(host, unusable.has(cause.fault.code) || host.upstream.ended)
    if (aftermath.#lost) return aftermath
    await host.cancelUpstream().catch(() => undefined)
    // Should the server wait for COPY data it hears that there is none; else it takes no notice.
    host.upstream.send(copyFail('refused by the gateway'))
    if (!cause.synced) host.upstream.send(sync)
    return aftermath
  }

  /** How the next statement ended, its rows unread. Undefined: that can't be known any more. */
  async next(): Promise<Ended | undefined> {
    for (;;) {
      const each = await this.#take()
      if (each === undefined) return this.#lost ? undefined : notRun
      const { type, bytes } = each
      if (type === 'E') {
        const sqlState = readReport(bytes).get('C') ?? ''
        return { last: bytes, type, success: false, rows: 0, sqlState }
      }
      if (type !== 'C' && type !== 'I' && type !== 's') continue
      const { tag, rows = 0 } = toldBy(each)
      return { last: bytes, type, success: true, rows, tag }
    }
  }

  /** Drops the rest, so that the session can go on. Throws SessionOver, with this report, where it can't. */
  async settle(report: Report): Promise<void> {
    while ((await this.#take()) !== undefined);
    if (this.#lost || this.#host.client.ended) throw new SessionOver(report)
    this.#host.ready(this.#ready!)
  }

  /** The server's next message; undefined once it is ready, or lost. */
  async #take(): Promise<Message | undefined> {
    const { upstream } = this.#host
    try {
      for (;;) {
        if (this.#ready !== undefined || this.#lost) return undefined
        const found = upstream.take()
        if (found !== undefined) {
          if (this.#host.passed(found)) continue
          if (found.type !== 'Z') return found
          this.#ready = found
        } else if (upstream.ended || performance.now() >= this.#until) this.#lost = true
        else await this.#more()
      }
    } catch {
      // A message that makes no sense.
      this.#lost = true
      return undefined
    }
  }

  /** Resolves when something has come, or time is up. */
  async #more(): Promise<void> {
    const { upstream } = this.#host
    const timer = setTimeout(() => upstream.wake(), Math.max(0, this.#until - performance.now()))
    await upstream.flush()
    await upstream.readable()
    clearTimeout(timer)
  }
}
