/** The tools of one connection, held to the definitions that were accepted. */
import type { Pins } from '../../gateway/pins.ts'
import type { Kind } from './catalogue.ts'
import type { McpSettings } from './settings.ts'
import type { Offered } from './virtual-server.ts'

export class ConnectionPins {
  readonly #pins: Pins | undefined
  readonly #connection: string

  constructor(pins: Pins | undefined, connection: string, mode: McpSettings['pins']) {
    this.#pins = mode === 'off' ? undefined : pins
    this.#connection = connection
  }

  /** Takes note of what was just listed. */
  async see(kind: Kind, offered: readonly Offered[]): Promise<void> {
    if (this.#pins === undefined || kind !== 'tools') return
    const byServer = Map.groupBy(offered, ({ server }) => server.name)
    for (const [server, each] of byServer) {
      const offers = each.map(({ item: { key, pin, definition } }) => ({ name: key, pin, definition }))
      await this.#pins.see({ connection: this.#connection, server }, offers)
    }
  }

  accepts({ server, item }: Offered): boolean {
    const by = { connection: this.#connection, server: server.name }
    return this.#pins === undefined || this.#pins.accepts(by, { name: item.key, pin: item.pin })
  }
}
