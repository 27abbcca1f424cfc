/**
 * Sessions of people who signed in, each for a browser (a cookie) or for a terminal (a token). Both hold a random secret;
 * the store holds its hash, so that who reads the store can't sign in, and neither is good in the other's place.
 * Durable, so a restart signs nobody out. What another process of the gateway ended is seen here within `recheckMs`.
 */
import { createHmac, hash, randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { type Subject, subjectKey } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'

const space = 'browser-session'
const recheckMs = 5000
/** `lastUsed` is written no oftener. */
const grainMs = 60_000
const sweepMs = 30_000
const mostOfOne = 50
const form = /^[0-9a-f]{32}\.[A-Za-z0-9_-]{43}$/

/** Where a session's secret is presented. */
export type SessionUse = 'browser' | 'terminal'

interface Stored {
  readonly subject: Subject
  /** Absent: `browser`. */
  readonly use?: SessionUse
  /** The configured provider that vouched for it. */
  readonly provider: string
  readonly created: number
  readonly lastUsed: number
  readonly expires: number
}

export interface BrowserSession extends Stored {
  readonly key: string
  /** Bound to the cookie: who can't read the cookie can't make it. */
  readonly csrf: string
  /** Fires when the session is over. */
  readonly ended: AbortSignal
}

interface Known {
  stored: Stored
  checkedAt: number
  usedAt: number
  readonly over: AbortController
}

export interface BrowserSessionsParts {
  readonly state: StateStore
  readonly clock: Clock
  /** As configured now, milliseconds. */
  readonly limits: () => { readonly idle: number; readonly max_age: number }
}

export class BrowserSessions {
  readonly #parts: BrowserSessionsParts
  readonly #known = new Map<string, Known>()
  readonly #sweeper: NodeJS.Timeout

  constructor(parts: BrowserSessionsParts) {
    this.#parts = parts
    this.#sweeper = setInterval(() => void this.sweep().catch(() => undefined), sweepMs)
    this.#sweeper.unref()
  }

  /** A fresh session; durable when it resolves. `cookie` is the only copy of its secret. */
  async create(
    subject: Subject,
    provider: string,
    use: SessionUse = 'browser',
  ): Promise<{ readonly cookie: string; readonly expires: number }> {
    const { state, clock, limits } = this.#parts
    const now = clock.now()
    const person = personOf(subject)
    const others = await state.list<Stored>(space, { prefix: `${person}.`, limit: mostOfOne })
    // The oldest makes room: nobody fills the store by signing in.
    if (others.length >= mostOfOne) {
      const [oldest] = others.sort((a, b) => a.value.created - b.value.created)
      await this.#forget(oldest!.key)
    }
    const secret = randomBytes(32).toString('base64url')
    const cookie = `${person}.${secret}`
    const expires = now + limits().max_age
    const stored: Stored = { subject, use, provider, created: now, lastUsed: now, expires }
    await state.put(space, keyOf(cookie), stored, 0)
    return { cookie, expires: stored.expires }
  }

  /** The session of a secret; undefined for one that is over, of another use, or never was. Counts as a use of it. */
  async find(cookie: string, use: SessionUse = 'browser'): Promise<BrowserSession | undefined> {
    if (!form.test(cookie)) return undefined
    const key = keyOf(cookie)
    const { clock } = this.#parts
    const now = clock.now()
    let known = this.#known.get(key)
    if (known === undefined || now - known.checkedAt > recheckMs) {
      const found = await this.#parts.state.get<Stored>(space, key)
      if (found === undefined) {
        this.#drop(key)
        return undefined
      }
      known = this.#known.get(key) ?? {
        stored: found.value,
        checkedAt: now,
        usedAt: 0,
        over: new AbortController(),
      }
      known.stored = found.value
      known.checkedAt = now
      if (!this.#isOver(known, now)) this.#known.set(key, known)
    }
    if (this.#isOver(known, now)) {
      await this.#forget(key)
      return undefined
    }
    if ((known.stored.use ?? 'browser') !== use) return undefined
    known.usedAt = now
    if (now - known.stored.lastUsed >= grainMs) await this.#markUsed(key, known, now)
    const csrf = createHmac('sha256', cookie).update('sallyport csrf').digest('base64url')
    return { ...known.stored, key, csrf, ended: known.over.signal }
  }

  /** Ends one session, for good when it resolves. */
  async end(session: BrowserSession): Promise<void> {
    await this.#forget(session.key)
  }

  /** Ends every session of the subject; returns how many there were. */
  async endAll(subject: Subject): Promise<number> {
    const found = await this.#parts.state.list(space, { prefix: `${personOf(subject)}.` })
    for (const { key } of found) await this.#forget(key)
    return found.length
  }

  /** Ends what is past its time. By itself twice a minute. */
  async sweep(): Promise<void> {
    const now = this.#parts.clock.now()
    for (const [key, known] of this.#known) if (this.#isOver(known, now)) await this.#forget(key)
    let after = ''
    for (;;) {
      const page = await this.#parts.state.list<Stored>(space, { after, limit: 500 })
      for (const { key, value } of page) {
        const unused =
          this.#known.get(key) === undefined && now - value.lastUsed > this.#parts.limits().idle + grainMs
        if (value.expires <= now || unused) await this.#forget(key)
      }
      if (page.length < 500) return
      after = page.at(-1)!.key
    }
  }

  close(): void {
    clearInterval(this.#sweeper)
    for (const { over } of this.#known.values()) over.abort()
    this.#known.clear()
  }

  #isOver({ stored, usedAt }: Known, now: number): boolean {
    return stored.expires <= now || now - Math.max(stored.lastUsed, usedAt) > this.#parts.limits().idle
  }

  async #markUsed(key: string, known: Known, now: number): Promise<void> {
    const { state } = this.#parts
    const found = await state.get<Stored>(space, key)
    if (found === undefined) return
    const stored = { ...found.value, lastUsed: now }
    if (await state.put(space, key, stored, found.version)) known.stored = stored
  }

  async #forget(key: string): Promise<void> {
    this.#drop(key)
    await this.#parts.state.delete(space, key)
  }

  #drop(key: string): void {
    this.#known.get(key)?.over.abort()
    this.#known.delete(key)
  }
}

/** Sessions of one person begin alike. */
function personOf(subject: Subject): string {
  return hash('sha256', subjectKey(subject), 'hex').slice(0, 32)
}

function keyOf(cookie: string): string {
  const [person, secret] = cookie.split('.')
  return `${person}.${hash('sha256', secret!, 'hex')}`
}
