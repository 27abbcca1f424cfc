/** One server behind a connection: its conversations, what it offers, and what its tools are taken for. */
import { hash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { BoundedCache } from '../../identity/bounded-cache.ts'
import { type Kind, type Item, type Items, itemsOf, listings } from './catalogue.ts'
import { Classifier } from './classify.ts'
import type { Link, LinkCall } from './link.ts'
import { fieldsOf, textOf } from './rpc.ts'
import type { ServerSettings } from './settings.ts'
import type { Era } from './versions.ts'

/** With what a server is spoken to on behalf of one client. */
export type Contact = Pick<
  LinkCall,
  'client' | 'secrets' | 'signal' | 'errand' | 'starting' | 'onNotification' | 'onRequest' | 'onStream'
> & {
  /** Whose conversation it is: a session of a 2025-era client, or an identity. */
  readonly key: string
  /** The identity, which several conversations may be of. */
  readonly principal: string
}

export type OpenLink = (known: Era | 'auto', contact: Contact) => Promise<Link>

const mostPages = 1000
/** Kept of lists besides those of who has the most. */
const itemsOfOthers = 20_000

interface Kept {
  readonly opening: Promise<Link>
  link: Link | undefined
  used: number
}

interface Listed {
  readonly items: Items
  readonly at: number
}

interface Lists {
  readonly read: Map<Kind, Listed>
  readonly reading: Map<Kind, Promise<Items>>
}

export interface ServerOptions {
  readonly open: OpenLink
  readonly prefix: string
  readonly mostItems: number
  readonly mostLinks: number
  readonly idleMs: number
  /** Each conversation is its contact's own, in either era. */
  readonly separate: boolean
  /** What it knows of this contact's besides what it was lent, and may tell nobody. */
  readonly alsoSecret?: (contact: Pick<Contact, 'principal' | 'secrets'>) => readonly string[]
  /** Called when it can't be used any more, and with nothing when it can be again. */
  readonly onTrouble?: (trouble: string | undefined) => void
  /** Called when the server is given up, after its conversations. */
  readonly close?: () => Promise<void>
}

export class Server {
  readonly name: string
  readonly prefix: string
  readonly settings: ServerSettings
  readonly classifier: Classifier
  readonly #options: ServerOptions
  readonly #asked: Era | 'auto'
  #trouble: string | undefined
  /** In which era the server answers clients of each. */
  readonly #spoken = new Map<Era, Era>()
  readonly #links = new Map<string, Kept>()
  /**
   * By what was lent for the reading: a server may offer each person something else, and a conversation is one for
   * several identities where the server is of 2026.
   */
  readonly #lists = new WeakMap<Link, BoundedCache<Lists>>()
  /** By the key of a contact, what it was lent last. */
  readonly #lent: BoundedCache<string>

  constructor(settings: ServerSettings, options: ServerOptions) {
    this.name = settings.name
    this.prefix = options.prefix
    this.settings = settings
    this.classifier = new Classifier(settings)
    this.#options = options
    this.#asked = settings.era
    this.#lent = new BoundedCache({ entries: options.mostLinks, weight: options.mostLinks })
  }

  /**
   * The conversation of this contact, opened where there is none: in the client's own era where the server speaks it,
   * since then nothing is translated. Conversations of 2026 are one for everybody.
   */
  async link(contact: Contact): Promise<Link> {
    const { era } = contact.client
    const key = this.#keyOf(contact.key, era)
    const there = this.#links.get(key)
    if (there !== undefined && there.link?.ended !== true) {
      there.used = Date.now()
      return await there.opening
    }
    const kept: Kept = {
      opening: this.#options.open(this.#asked, contact),
      link: undefined,
      used: Date.now(),
    }
    this.#links.set(key, kept)
    try {
      kept.link = await kept.opening
      this.#went()
    } catch (error) {
      this.#went(error)
      if (this.#links.get(key) === kept) this.#links.delete(key)
      throw error
    }
    this.#spoken.set(era, kept.link.era)
    const settled = this.#keyOf(contact.key, era)
    if (settled !== key && this.#links.get(key) === kept) {
      this.#links.delete(key)
      this.#links.set(settled, kept)
    }
    this.#reap()
    return kept.link
  }

  /** The conversation, if it is open. */
  opened(key: string): Link | undefined {
    const kept = this.#links.get(key) ?? this.#links.get('')
    return kept?.link?.ended === true ? undefined : kept?.link
  }

  /** One for everybody once the server is known to answer this era in that of 2026. */
  #keyOf(key: string, era: Era): string {
    return !this.#options.separate && this.#spoken.get(era) === 'modern' ? '' : key
  }

  /** What was listed in this conversation with what this contact was lent, at most `maxAgeMs` ago. */
  listed(key: string, kind: Kind, maxAgeMs: number): Items | undefined {
    const link = this.opened(key)
    const lent = this.#lent.get(key)
    if (link === undefined || lent === undefined) return undefined
    const found = this.#lists.get(link)?.get(lent)?.read.get(kind)
    return found !== undefined && performance.now() - found.at <= maxAgeMs ? found.items : undefined
  }

  /** Reads a list whole, or joins who reads the same already. Empty for a server that has none of the kind. */
  async list(kind: Kind, contact: Contact): Promise<Items> {
    const link = await this.link(contact)
    const { lists, keep } = this.#listsFor(link, contact)
    const { read, reading } = lists
    for (let under = reading.get(kind); under !== undefined; under = reading.get(kind)) {
      try {
        return await under
      } catch (error) {
        // Who read it may have left; then it is read for whoever is still there.
        if (contact.signal.aborted || !(error instanceof GatewayError) || error.code !== 'client-gone')
          throw error
      }
    }
    const own = this.#read(link, kind, contact)
      .then(items => {
        this.#went()
        read.set(kind, { items, at: performance.now() })
        keep()
        return items
      })
      .catch((error: unknown) => {
        this.#went(error)
        throw error
      })
      .finally(() => reading.delete(kind))
    reading.set(kind, own)
    return await own
  }

  /** A server says that a list has changed: the next use reads it anew. */
  changed(key: string, kind: Kind): void {
    const link = this.opened(key)
    const lent = this.#lent.get(key)
    if (link !== undefined && lent !== undefined) this.#lists.get(link)?.get(lent)?.read.delete(kind)
  }

  #listsFor(link: Link, { key, secrets }: Contact): { readonly lists: Lists; readonly keep: () => void } {
    const { mostLinks, mostItems } = this.#options
    const lent = hash('sha256', JSON.stringify(secrets), 'base64')
    this.#lent.set(key, lent, 1)
    let ofLink = this.#lists.get(link)
    if (ofLink === undefined) {
      // What one is offered always fits: four kinds of things at most.
      ofLink = new BoundedCache<Lists>({ entries: mostLinks, weight: 4 * mostItems + itemsOfOthers })
      this.#lists.set(link, ofLink)
    }
    const lists = ofLink.get(lent) ?? { read: new Map<Kind, Listed>(), reading: new Map() }
    const keep = (): void => {
      const weight = [...lists.read.values()].reduce((sum, { items }) => sum + items.size, 1)
      ofLink.set(lent, lists, weight)
    }
    keep()
    return { lists, keep }
  }

  /** Why it could not be spoken with or listed when it was last tried; undefined where it could. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  #went(error?: unknown): void {
    // Who leaves says nothing of the server.
    if (error instanceof GatewayError && error.code === 'client-gone') return
    const before = this.#trouble
    this.#trouble = error === undefined ? undefined : troubleOf(error)
    if ((before === undefined) !== (this.#trouble === undefined)) this.#options.onTrouble?.(this.#trouble)
  }

  alsoSecret(contact: Pick<Contact, 'principal' | 'secrets'>): readonly string[] {
    return this.#options.alsoSecret?.(contact) ?? []
  }

  risk(item: Item): ReturnType<Classifier['classify']> {
    return this.classifier.classify(item.key, item.definition)
  }

  async end(key: string): Promise<void> {
    const kept = this.#links.get(key)
    this.#links.delete(key)
    await kept?.link?.close()
  }

  async close(): Promise<void> {
    const all = [...this.#links.values()]
    this.#links.clear()
    await Promise.all([
      ...all.map(each => each.opening.then(link => link.close()).catch(() => undefined)),
      this.#options.close?.(),
    ])
  }

  async #read(link: Link, kind: Kind, contact: Contact): Promise<Items> {
    const { method, member, capability } = listings[kind]
    const listed: unknown[] = []
    const has = link.facts.capabilities[capability] !== undefined
    let cursor: string | undefined
    for (let page = 0; has && page < mostPages; page++) {
      const params = cursor === undefined ? {} : { cursor }
      const { result, error } = await link.call({ ...contact, headers: [], method, params })
      // Some servers that have tools know no templates.
      if (error !== undefined && kind === 'templates') break
      if (result === undefined)
        throw new GatewayError('upstream-invalid', { detail: `${method} failed (${error?.code})` })
      const items = fieldsOf(result)[member]
      if (Array.isArray(items)) listed.push(...(items as unknown[]))
      if (listed.length > this.#options.mostItems)
        throw new GatewayError('upstream-invalid', { detail: `${this.name} lists too many ${kind}` })
      cursor = textOf(result['nextCursor'])
      if (cursor === undefined) break
    }
    return itemsOf(kind, listed)
  }

  /** Conversations that nobody used for long, and the oldest of too many. */
  #reap(): void {
    const { idleMs, mostLinks } = this.#options
    const now = Date.now()
    const old = [...this.#links].toSorted(([, a], [, b]) => a.used - b.used)
    for (const [key, { used }] of old) {
      if (now - used < idleMs && this.#links.size <= mostLinks) break
      if (key !== '') void this.end(key).catch(() => undefined)
      else break
    }
  }
}

function troubleOf(error: unknown): string {
  if (!(error instanceof GatewayError)) return 'a fault'
  return error.detail === undefined ? error.title : `${error.title}: ${error.detail}`
}
