import type { Audit } from '../audit/audit.ts'
import type { Lease } from '../credentials/lease.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Delegates } from '../identity/delegates.ts'
import type { Logger } from '../log.ts'
import type { Masker } from '../masking/masker.ts'
import type { Connection } from '../model/connection.ts'
import type { Action } from '../model/action.ts'
import type { Decision, Obligations } from '../model/decision.ts'
import type { Authorizer } from '../policy/authorizer.ts'
import type { FairShares } from '../policy/fair-shares.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Deferrals } from './deferrals.ts'
import type { Exchange, Guarded, Masked, Recorded, Reply, Unused, Verdict } from './exchange.ts'
import type { Keeping } from './keeping.ts'
import type { Pins } from './pins.ts'
import type { Meter } from './meter.ts'
import type { Observer } from './observer.ts'
import type { Session, Sessions } from './session.ts'

/** The services of the path, one per step. `main.ts` fills it; a reload swaps `policy` and `masking` whole. */
export interface Gateway {
  readonly audit: Audit
  readonly authenticator: Authenticator
  readonly sessions: Sessions
  readonly credentials: Credentials
  readonly policy: Authorizer
  /** The masker of these profiles, and of the lease's own secret values, which never pass (P4). */
  masker(profiles: readonly string[], connection: Connection, lease?: Lease): Masker
  recorder(session: Session, action: Action, obligations: Obligations): Recorder
  /** Content checks after policy: each may turn a permit into an ask or a denial, never the other way. */
  readonly guards: readonly Guard[]
  /** Told of every action that has ended. Absent where nobody watches. */
  readonly observers?: readonly Observer[]
  readonly approvals: ApprovalStep
  /** Learns what answers tell of the targets' own limits. Absent where nobody shares them. */
  readonly shares?: Pick<FairShares, 'learn'>
  /** Absent where nobody keeps calls: then a client sends the same request again. */
  readonly deferrals?: Deferrals
  /** Absent where nothing is kept for a later request. */
  readonly keeping?: Keeping
  /**
   * 32 bytes for what clients carry for a protocol between requests; the same for the same purpose after a restart.
   * Absent: such a key ends with the process.
   */
  carryKey?(purpose: string): Buffer
  /** Absent where nobody keeps what upstreams offer: then it is taken as it comes. */
  readonly pins?: Pins
  /** Absent where no program of a connection's may call back. */
  readonly delegates?: Pick<Delegates, 'admit'>
  /** Where a client without a good token learns who gives it one for this path of the gateway (RFC 9728). */
  resourceMetadata?(path: string): string
  /** Absent where nobody counts. */
  readonly meter?: Meter
  /** The operational log. Absent where nobody reads it. */
  readonly logger?: Logger
  /** Address at which clients reach the gateway, and the domain whose subdomains are connections. */
  readonly publicUrl?: string
  readonly domain?: string | undefined
}

export interface Credentials {
  /** Throws `credential-unavailable`, or `consent-needed` where a person must first act. */
  lease(session: Session): Promise<Lease>
}

/** Synchronous, and bounded in what it costs. One that throws fails the action (P6). */
export interface Guard {
  readonly name: string
  inspect(action: Action, decision: Decision, session: Session): Decision
}

/** What `approve` asks of the approvals: settle this question, waiting as long as the client can endure. */
export interface ApprovalStep {
  settle(
    session: Session,
    exchange: Exchange,
    decision: Decision,
  ): Promise<
    | {
        readonly granted: true
        readonly facts: Readonly<Record<string, unknown>>
        readonly unused?: Unused
      }
    | {
        readonly granted: false
        readonly denial: Extract<Verdict, { effect: 'deny' }>['denial']
        readonly facts?: Readonly<Record<string, unknown>>
      }
  >
}

export type { Guarded, Masked, Recorded, Reply, Verdict }
