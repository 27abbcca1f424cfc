import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'

/** What must come back to the browser that set out, once, and soon. */
export interface PendingSignIn {
  readonly provider: string
  readonly returnTo: string
  /** OIDC: the state, the nonce and the PKCE verifier. SAML: the id of the request. */
  readonly secrets: Readonly<Record<string, string>>
}

const lastsMs = 10 * 60_000
const most = 20_000

/**
 * Sign-ins that are on their way through a provider. In memory: a restart loses them, and with them whatever was stolen
 * of them. Each is taken once, so neither a code nor an assertion is accepted twice.
 */
export class PendingSignIns {
  readonly #clock: Clock
  readonly #pending = new Map<string, PendingSignIn & { readonly until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns the value of the cookie that binds it to the browser. */
  begin(pending: PendingSignIn): string {
    const now = this.#clock.now()
    for (const [id, { until }] of this.#pending) {
      if (until > now && this.#pending.size < most) break
      this.#pending.delete(id)
    }
    const id = randomBytes(32).toString('base64url')
    this.#pending.set(id, { ...pending, until: now + lastsMs })
    return id
  }

  take(id: string): PendingSignIn | undefined {
    const found = this.#pending.get(id)
    this.#pending.delete(id)
    return found !== undefined && found.until > this.#clock.now() ? found : undefined
  }
}
