import type { GatewayError } from '../errors.ts'
import type { Action } from '../model/action.ts'
import type { Decision } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import type { EventKind } from './events.ts'

/** What the log keeps of a session in each of its entries. */
export interface SessionFacts {
  readonly id: string
  readonly subject: Subject
  readonly connection: { readonly name: string; readonly protocol: string; readonly sensitivity: string }
  readonly client: ClientFacts
}

/** What is known of the client's end. `agent` is what the client calls itself: a claim, marked as such. */
export interface ClientFacts {
  readonly ip: string
  readonly port: number
  readonly agent?: string
}

/** An entry that is in the log and durable. */
export interface EntryRef {
  /** Leaf index. */
  readonly index: number
  /** `<origin>/<index>`: the stable id, the same in the API, in problem details and in every sink. */
  readonly id: string
}

/** Where the masked bytes of an exchange are kept. */
export interface RecordingRef {
  /** `sha256:` of the ciphertext. */
  readonly blob: string
  /** Ciphertext length, bytes. */
  readonly length: number
  /** `hmac-sha256:` of the plaintext under the recording's commitment key. */
  readonly commitment: string
  /** The id under which the wrapped data key is kept. */
  readonly key: string
  /** False where the recording was cut at its limit. */
  readonly complete: boolean
}

/** How an action that was forwarded went. */
export interface ActionResult {
  /** Whether upstream carried it out as far as the protocol tells (2xx and 3xx for HTTP). */
  readonly success: boolean
  /** Protocol facts for the entry (`{ http: { status_code } }`), masked, under 4 kB. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly bytesIn: number
  readonly bytesOut: number
  /** Records that the answer held, where the protocol counts them. */
  readonly rows?: number
  readonly masked: { readonly count: number; readonly kinds: readonly string[] }
  /** Nanoseconds from forward to the last byte of the answer. */
  readonly upstreamDuration?: number
  readonly recording?: RecordingRef
  /** Ciphertext small enough to be kept in the same batch as the entry. */
  readonly blob?: Buffer
}

/**
 * An action's place in the log between its intent and its one terminal entry (P1, P2). Exactly one of the ending
 * methods takes effect; a second call returns the first one's entry. An ending that cannot be written yet (a full
 * disk) is retried until it can be, and the promise stays pending; should the process die first, start-up closes
 * the intent as `outcome_unknown`.
 */
export interface OpenAction {
  readonly intent: EntryRef
  /** Facts the entry must repeat from here on: the decision, the approval. */
  decided(decision: Decision, approval?: Readonly<Record<string, unknown>>): void
  /** To be called right before the first byte may go upstream; from here a fault is `failed`, not `not_forwarded`. */
  forwarding(): void
  deny(reason: { readonly reason: string; readonly result?: ActionResult }): Promise<EntryRef>
  complete(result: ActionResult): Promise<EntryRef>
  fail(error: GatewayError, partial?: Partial<ActionResult>): Promise<EntryRef>
}

/**
 * The audit log as the rest of the gateway sees it. Every method that returns an EntryRef resolves only when the
 * entry is durable, and throws `recording-unavailable` or `overloaded` when it cannot be.
 */
export interface Audit {
  /** The log's name, a schema-less URL as in C2SP tlog-checkpoint. */
  readonly origin: string
  /** Writes the intent. No entry, no action. */
  begin(session: SessionFacts, action: Action): Promise<OpenAction>
  /** Writes any other fact. Attributes are plain JSON, under 12 kB. */
  note(kind: EventKind, attributes: Readonly<Record<string, unknown>>): Promise<EntryRef>
  /** Calls back after each commit with the new size; for followers. Returns the unsubscriber. */
  onGrowth(listener: (size: number) => void): () => void
  /** False once the store has faulted: the gateway refuses all actions. */
  readonly healthy: boolean
}
