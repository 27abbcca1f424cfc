import type { Audit, ClientFacts } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { GatewayError } from '../errors.ts'
import { newId } from '../id.ts'
import type { Connection } from '../model/connection.ts'
import { type Subject, subjectFacts, subjectKey } from '../model/subject.ts'
import type { Session, Sessions } from './session.ts'

interface Open {
  /** With the subject as it was verified last: a newer token may bring other groups and another end. */
  session: Session
  /** What its actions are matched by; absent for a session that its protocol opened by itself. */
  readonly key: string | undefined
  readonly startedAt: number
  lastUsed: number
}

interface Limits {
  readonly idleMs: number
  readonly maxMs: number
  /** Asked before each session begins: a reason why it may not. */
  readonly admit?: () => GatewayError | undefined
}

interface Starting {
  readonly subject: Subject
  readonly target: Connection
  readonly client: ClientFacts
  readonly key: string | undefined
}

/**
 * The running sessions. A session of a protocol without sessions of its own ends when it was idle for `idleMs`, or
 * after `maxMs` however busy; a sweep looks at a quarter of the idle time.
 */
export class OpenSessions implements Sessions {
  readonly #audit: Audit
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #open = new Map<string, Open>()
  readonly #shared = new Map<string, Open | Promise<Open>>()
  readonly #listeners = new Set<(session: Session) => void>()
  readonly #sweeper: NodeJS.Timeout

  constructor(audit: Audit, clock: Clock, limits: Limits) {
    this.#audit = audit
    this.#clock = clock
    this.#limits = limits
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(250, limits.idleMs / 4))
    this.#sweeper.unref()
  }

  resume(subject: Subject, target: Connection, client: ClientFacts): Session | Promise<Session> {
    const key = JSON.stringify([subjectKey(subject), target.name, client.ip])
    const running = this.#shared.get(key)
    if (running instanceof Promise) return running.then(each => asNow(each, subject))
    if (running !== undefined) {
      const over = running.session.target === target ? this.#overdue(running) : 'reconfigured'
      if (over === undefined) {
        running.lastUsed = this.#clock.now()
        return asNow(running, subject)
      }
      this.#end(running, over).catch(() => undefined)
    }
    const starting = this.#start({ subject, target, client, key })
    this.#shared.set(key, starting)
    return starting.then(
      each => {
        this.#shared.set(key, each)
        return each.session
      },
      (error: unknown) => {
        this.#shared.delete(key)
        throw error
      },
    )
  }

  async open(subject: Subject, target: Connection, client: ClientFacts): Promise<Session> {
    return (await this.#start({ subject, target, client, key: undefined })).session
  }

  async close(session: Session, reason: string): Promise<void> {
    const each = this.#open.get(session.id)
    if (each !== undefined) await this.#end(each, reason)
  }

  /** Ends a session by force: what runs in it is cut. */
  async kill(session: Session, reason: string): Promise<void> {
    await this.close(session, reason)
    for (const exchange of session.running) exchange.cut?.()
  }

  /** Ends every session; their `session.ended` entries are durable when it resolves. */
  async closeAll(reason: string): Promise<void> {
    clearInterval(this.#sweeper)
    await Promise.all([...this.#open.values()].map(each => this.#end(each, reason)))
  }

  list(): readonly Session[] {
    return [...this.#open.values()].map(each => each.session)
  }

  find(id: string): Session | undefined {
    return this.#open.get(id)?.session
  }

  onEnd(listener: (session: Session) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #start(of: Starting): Promise<Open> {
    const { subject, target, client, key } = of
    const refusal = this.#limits.admit?.()
    if (refusal !== undefined) throw refusal
    const now = this.#clock.now()
    const session: Session = {
      id: newId('s', now),
      subject,
      target,
      connection: { name: target.name, protocol: target.protocol, sensitivity: target.sensitivity },
      client,
      totals: { actions: 0, denied: 0, failed: 0, masked: 0, bytesIn: 0, bytesOut: 0 },
      running: new Set(),
    }
    await this.#audit.note('session.started', entryFacts(session))
    const started: Open = { session, key, startedAt: now, lastUsed: now }
    this.#open.set(session.id, started)
    return started
  }

  async #end(each: Open, reason: string): Promise<void> {
    if (!this.#open.delete(each.session.id)) return
    if (each.key !== undefined && this.#shared.get(each.key) === each) this.#shared.delete(each.key)
    for (const listener of this.#listeners) listener(each.session)
    await this.#audit.note('session.ended', {
      ...entryFacts(each.session),
      reason,
      totals: totalsFacts(each.session),
      duration: Math.round((this.#clock.now() - each.startedAt) * 1e6),
    })
  }

  #sweep(): void {
    for (const each of this.#open.values()) {
      const over = each.key === undefined ? undefined : this.#overdue(each)
      if (over !== undefined) this.#end(each, over).catch(() => undefined)
    }
  }

  #overdue(each: Open): string | undefined {
    const now = this.#clock.now()
    if (now - each.lastUsed > this.#limits.idleMs) return 'idle'
    return now - each.startedAt > this.#limits.maxMs ? 'max-age' : undefined
  }
}

/** The session stays; who is judged and recorded is who asks now, never who asked first. */
function asNow(running: Open, subject: Subject): Session {
  if (running.session.subject !== subject) running.session = { ...running.session, subject }
  return running.session
}

function entryFacts(session: Session): Record<string, unknown> {
  return {
    session: session.id,
    subject: subjectFacts(session.subject),
    connection: session.connection,
    client: session.client,
  }
}

function totalsFacts({ totals }: Session): Record<string, number> {
  const { actions, denied, failed, masked, bytesIn, bytesOut } = totals
  return { actions, denied, failed, masked, bytes_in: bytesIn, bytes_out: bytesOut }
}
