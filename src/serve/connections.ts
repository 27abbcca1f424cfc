import { isDeepStrictEqual } from 'node:util'
import type { Audit } from '../audit/audit.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ClientPlace, OpenConnection, Protocol } from '../gateway/protocol.ts'
import type { Connection } from '../model/connection.ts'

const graceMs = 30_000

/** The connections that take clients, replaced one by one when the configuration changes. */
export class ConnectionTable {
  readonly #gateway: Gateway
  readonly #protocols: readonly Protocol[]
  readonly #open = new Map<string, OpenConnection>()
  readonly #places = new Map<string, ClientPlace>()

  constructor(gateway: Gateway, protocols: readonly Protocol[]) {
    this.#gateway = gateway
    this.#protocols = protocols
  }

  find(name: string): OpenConnection | undefined {
    return this.#open.get(name)
  }

  list(): readonly OpenConnection[] {
    return [...this.#open.values()]
  }

  /** Clients reach the connection of this name by a listener of its own. */
  reachedAt(name: string, place: ClientPlace): void {
    this.#places.set(name, place)
  }

  /**
   * Where clients reach it, as they write it: in its protocol's own form, or under `publicUrl` where HTTP bears it.
   * Undefined: it has no listener, and is reached through a tunnel alone.
   */
  addressOf(open: OpenConnection, publicUrl: string): string | undefined {
    const { name } = open.connection
    if (open.http !== undefined) return `${publicUrl}/c/${name}`
    const place = this.#places.get(name)
    return place === undefined ? undefined : open.addressAt?.(place)
  }

  /**
   * Makes the table as configured. What did not change keeps running untouched; what did is replaced for new clients
   * at once, while its running actions end in their own time. Each change is an entry before it takes effect (P10).
   */
  async apply(wanted: readonly Connection[], audit: Audit): Promise<void> {
    const names = new Set(wanted.map(each => each.name))
    for (const [name, open] of this.#open) {
      if (names.has(name)) continue
      await audit.note('connection.changed', { target: name, change: 'removed' })
      this.#open.delete(name)
      this.#retire(open)
    }
    for (const connection of wanted) {
      const before = this.#open.get(connection.name)
      if (before !== undefined && isDeepStrictEqual(before.connection, connection)) continue
      const { name, protocol, sensitivity, labels } = connection
      const change = before === undefined ? 'added' : 'changed'
      await audit.note('connection.changed', { target: name, change, protocol, sensitivity, labels })
      this.#open.set(name, this.#protocol(protocol).open(connection, this.#gateway))
      if (before !== undefined) this.#retire(before)
    }
  }

  async close(grace: number): Promise<void> {
    await Promise.all(this.list().map(each => each.close(grace)))
  }

  #protocol(name: string): Protocol {
    const found = this.#protocols.find(each => each.name === name)
    if (found === undefined) throw new TypeError(`no protocol ${name}`)
    return found
  }

  #retire(open: OpenConnection): void {
    void open.close(graceMs).catch(() => undefined)
  }
}
