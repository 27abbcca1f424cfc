import type { Audit } from '../audit/audit.ts'
import type { EventKind } from '../audit/events.ts'

const mostWaiting = 1000
const retryMs = 1000
const tries = 30

/**
 * Writes findings into the log behind the path. What the log can't take now is tried again, bounded in number and time;
 * what is dropped then is counted, since a log in such a state refuses actions too.
 */
export class Telling {
  readonly #audit: Pick<Audit, 'note'>
  readonly #waiting = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  dropped = 0

  constructor(audit: Pick<Audit, 'note'>) {
    this.#audit = audit
  }

  tell(kind: EventKind, attributes: Readonly<Record<string, unknown>>): void {
    if (this.#waiting.size >= mostWaiting) {
      this.dropped++
      return
    }
    const writing = this.#write(kind, attributes).finally(() => this.#waiting.delete(writing))
    this.#waiting.add(writing)
  }

  /** Resolves when all that was told is in the log or given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#waiting)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.settled()
  }

  async #write(kind: EventKind, attributes: Readonly<Record<string, unknown>>): Promise<void> {
    for (let left = tries; left > 0; left--) {
      try {
        await this.#audit.note(kind, attributes)
        return
      } catch {
        if (this.#stop.signal.aborted) break
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, retryMs)
          this.#stop.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
        })
      }
    }
    this.dropped++
  }
}
