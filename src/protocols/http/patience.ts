/** How long each client endures a silent hold, and how much may be held at once. */
import type { Patience } from '../../gateway/exchange.ts'
import { compileGlob, type Glob } from '../../policy/glob.ts'
import { builtinProfiles } from './hold-profiles.ts'
import type { RequestHead } from './request.ts'
import type { CommonSettings } from './settings.ts'

/** Longer names are looked at this far. */
const agentLength = 256

/** The holds of one connection. */
export class Holds {
  readonly #settings: CommonSettings['hold']
  readonly #profiles: readonly { readonly agent: Glob; readonly hold: number }[]
  #calls = 0
  #bytes = 0

  constructor(settings: CommonSettings['hold']) {
    this.#settings = settings
    this.#profiles = [...settings.profiles, ...builtinProfiles].map(({ agent, hold }) => ({
      agent: compileGlob(agent, { ignoreCase: true }),
      hold,
    }))
  }

  /** What the client said it can wait (RFC 7240), else what clients of its name can; nothing where all is full. */
  patience(head: RequestHead, bodyBytes: number): Patience {
    const then = head.respondAsync ? 'poll' : 'resubmit'
    const { calls, bytes, longest } = this.#settings
    if (this.#calls >= calls || this.#bytes + bodyBytes > bytes) return { holdMs: 0, then }
    if (head.waitSeconds !== undefined) return { holdMs: Math.min(head.waitSeconds * 1000, longest), then }
    return { holdMs: head.respondAsync ? 0 : this.#ofAgent(head.agent), then }
  }

  /** Counts a call that is held from now on. Call what it gives once, when it is no longer. */
  enter(bodyBytes: number): () => void {
    this.#calls++
    this.#bytes += bodyBytes
    return () => {
      this.#calls--
      this.#bytes -= bodyBytes
    }
  }

  get held(): { readonly calls: number; readonly bytes: number } {
    return { calls: this.#calls, bytes: this.#bytes }
  }

  #ofAgent(agent: string | undefined): number {
    if (agent === undefined) return this.#settings.default
    const name = agent.slice(0, agentLength)
    return this.#profiles.find(each => each.agent.matches(name))?.hold ?? this.#settings.default
  }
}
