/** The processes of one stdio server: who shares one, how many there are, and when one is started again. */
import { hash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { fillTemplate } from '../http/inject.ts'
import type { Link } from './link.ts'
import type { Contact } from './server.ts'
import type { ProcessSettings, ServerSettings } from './settings.ts'
import { StdioLink, StdioTalk } from './stdio-link.ts'
import type { EndPatience } from './stdio-process.ts'
import type { Era } from './versions.ts'

export interface StdioPoolOptions {
  readonly settings: ServerSettings
  readonly maxMessage: number
  readonly answerMs: number
  /** A line of a process's standard error, with the secrets that it was given. */
  readonly onStderr: (line: string, secrets: Readonly<Record<string, string>>) => void
  readonly onEnd: (why: string) => void
  readonly patience?: EndPatience
}

interface Kept {
  readonly talk: StdioTalk
  readonly begun: Promise<void>
  used: number
}

const sweepMs = 5000
/** A process that lived this long had a good start: its end is no reason to wait. */
const soundMs = 60_000
const backoff = { firstMs: 250, mostMs: 60_000 }

export class StdioPool {
  readonly #options: StdioPoolOptions
  readonly #process: ProcessSettings
  readonly #kept = new Map<string, Kept>()
  readonly #ending = new Set<Promise<void>>()
  readonly #sweeper: NodeJS.Timeout
  #failures = 0
  #notBefore = 0
  #lastEnd = ''
  #closed = false

  constructor(options: StdioPoolOptions) {
    this.#options = options
    this.#process = options.settings.process
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  /** Why it can't be started now; undefined where nothing is known against it. */
  get trouble(): string | undefined {
    const wait = Math.ceil((this.#notBefore - performance.now()) / 1000)
    return wait > 0 ? `${this.#lastEnd}; it is started again in ${wait} s at the earliest` : undefined
  }

  /** A way to the process of this contact, which is started where there is none. */
  async open(known: Era | 'auto', contact: Contact): Promise<Link> {
    const { settings } = this.#options
    const env = Object.fromEntries(
      Object.entries(settings.env).map(([name, value]) => [name, fillTemplate(value, contact.secrets)]),
    )
    const own = this.#process.per === 'identity'
    // Who was lent other secrets never meets a process that holds these.
    const key = hash('sha256', JSON.stringify([own ? contact.principal : '', env]))
    let kept = this.#kept.get(key)
    if (kept === undefined || kept.talk.over) {
      kept = this.#start(key, env, { known, contact })
    }
    kept.used = performance.now()
    await kept.begun
    return new StdioLink(kept.talk, own)
  }

  /** Ends all processes, and resolves when they have gone. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    for (const key of this.#kept.keys()) this.#stop(key)
    await Promise.all(this.#ending)
  }

  #start(
    key: string,
    env: Readonly<Record<string, string>>,
    { known, contact }: { readonly known: Era | 'auto'; readonly contact: Contact },
  ): Kept {
    if (this.#closed) throw new GatewayError('shutting-down')
    const { trouble } = this
    if (trouble !== undefined) throw new GatewayError('upstream-unreachable', { detail: trouble })
    this.#makeRoom()
    const { settings, maxMessage, answerMs, onStderr, onEnd } = this.#options
    const { memory, cpu_time, calls, start } = this.#process
    contact.starting()
    const began = performance.now()
    const { secrets } = contact
    const talk = new StdioTalk(
      {
        command: settings.command ?? '',
        args: settings.args,
        env,
        cwd: settings.cwd,
        memory: memory === 0 ? undefined : memory,
        cpuSeconds: cpu_time === 0 ? undefined : cpu_time / 1000,
        maxMessage,
      },
      { calls, startMs: start, answerMs },
      line => onStderr(line, secrets),
    )
    const kept: Kept = { talk, begun: talk.begin(known, contact), used: began }
    this.#kept.set(key, kept)
    kept.begun.catch(() => this.#stop(key, kept))
    void talk.ended.then(why => {
      // One that was stopped here is not there any more.
      if (this.#kept.get(key) !== kept) return
      this.#kept.delete(key)
      this.#failed(why, performance.now() - began)
      onEnd(why)
    })
    return kept
  }

  #failed(why: string, livedMs: number): void {
    this.#failures = livedMs > soundMs ? 0 : this.#failures + 1
    this.#lastEnd = why
    if (this.#failures < 2) return
    const wait = Math.min(backoff.firstMs * 2 ** Math.min(this.#failures - 2, 20), backoff.mostMs)
    this.#notBefore = performance.now() + wait
  }

  /** Throws `overloaded` where all that may be there are at work. */
  #makeRoom(): void {
    if (this.#kept.size < this.#process.most) return
    const idle = [...this.#kept]
      .filter(([, { talk }]) => talk.idle)
      .toSorted(([, a], [, b]) => a.used - b.used)
    if (idle[0] === undefined)
      throw new GatewayError('overloaded', { detail: 'as many processes as there may be are at work' })
    this.#stop(idle[0][0])
  }

  #sweep(): void {
    const now = performance.now()
    for (const [key, kept] of this.#kept) {
      if (!kept.talk.idle) kept.used = now
      else if (now - kept.used > this.#process.idle) this.#stop(key)
    }
  }

  #stop(key: string, only?: Kept): void {
    const kept = this.#kept.get(key)
    if (kept === undefined || (only !== undefined && only !== kept)) return
    this.#kept.delete(key)
    const ending = kept.talk.close(this.#options.patience).finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
