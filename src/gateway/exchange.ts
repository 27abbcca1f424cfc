import type { ActionResult, EntryRef } from '../audit/audit.ts'
import type { Lease } from '../credentials/lease.ts'
import type { GatewayError } from '../errors.ts'
import type { Masker } from '../masking/masker.ts'
import type { Action } from '../model/action.ts'
import type { FieldChange } from '../model/compare.ts'
import type { Decision, Effect, Obligations } from '../model/decision.ts'
import type { Recorder } from '../recording/recorder.ts'

declare const guarded: unique symbol
declare const cleared: unique symbol
declare const masked: unique symbol
declare const recorded: unique symbol

/** A decision whose content was looked at. Only `guard` makes one. */
export interface Guarded {
  readonly [guarded]: true
  readonly decision: Decision
}

/** An action that may run, once. Only `approve` makes one, and `forward` takes nothing else. */
export interface Cleared {
  readonly [cleared]: true
  readonly action: Action
  readonly obligations: Obligations
}

/** How long a client endures a silent hold, and what it should hear after that. */
export interface Patience {
  readonly holdMs: number
  /** `poll`: it asked for an address to poll; `resubmit`: it is told to send the same again. */
  readonly then: 'poll' | 'resubmit'
}

export interface ActionPreview {
  /** `run`: nothing is compared; what the upstream foresees is in `foreseen`. */
  readonly kind: 'create' | 'update' | 'delete' | 'run'
  /** Masked. */
  readonly changes: readonly FieldChange[]
  /** True where there were more changes than are listed. */
  readonly cut: boolean
  /** What the upstream itself expects of it, masked: each of one line, or a text of several. */
  readonly foreseen?: readonly { readonly name: string; readonly text: string }[]
  /** SHA-256, hex, of the state that was read: another one later means that the resource has changed. */
  readonly fingerprint?: string
  /** Index of the entry of the gateway's own read. */
  readonly readEntry?: string
}

/**
 * Gives a person's consent back, given the entry by which nothing was forwarded: the same action may ask for it again.
 * Never throws; what can't be given back stays used.
 */
export type Unused = (end: EntryRef) => Promise<void>

/** What the path decided about one action. */
export type Verdict =
  | { readonly effect: 'permit'; readonly action: Cleared; readonly unused?: Unused }
  | { readonly effect: 'deny'; readonly denial: Denial }

/** An approval that the client may wait for. */
export interface PendingApproval {
  readonly id: string
  readonly state: string
  readonly expiresAt: number
  readonly retryAfterMs: number
  /** `poll` where the client asked to poll; else what policy says. */
  readonly then: 'poll' | 'resubmit' | 'retry-later'
}

/** A refusal as the client may hear it. */
export interface Denial {
  readonly reason: string
  readonly rule?: string
  readonly message?: string
  /** Where a person must still decide. */
  readonly approval?: PendingApproval
  /** Scopes with which a token would be let pass. */
  readonly scopes?: readonly string[]
  /** Set where a limit refused it: after this many milliseconds the same may pass. */
  readonly retryAfterMs?: number
}

/** An upstream's answer on its way down. Its raw bytes are reachable only by masking it. */
export interface Reply {
  /** Applies the masker to every part. Throws `mask-unable` where that can't be done (P8). */
  mask(masker: Masker): MaskedReply
}

/** An answer after the mask. */
export interface MaskedReply {
  /** Mirrors every part into the recorder as it passes. */
  record(recorder: Recorder): void
}

/** `mask` alone makes it: nothing below that line sees raw data. */
export interface Masked {
  readonly [masked]: true
  readonly reply: MaskedReply
}

/** `record` alone makes it, and `send` takes nothing else. */
export interface Recorded {
  readonly [recorded]: true
  readonly reply: MaskedReply
  readonly recorder: Recorder
}

/**
 * Called by `send` with the result when all but the end of the answer has left; resolves when the terminal entry is
 * durable. Only then may the end of the answer leave.
 */
export type Seal = (result: Omit<ActionResult, 'recording' | 'blob'>) => Promise<EntryRef>

/**
 * One action with the two ends it runs between. A protocol makes one for each message that is an action; the path
 * drives it. Every method is called at most once, and after `send`, `refuse` or `abort` nothing else is.
 */
export interface Exchange {
  readonly action: Action
  /** Mirrors the (masked) request into the recorder: its head now, its body as it passes. Before `forward`. */
  record(recorder: Recorder, requestMasker: Masker): void
  /**
   * Dials or reuses the upstream, authenticates with the lease, sends the action and resolves with the answer's
   * head. `starting` is called right before the first byte may leave.
   */
  forward(cleared: Cleared, lease: Lease, starting: () => void): Promise<Reply>
  /** Sends the answer downstream; back-pressure reaches from client to upstream. Holds back the end for `seal`. */
  send(reply: Recorded, seal: Seal): Promise<void>
  /** Tells the client no, in the protocol's own form, naming rule and entry, and leaves the connection usable. */
  refuse(denial: Denial, entry: EntryRef): Promise<void>
  /** Tells the client of a fault, or, when the answer is under way, cuts it so that it can't be taken for whole. */
  abort(error: GatewayError, entry: EntryRef | undefined): Promise<void>
  /** Breaks off the client's end at once: the session was ended by force. The path then fails by itself. */
  cut?(): void
  /** What passed so far, for the entry of an action that failed midway. */
  progress(): Partial<ActionResult>
  /** True where it holds a limit of rows; others refuse an action with one. */
  readonly limitsRows?: true
  /** What this client can endure while a person decides; absent: nothing is held. */
  readonly patience?: Patience
  /**
   * Told what policy and guards say, before anybody is asked. An action that runs with others or not at all resolves
   * once these are decided too, and rejects where one of them does not run, so that nobody is asked in vain. Only an
   * `ask` is waited for. Absent: it runs by itself.
   */
  decided?(effect: Effect): Promise<void>
  /** Called when the call is held, so that a protocol with notices can say so. */
  held?(approval: { readonly id: string; readonly expiresAt: number }): void
  /**
   * Finds out what the action would change, by a read of the gateway's own (an action with entries of its own).
   * Absent, or undefined: nothing can be told. Never throws for an upstream that does not answer.
   */
  preview?(): Promise<ActionPreview | undefined>
  /** Fires when the client has gone away. */
  readonly signal: AbortSignal
}
