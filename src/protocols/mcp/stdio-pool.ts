/** The processes of one stdio server: who shares one, how many there are, and when one is started again. */
import { createHmac, hash, randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { delegatePrefix, type Errand } from '../../identity/delegates.ts'
import type { Subject } from '../../model/subject.ts'
import { fillTemplate } from '../http/inject.ts'
import type { Link } from './link.ts'
import type { Contact } from './server.ts'
import { type ProcessSettings, type ServerSettings, tokenPlace } from './settings.ts'
import { StdioLink, StdioTalk } from './stdio-link.ts'
import type { EndPatience } from './stdio-process.ts'
import type { Era } from './versions.ts'

/** A process, for the log. */
export interface Started {
  readonly pid: number | undefined
  /** Whose calls it serves; undefined where everybody shares it. */
  readonly subject: Subject | undefined
  /** The action that needed it. */
  readonly action: string
}

export interface Ended extends Started {
  readonly why: string
  /** It ended by itself, or did not begin as it should. */
  readonly failed: boolean
  readonly livedMs: number
  readonly calls: number
}

export interface StdioPoolOptions {
  readonly settings: ServerSettings
  readonly maxMessage: number
  readonly answerMs: number
  /** A line of a process's standard error, with the secrets that it was given. */
  readonly onStderr: (line: string, secrets: Readonly<Record<string, string>>) => void
  /** Resolves when it is recorded: no call goes to a process before. */
  readonly onStart: (of: Started) => Promise<void>
  /** Never rejects. */
  readonly onEnd: (of: Ended) => Promise<void>
  /** Lets the process call back by this credential; gives how to end that. */
  readonly admit: (token: string, errands: () => readonly Errand[]) => () => void
  readonly patience?: EndPatience
}

interface Kept {
  readonly talk: StdioTalk
  begun: Promise<void>
  /** Resolves when its end is recorded. */
  done: Promise<void>
  used: number
  /** Why it was stopped here, and whether that is its fault. */
  stopped: { readonly why: string; readonly failed: boolean } | undefined
}

/** What a process is started with, and by which those who share it are told from others. */
interface Dress {
  readonly key: string
  readonly env: Readonly<Record<string, string>>
  /** Values of the environment that nobody may be shown. */
  readonly secrets: Readonly<Record<string, string>>
  readonly token: string | undefined
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
  /** Of which the credentials of its processes are derived: known before they start, so that they can be masked. */
  readonly #seed = randomBytes(32)
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

  /** Values that a process of this contact knows and that no client may see, besides what it was lent. */
  alsoSecret(contact: Pick<Contact, 'principal' | 'secrets'>): readonly string[] {
    const { token } = this.#dress(contact)
    return token === undefined ? [] : [token]
  }

  /** A way to the process of this contact, which is started where there is none. */
  async open(known: Era | 'auto', contact: Contact): Promise<Link> {
    const dress = this.#dress(contact)
    let kept = this.#kept.get(dress.key)
    if (kept === undefined || kept.talk.over) {
      kept = this.#start(dress, { known, contact })
    }
    kept.used = performance.now()
    await kept.begun
    return new StdioLink(kept.talk, this.#process.per === 'identity')
  }

  /** Ends all processes, and resolves when they have gone. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    for (const key of this.#kept.keys()) this.#stop(key, 'the connection was closed')
    await Promise.all(this.#ending)
  }

  /** Who was lent other secrets never meets a process that holds these. */
  #dress({ principal, secrets }: Pick<Contact, 'principal' | 'secrets'>): Dress {
    const own = this.#process.per === 'identity' ? principal : ''
    const texts = Object.entries(this.#options.settings.env)
    const parts = texts.map(
      ([name, value]) => [name, value.split(tokenPlace).map(each => fillTemplate(each, secrets))] as const,
    )
    const key = hash('sha256', JSON.stringify([own, parts]))
    const token = parts.some(([, pieces]) => pieces.length > 1)
      ? delegatePrefix + createHmac('sha256', this.#seed).update(key).digest('base64url')
      : undefined
    const env = Object.fromEntries(parts.map(([name, pieces]) => [name, pieces.join(token)]))
    return { key, env, token, secrets: token === undefined ? secrets : { ...secrets, [tokenPlace]: token } }
  }

  #start(
    { key, env, secrets, token }: Dress,
    { known, contact }: { readonly known: Era | 'auto'; readonly contact: Contact },
  ): Kept {
    if (this.#closed) throw new GatewayError('shutting-down')
    const { trouble } = this
    if (trouble !== undefined) throw new GatewayError('upstream-unreachable', { detail: trouble })
    this.#makeRoom()
    const { settings, maxMessage, answerMs, onStderr, onStart, onEnd, admit } = this.#options
    const { memory, cpu_time, calls, queue, start, per } = this.#process
    contact.starting()
    const began = performance.now()
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
      { calls, queue, startMs: start, answerMs },
      line => onStderr(line, secrets),
    )
    const dismiss = token === undefined ? undefined : admit(token, () => talk.errands())
    const { subject, action } = contact.errand
    const facts = { pid: talk.pid, subject: per === 'identity' ? subject : undefined, action }
    const kept: Kept = {
      talk,
      begun: Promise.all([onStart(facts), talk.begin(known, contact)]).then(() => undefined),
      done: Promise.resolve(),
      used: began,
      stopped: undefined,
    }
    this.#kept.set(key, kept)
    kept.begun.catch((error: unknown) => this.#startFailed(key, kept, error))
    kept.done = talk.ended.then(async why => {
      dismiss?.()
      const livedMs = performance.now() - began
      const unasked = this.#kept.get(key) === kept
      if (unasked) {
        this.#kept.delete(key)
        this.#failed(why, livedMs)
      }
      await onEnd({
        ...facts,
        ...(kept.stopped ?? { why, failed: unasked }),
        livedMs,
        calls: talk.calls,
      })
    })
    this.#ending.add(kept.done)
    void kept.done.finally(() => this.#ending.delete(kept.done))
    return kept
  }

  #startFailed(key: string, kept: Kept, error: unknown): void {
    if (this.#kept.get(key) !== kept) return
    const why = `its start failed: ${error instanceof GatewayError ? (error.detail ?? error.code) : 'fault'}`
    this.#failed(why, 0)
    this.#stop(key, why, true)
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
    this.#stop(idle[0][0], 'it made room for another')
  }

  #sweep(): void {
    const now = performance.now()
    for (const [key, kept] of this.#kept) {
      if (!kept.talk.idle) kept.used = now
      else if (now - kept.used > this.#process.idle) this.#stop(key, 'nobody used it')
    }
  }

  #stop(key: string, why: string, failed = false): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    kept.stopped = { why, failed }
    const ending = kept.talk.close(this.#options.patience).finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
