/** What the log, and the gateway's own, say of the programs that serve a connection. */
import type { Gateway } from '../../gateway/gateway.ts'
import type { Connection } from '../../model/connection.ts'
import { subjectFacts } from '../../model/subject.ts'
import type { ServerSettings } from './settings.ts'
import type { Ended, Started } from './stdio-pool.ts'

export class ProcessDiary {
  readonly #gateway: Gateway
  readonly #connection: Connection
  readonly #settings: ServerSettings

  constructor(gateway: Gateway, connection: Connection, settings: ServerSettings) {
    this.#gateway = gateway
    this.#connection = connection
    this.#settings = settings
  }

  /** Rejects where it can't be recorded: then it serves nobody. */
  async started(of: Started): Promise<void> {
    await this.#gateway.audit.note('process.started', this.#facts(of))
  }

  async ended({ why, failed, livedMs, calls, ...of }: Ended): Promise<void> {
    const facts = {
      ...this.#facts(of),
      reason: why,
      outcome: failed ? 'failure' : 'success',
      duration: Math.round(livedMs * 1e6),
    }
    if (failed) this.#gateway.logger?.warn('a server’s process has ended', { ...this.#names, why })
    const { process } = facts
    try {
      await this.#gateway.audit.note('process.ended', { ...facts, process: { ...process, calls } })
    } catch (error) {
      const message = error instanceof Error ? error.message : 'fault'
      this.#gateway.logger?.error('the end of a server’s process was not recorded', {
        ...this.#names,
        error: message,
      })
    }
  }

  /** A line of its standard error. */
  said(line: string, secrets: Readonly<Record<string, string>>): void {
    const lease = { secrets, [Symbol.asyncDispose]: async () => undefined }
    const masker = this.#gateway.masker(['secrets', 'personal'], this.#connection, lease)
    this.#gateway.logger?.info('a server said', { ...this.#names, line: masker.json(line) })
  }

  get #names() {
    return { connection: this.#connection.name, server: this.#settings.name }
  }

  /** Its arguments are in the configuration, and may hold what belongs into no entry. */
  #facts({ pid, subject, action }: Started) {
    const { name, protocol, sensitivity } = this.#connection
    const { command = '', process } = this.#settings
    return {
      connection: { name, protocol, sensitivity },
      ...(subject === undefined ? {} : { subject: subjectFacts(subject) }),
      process: {
        server: this.#settings.name,
        command: command.slice(0, 1024),
        per: process.per,
        for_action: action,
        ...(pid === undefined ? {} : { pid }),
      },
    }
  }
}
