/** What the parts of one conversation share: its two ends, and what is true of it now. */
import type { ClientFacts } from '../../audit/audit.ts'
import { GatewayError } from '../../errors.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Session } from '../../gateway/session.ts'
import type { Identified } from '../../identity/authenticator.ts'
import type { Masker } from '../../masking/masker.ts'
import type { SessionState } from './action.ts'
import type { Catalogue } from './catalogue.ts'
import type { Message } from './codec.ts'
import type { UpstreamSession } from './login.ts'
import { noticeResponse, readReport, type Report, type TransactionState, writeReport } from './messages.ts'
import { Names } from './resources.ts'
import { isReadableEncoding } from './settings-judge.ts'
import type { PostgresSettings } from './settings.ts'
import { Statements } from './statements.ts'
import { maskValue } from './values.ts'
import type { Wire } from './wire.ts'

export interface HostParts {
  readonly gateway: Gateway
  readonly session: Session
  readonly settings: PostgresSettings
  readonly client: Wire
  readonly facts: ClientFacts
  readonly upstream: UpstreamSession
  readonly catalogue: Catalogue
  /** Asks the server to end what it runs for this session. */
  readonly cancelUpstream: () => Promise<void>
  /** Asks again who the client's token names. */
  readonly identify: () => Identified | Promise<Identified>
  /** Settings of the start-up packet that decide what names mean. */
  readonly changed: ReadonlyMap<string, string>
}

export class Host {
  readonly gateway: Gateway
  readonly session: Session
  readonly settings: PostgresSettings
  readonly client: Wire
  readonly upstream: Wire
  readonly catalogue: Catalogue
  readonly cancelUpstream: () => Promise<void>
  readonly identify: () => Identified | Promise<Identified>
  readonly statements = new Statements()
  readonly names = new Names(this)
  readonly state: SessionState & { readonly changed: Map<string, string> }
  /** Replaced with each message of the client that acts, so that a cancel ends what waits now and nothing later. */
  abort = new AbortController()
  transaction: TransactionState = 'I'
  /** Statements are on the path. */
  busy = false
  /** The session is ending by itself. */
  parting = false
  /** What the server says meanwhile may quote a masked column. */
  conceals: Conceals
  /** Its open transaction may have changed the catalogue. */
  uncommitted = false
  /** The server runs something whose answer has not been read whole. */
  forwarded = false
  /** Profiles that some statement of this session was answered with: notices that come later get them all. */
  readonly #profiles = new Set<string>()
  #idleMasker: Masker | undefined
  /** Settled when nothing of the gateway's own is asked on the session. */
  #asking: Promise<unknown> = Promise.resolve()

  constructor(parts: HostParts) {
    const { upstream, settings } = parts
    this.gateway = parts.gateway
    this.session = parts.session
    this.settings = settings
    this.client = parts.client
    this.upstream = upstream.wire
    this.catalogue = parts.catalogue
    this.cancelUpstream = parts.cancelUpstream
    this.identify = parts.identify
    const { user, pid } = upstream
    this.state = { database: settings.database, user, pid, changed: new Map(parts.changed) }
  }

  /** The server's ReadyForQuery. */
  ready({ bytes }: Message): void {
    this.transaction = String.fromCharCode(bytes[5]!) as TransactionState
    if (this.transaction !== 'I') return
    this.statements.endTransaction()
    this.names.settled()
    // Others see what it changed, and the catalogue with them, only once it is committed.
    if (this.uncommitted) this.catalogue.forget()
    this.uncommitted = false
  }

  /** Masks facts for entries: whatever the policy, no secret and nothing personal stands there. */
  factsMasker(): Masker {
    return this.gateway.masker(['secrets', 'personal'], this.session.target)
  }

