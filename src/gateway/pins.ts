/** Definitions of what upstreams offer, held to what a person (or the first sight) has accepted. */

/** One thing on offer, as the upstream defines it now. */
export interface Offer {
  readonly name: string
  /** Digest of the whole definition. */
  readonly pin: string
  readonly definition: Readonly<Record<string, unknown>>
}

/** Where things are offered: a connection, and the server behind it. */
export interface OfferedBy {
  readonly connection: string
  readonly server: string
}

export interface Pins {
  /**
   * Takes note of all that a server offers. At the first sight of the server all of it is accepted; later, what is new
   * or defined anew waits for a person. Durable, with its entries, when it resolves.
   */
  see(by: OfferedBy, offers: readonly Offer[]): Promise<void>
  /** Whether exactly this definition is accepted. False before `see`. */
  accepts(by: OfferedBy, offer: Pick<Offer, 'name' | 'pin'>): boolean
}
