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

  constructor(settings: McpSettings['hold']) {
    this.#settings = settings
  }

  holdMs(era: Era): number {
    if (this.#held >= this.#settings.calls) return 0
    return era === 'modern' ? this.#settings.modern : this.#settings.legacy
  }

  /** Counts it, opens its stream and tells of progress where the client wants to hear. Call what it gives once. */
  enter({ answer, asked }: Pick<Caller, 'answer' | 'asked'>): () => void {
    this.#held++
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
      clearInterval(timer)
    }
  }
}