  /** Asks something of the gateway's own while the session is at rest: one after another. */
  resting<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#asking.then(ask)
    this.#asking = asked.catch(() => undefined)
    return asked
  }

  remember(profiles: readonly string[]): void {
    for (const each of profiles) this.#profiles.add(each)
    this.#idleMasker = undefined
  }

  /** Throws where a client must not go on: it is gone. */
  get idleMasker(): Masker {
    return (this.#idleMasker ??= this.gateway.masker([...this.#profiles], this.session.target))
  }

  notice(report: Report): void {
    this.client.send(noticeResponse(report))
    void this.client.flush()
  }

  /**
   * The next message of the server that is not one of those that come at any time; those are passed on. No promise where
   * it is here. Throws as the wire does.
   */
  answer(masker: Masker = this.idleMasker): Message | Promise<Message> {
    return this.#take(masker) ?? this.#awaitAnswer(masker)
  }

  #take(masker: Masker): Message | undefined {
    for (;;) {
      const found = this.upstream.take()
      if (found === undefined || !this.passed(found, masker)) return found
    }
  }

  async #awaitAnswer(masker: Masker): Promise<Message> {
    for (;;) {
      const found = this.#take(masker)
      if (found !== undefined) return found
      if (this.upstream.ended)
        throw new GatewayError('upstream-unreachable', { detail: 'the upstream broke off' })
      if (this.client.ended) throw new GatewayError('client-gone')
      const behind = this.upstream.flush() ?? this.client.flush()
      if (behind !== undefined) await behind
      else if (!this.client.ended) await this.upstream.readable()
    }
  }

  /** Passes on a notice, a notification or a changed parameter. False: it is something else. */
  passed(found: Message, masker: Masker = this.idleMasker): boolean {
    switch (found.type) {
      case 'N':
        this.client.send(maskedReport(found, masker, this.conceals))
        return true
      case 'A':
        this.client.send(masker.idle ? found.bytes : maskedNotification(found, masker))
        return true
      case 'S':
        watchParameter(found)
        this.client.send(found.bytes)
        return true
      default:
        return false
    }
  }
}

/** Letters of the fields that may hold data. */
const wordy: ReadonlySet<string> = new Set(['M', 'D', 'H', 'W', 'q'])

/**
 * How much of an error or notice may be a masked value: `row`: details, and what a function says; `values`: also what
 * stands in quotes, and numbers; `everything`: all of it.
 */
export type Conceals = 'row' | 'values' | 'everything' | undefined

/** An error or notice with its texts masked. */
export function maskedReport(found: Message, masker: Masker, conceals: Conceals): Buffer {
  if (masker.idle && conceals === undefined) return found.bytes
  const fields = readReport(found.bytes)
  // A function of the database's own chooses its words freely.
  const raised = fields.get('C') === 'P0001' || /function|trigger/.test(fields.get('W') ?? '')
  for (const [letter, text] of fields) {
    if (!wordy.has(letter)) continue
    if (conceals === undefined) fields.set(letter, masker.text(text))
    else if (letter !== 'M') fields.delete(letter)
    else if (conceals === 'everything' || raised) fields.set(letter, '[masked:field]')
    else fields.set(letter, masker.text(conceals === 'row' ? text : withoutValues(text)))
  }
  return writeReport(found.type, fields)
}

/** From the first quote to the last, since a value may hold quotes; and numbers, which stand without. */
function withoutValues(text: string): string {
  return text
    .replace(/["'(][\s\S]*["')]/, '"[masked:field]"')
    .replaceAll(/\d+(?:[.:eE+-]+\d+)*/g, '[masked:field]')
}

function maskedNotification(found: Message, masker: Masker): Buffer {
  const at = found.bytes.indexOf(0, 9) + 1
  const payload = found.bytes.toString('utf8', at, found.bytes.length - 1)
  const masked = maskedPayload(payload, masker)
  if (masked === payload) return found.bytes
  const out = Buffer.concat([found.bytes.subarray(0, at), Buffer.from(`${masked}\0`)])
  out.writeUInt32BE(out.length - 1, 1)
  return out
}

/** Triggers like to send rows as JSON: then rules by key hold too. */
function maskedPayload(payload: string, masker: Masker): string {
  const bytes = Buffer.from(payload)
  return maskValue(bytes, { type: 114, format: 0 }, masker)?.toString('utf8') ?? ''
}

/** The gateway reads SQL as UTF-8 with standard strings. A server that no longer does must not be spoken to. */
function watchParameter(found: Message): void {
  const [name, value] = found.bytes.toString('utf8', 5).split('\0')
  const odd =
    (name === 'standard_conforming_strings' && value !== 'on') ||
    (name === 'client_encoding' && !isReadableEncoding(value))
  if (odd)
    throw new GatewayError('upstream-invalid', {
      detail: `the session can not go on with ${name} = ${value}`,
    })
}
