/**
 * Keeps the definitions of what upstreams offer. A definition that changes after people began to rely on it (a "rug
 * pull"), and a thing that appears later under a new name, are used by nobody until a person has seen the difference.
 */
import type { Audit } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { Offer, OfferedBy, Pins } from '../gateway/pins.ts'
import { type Subject, subjectFacts } from '../model/subject.ts'
import type { StateStore } from '../storage/storage.ts'

const space = 'definition-pin'
const pageSize = 500
/** Names in one entry. */
const perEntry = 50
/** A definition over this many characters is kept by its digest alone. */
const mostShown = 64 * 1024

interface Version {
  readonly pin: string
  readonly definition: Readonly<Record<string, unknown>>
  readonly seenAt: number
}

/** One thing on offer. `accepted` is what may be used; `waiting` is what the upstream says now, where that differs. */
export interface PinnedOffer extends OfferedBy {
  readonly name: string
  readonly accepted?: Version & { readonly by: string }
  readonly waiting?: Version
}

interface Parts {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
}

export class DefinitionPins implements Pins {
  readonly #parts: Parts
  readonly #kept = new Map<string, { value: PinnedOffer; version: number }>()
  readonly #seen = new Set<string>()
  /** One server's offers are taken note of one after the other. */
  readonly #busy = new Map<string, Promise<void>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Takes up what was kept before a restart. */
  async start(): Promise<void> {
    for (let after: string | undefined; ; ) {
      const page = await this.#parts.state.list<PinnedOffer>(space, {
        limit: pageSize,
        ...(after && { after }),
      })
      for (const { key, value, version } of page) {
        this.#kept.set(key, { value, version })
        this.#seen.add(serverKey(value))
      }
      after = page.at(-1)?.key
      if (page.length < pageSize) break
    }
  }

  list(connection?: string): readonly PinnedOffer[] {
    return [...this.#kept.values()]
      .map(({ value }) => value)
      .filter(value => connection === undefined || value.connection === connection)
      .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  }

  find(of: OfferedBy & { readonly name: string }): PinnedOffer | undefined {
    return this.#kept.get(keyOf(of))?.value
  }

  accepts(by: OfferedBy, { name, pin }: Pick<Offer, 'name' | 'pin'>): boolean {
    return this.#kept.get(keyOf({ ...by, name }))?.value.accepted?.pin === pin
  }

  see(by: OfferedBy, offers: readonly Offer[]): Promise<void> {
    if (this.#isAllKnown(by, offers)) return Promise.resolve()
    const key = serverKey(by)
    const before = this.#busy.get(key) ?? Promise.resolve()
    const after = before.catch(() => undefined).then(() => this.#see(by, offers))
    this.#busy.set(key, after)
    return after.finally(() => {
      if (this.#busy.get(key) === after) this.#busy.delete(key)
    })
  }

  /** Accepts what waits. Throws `not-found`, and `conflict` where it is no longer what the person saw. */
  async accept(
    of: OfferedBy & { readonly name: string; readonly pin: string },
    subject: Subject,
  ): Promise<PinnedOffer> {
    const kept = this.#kept.get(keyOf(of))
    if (kept === undefined) throw new GatewayError('not-found')
    const { waiting } = kept.value
    if (waiting === undefined || waiting.pin !== of.pin)
      throw new GatewayError('conflict', { detail: 'the definition that waits is another one' })
    const { connection, server, name } = of
    await this.#parts.audit.note('tool.accepted', {
      by: subjectFacts(subject),
      target: connection,
      tool: {
        server,
        name,
        pin: waiting.pin,
        ...(kept.value.accepted && { before: kept.value.accepted.pin }),
      },
    })
    const { waiting: _, ...rest } = kept.value
    const value: PinnedOffer = { ...rest, accepted: { ...waiting, by: subject.email ?? subject.id } }
    await this.#put(value)
    return value
  }

  #isAllKnown(by: OfferedBy, offers: readonly Offer[]): boolean {
    return offers.every(({ name, pin }) => {
      const value = this.#kept.get(keyOf({ ...by, name }))?.value
      return value?.accepted?.pin === pin ? value.waiting === undefined : value?.waiting?.pin === pin
    })
  }

  async #see(by: OfferedBy, offers: readonly Offer[]): Promise<void> {
    const first = !this.#seen.has(serverKey(by))
    const seenAt = this.#parts.clock.now()
    const changes = offers.flatMap(offer => {
      const value = this.#kept.get(keyOf({ ...by, name: offer.name }))?.value
      const next = nextOf(value ?? { ...by, name: offer.name }, { offer, seenAt, first })
      return next === value ? [] : [{ before: value, next, offer }]
    })
    const noted = changes.filter(
      ({ next, before }) =>
        first || (next.waiting !== undefined && before?.waiting?.pin !== next.waiting.pin),
    )
    for (let at = 0; at < noted.length; at += perEntry) {
      await this.#parts.audit.note(first ? 'tool.pinned' : 'tool.changed', {
        target: by.connection,
        tools: noted.slice(at, at + perEntry).map(({ before, offer }) => ({
          server: by.server,
          name: offer.name.slice(0, 128),
          pin: offer.pin,
          ...(before?.accepted === undefined ? {} : { before: before.accepted.pin }),
        })),
      })
    }
    for (const { next } of changes) await this.#put(next)
    if (offers.length > 0) this.#seen.add(serverKey(by))
  }

  async #put(value: PinnedOffer): Promise<void> {
    const key = keyOf(value)
    const version = this.#kept.get(key)?.version ?? 0
    if (!(await this.#parts.state.put(space, key, value, version)))
      throw new GatewayError('conflict', { detail: 'the pin was changed elsewhere' })
    this.#kept.set(key, { value, version: version + 1 })
  }
}

/** The same object where nothing changes. */
function nextOf(
  value: PinnedOffer,
  { offer, seenAt, first }: { readonly offer: Offer; readonly seenAt: number; readonly first: boolean },
): PinnedOffer {
  const { pin } = offer
  if (value.accepted?.pin === pin) {
    // It went back to what was accepted: nothing waits any more.
    if (value.waiting === undefined) return value
    const { waiting: _, ...rest } = value
    return rest
  }
  if (value.waiting?.pin === pin) return value
  const version = { pin, definition: shownDefinition(offer), seenAt }
  return first ? { ...value, accepted: { ...version, by: 'first sight' } } : { ...value, waiting: version }
}

function shownDefinition({ definition }: Offer): Readonly<Record<string, unknown>> {
  try {
    const text = JSON.stringify(definition)
    if (text.length <= mostShown) return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    // What has no JSON form is known by its digest.
  }
  return { truncated: true }
}

function serverKey({ connection, server }: OfferedBy): string {
  return `${connection}/${server}`
}

function keyOf(of: OfferedBy & { readonly name: string }): string {
  return `${serverKey(of)}/${of.name}`
}
