/**
 * Scopes that an upstream wants beyond those that are configured, for each person's own credential: the next consent
 * asks for them too (RFC 6750 section 3.1, MCP's "Step-Up Authorization Flow"). An upstream may ask for anything at any
 * time, so they are bounded in number, and so is how often a person is sent to consent for them.
 */
import type { Clock } from '../../clock.ts'
import type { StateStore } from '../../storage/storage.ts'

interface Kept {
  readonly scopes: readonly string[]
  /** When the person consented to more than is configured, milliseconds. */
  readonly consents: readonly number[]
}

const space = 'upstream-scopes'
/** As `scope` may have them (RFC 6749 section 3.3). */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/
const most = 50
/** Most consents for more of one credential in `roundsMs`. */
const mostConsents = 3
const roundsMs = 24 * 3_600_000
const none: Kept = { scopes: [], consents: [] }

export class WantedScopes {
  readonly #state: StateStore
  readonly #clock: Clock

  constructor(of: { readonly state: StateStore; readonly clock: Clock }) {
    this.#state = of.state
    this.#clock = of.clock
  }

  /** What the next consent asks for besides what is configured. `name`: of the credential, as the tokens' are. */
  async of(name: string): Promise<readonly string[]> {
    return (await this.#find(name)).kept.scopes
  }

  /** Durable when it resolves. False, and nothing is changed: they are too many, or people were asked too often. */
  async add(name: string, scopes: readonly string[]): Promise<boolean> {
    if (!scopes.every(each => scopeToken.test(each))) return false
    return await this.#change(name, kept => {
      const union = [...new Set([...kept.scopes, ...scopes])]
      if (union.length > most || this.#recent(kept).length >= mostConsents) return undefined
      return union.length === kept.scopes.length ? kept : { ...kept, scopes: union }
    })
  }

  /** The person has consented to them. Durable when it resolves. */
  async consented(name: string): Promise<void> {
    if ((await this.of(name)).length === 0) return
    await this.#change(name, kept => ({ ...kept, consents: [...this.#recent(kept), this.#clock.now()] }))
  }

  /** Durable when it resolves. How often the person was asked is not forgotten. */
  async forget(name: string): Promise<void> {
    if ((await this.of(name)).length === 0) return
    await this.#change(name, kept => ({ scopes: [], consents: this.#recent(kept) }))
  }

  #recent({ consents }: Kept): readonly number[] {
    const since = this.#clock.now() - roundsMs
    return consents.filter(each => each > since).slice(-mostConsents)
  }

  async #find(name: string): Promise<{ readonly kept: Kept; readonly version: number }> {
    const found = await this.#state.get<Kept>(space, name)
    return found === undefined ? { kept: none, version: 0 } : { kept: found.value, version: found.version }
  }

  async #change(name: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> {
    for (let attempt = 0; attempt < 8; attempt++) {
      const { kept, version } = await this.#find(name)
      const next = change(kept)
      if (next === undefined || next === kept) return next !== undefined
      if (await this.#state.put(space, name, next, version)) return true
    }
    return false
  }
}
