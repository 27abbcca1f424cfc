/** Calls that wait for a person: how long each era's clients endure it, how many at once, and what they hear meanwhile. */
import type { Caller } from './caller.ts'
import { writeMessage } from './codec.ts'
import { fieldsOf } from './rpc.ts'
import type { McpSettings } from './settings.ts'
import type { Era } from './versions.ts'

const progressMs = 10_000

export class Holds {
  readonly #settings: McpSettings['hold']
  #held = 0
  readonly #heldBy = new Map<string, number>()

  constructor(settings: McpSettings['hold']) {
    this.#settings = settings
  }

  /** 0 where as many are held as may be, in all or of this client. */
  holdMs(era: Era, client: string): number {
    const { calls, per_client } = this.#settings
    if (this.#held >= calls || (this.#heldBy.get(client) ?? 0) >= per_client) return 0
    return era === 'modern' ? this.#settings.modern : this.#settings.legacy
  }

  /** Counts it, opens its stream and tells of progress where the client wants to hear. Call what it gives once. */
  enter({ answer, asked }: Pick<Caller, 'answer' | 'asked'>, client: string): () => void {
    this.#held++
    this.#heldBy.set(client, (this.#heldBy.get(client) ?? 0) + 1)
    answer?.open()
    const token = fieldsOf(asked.params['_meta'])['progressToken']
    let progress = 0
    const tell = (): void => {
      const params = {
        progressToken: token,
        progress: ++progress,
        message: 'Waiting for a person to approve this call',
      }
      void answer?.message(writeMessage({ kind: 'notification', method: 'notifications/progress', params }))
    }
    if (token !== undefined) tell()
    const timer = token === undefined ? undefined : setInterval(tell, progressMs)
    timer?.unref()
    return () => {
      this.#held--
      const left = (this.#heldBy.get(client) ?? 1) - 1
      if (left > 0) this.#heldBy.set(client, left)
      else this.#heldBy.delete(client)
      clearInterval(timer)
    }
  }
}
