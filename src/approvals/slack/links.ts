/**
 * Who a Slack user is here. A link is made by the person themselves, signed in to the gateway, with a code that only
 * that Slack user was shown; it keeps the identity as it was verified then, and ends after a while.
 */
import { randomBytes } from 'node:crypto'
import type { Audit } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import { GatewayError } from '../../errors.ts'
import { samePerson, type Subject, subjectFacts } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'

export interface SlackUser {
  readonly team: string
  readonly user: string
  /** As Slack shows it; for people to recognize themselves by. */
  readonly username: string
}

interface Link {
  readonly slack: SlackUser
  readonly subject: Subject
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

interface Offer {
  readonly slack: SlackUser
  readonly expiresAt: number
}

const space = 'slack-link'
const offerMs = 10 * 60_000
const mostOffers = 1000

export interface SlackLinksParts {
  readonly state: StateStore
  readonly audit: Pick<Audit, 'note'>
  readonly clock: Clock
  /** How long a link lasts, milliseconds. */
  readonly lastsMs: number
}

export class SlackLinks {
  readonly #parts: SlackLinksParts
  /** By code. Lost at a restart: the next click shows another. */
  readonly #offers = new Map<string, Offer>()

  constructor(parts: SlackLinksParts) {
    this.#parts = parts
  }

  /** A code for this user to link themselves with, good for ten minutes and once. Throws `overloaded`. */
  offer(slack: SlackUser): string {
    const now = this.#parts.clock.now()
    for (const [code, offer] of this.#offers) {
      if (offer.expiresAt <= now || keyOf(offer.slack) === keyOf(slack)) this.#offers.delete(code)
    }
    if (this.#offers.size >= mostOffers) throw new GatewayError('overloaded')
    const code = randomBytes(15).toString('base64url')
    this.#offers.set(code, { slack, expiresAt: now + offerMs })
    return code
  }

  /** Whose code it is, so that nobody links somebody else to themselves unseen. Throws `not-found`. */
  offered(code: string): SlackUser {
    const offer = this.#offers.get(code)
    if (offer === undefined || offer.expiresAt <= this.#parts.clock.now())
      throw new GatewayError('not-found', { detail: 'no such code, or its ten minutes are over' })
    return offer.slack
  }

  /** Durable, and an entry, when it resolves. Throws `denied` for anyone but a person, `not-found`. */
  async link(code: string, subject: Subject): Promise<SlackUser> {
    if (subject.kind !== 'user' || subject.onBehalfOf !== undefined)
      throw new GatewayError('denied', { detail: 'only people link themselves' })
    const slack = this.offered(code)
    this.#offers.delete(code)
    const { state, audit, clock, lastsMs } = this.#parts
    await audit.note('identity.linked', {
      subject: subjectFacts(subject),
      linked: { service: 'slack', ...slack },
    })
    const { issuer, id, name, email, kind, groups, method } = subject
    const kept: Subject = {
      issuer,
      id,
      kind,
      groups,
      method,
      claims: {},
      ...(name === undefined ? {} : { name }),
      ...(email === undefined ? {} : { email }),
    }
    const value: Link = { slack, subject: kept, expiresAt: clock.now() + lastsMs }
    for (;;) {
      const known = await state.get(space, keyOf(slack))
      if (await state.put(space, keyOf(slack), value, known?.version ?? 0)) return slack
    }
  }

  /** The identity as last verified; undefined when there is none, or it is too long ago. */
  async find(slack: SlackUser): Promise<Subject | undefined> {
    const link = (await this.#parts.state.get<Link>(space, keyOf(slack)))?.value
    return link !== undefined && link.expiresAt > this.#parts.clock.now() ? link.subject : undefined
  }

  /** Ends every link of this person; how many there were. */
  async unlink(subject: Subject): Promise<number> {
    const { state } = this.#parts
    const all = await state.list<Link>(space)
    const own = all.filter(({ value }) => samePerson(value.subject, subject))
    for (const { key } of own) await state.delete(space, key)
    return own.length
  }
}

function keyOf({ team, user }: SlackUser): string {
  return JSON.stringify([team, user])
}
