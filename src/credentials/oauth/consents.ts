/**
 * Consents under way: a person was sent to an authorization server and is not back yet. In memory, since they last
 * minutes, and bounded; each is good for one answer.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Principal } from '../../model/subject.ts'
import { sha256 } from '../../sha256.ts'

export interface Consent {
  readonly person: Principal
  readonly connection: string
  readonly credential: string
  /** That were asked for. */
  readonly scopes: readonly string[]
  /** PKCE's verifier (RFC 7636). */
  readonly verifier: string
  readonly state: string
  readonly redirectUri: string
  readonly expiresAt: number
}

/** A consent with the answer of the authorization server, not yet confirmed by the person who asked for it. */
export interface Answered {
  readonly consent: Consent
  /** The address that the browser was sent to, with the code in it. */
  readonly address: string
  /** What the page shows and the person gives back, `XXXX-XXXX`. */
  readonly confirmation: string
}

const lifetimeMs = 600_000
const most = 10_000
const attempts = 5
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export class Consents {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Consent>()
  readonly #answered = new Map<string, Answered & { failed: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(of: Omit<Consent, 'state' | 'expiresAt'>): Consent {
    this.#drop(this.#waiting, each => each)
    const consent = {
      ...of,
      state: randomBytes(32).toString('base64url'),
      expiresAt: this.#clock.now() + lifetimeMs,
    }
    this.#waiting.set(consent.state, consent)
    return consent
  }

  /** The consent of this state, once; undefined where there is none, or none any more. */
  take(state: string): Consent | undefined {
    const found = this.#waiting.get(state)
    this.#waiting.delete(state)
    return found !== undefined && found.expiresAt > this.#clock.now() ? found : undefined
  }

  /** Keeps an answer until its person confirms it. A later one of theirs for the same credential takes its place. */
  keep(consent: Consent, address: string): Answered {
    this.#drop(this.#answered, each => each.consent)
    const letters = [...randomBytes(8)].map(byte => alphabet[byte & 31]).join('')
    this.#answered.delete(keyOf(consent))
    const answered = {
      consent,
      address,
      confirmation: `${letters.slice(0, 4)}-${letters.slice(4)}`,
      failed: 0,
    }
    this.#answered.set(keyOf(consent), answered)
    return answered
  }

  /** The answer that this person confirms, once. A few wrong codes, and it is gone. */
  confirm(
    of: Pick<Consent, 'person' | 'connection' | 'credential'>,
    confirmation: string,
  ): Answered | undefined {
    const key = keyOf(of)
    const found = this.#answered.get(key)
    if (found === undefined) return undefined
    const right = timingSafeEqual(digest(confirmation.trim().toUpperCase()), digest(found.confirmation))
    if (right || ++found.failed >= attempts) this.#answered.delete(key)
    return right && found.consent.expiresAt > this.#clock.now() ? found : undefined
  }

  /** What is over, and beyond the bound the oldest. */
  #drop<T>(from: Map<string, T>, consentOf: (value: T) => Consent): void {
    const now = this.#clock.now()
    for (const [key, value] of from) {
      if (consentOf(value).expiresAt > now && from.size < most) break
      from.delete(key)
    }
  }
}

function keyOf({
  person,
  connection,
  credential,
}: Pick<Consent, 'person' | 'connection' | 'credential'>): string {
  return JSON.stringify([person.issuer, person.id, connection, credential])
}

function digest(text: string): Buffer {
  return sha256(text)
}
