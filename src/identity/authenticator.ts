import type { Subject } from '../model/subject.ts'
import type { Cause } from './delegates.ts'
import type { RefusalReason } from './refusals.ts'
import type { ShownCertificate } from './shown-certificate.ts'

/** What a client presented, as the protocol read it. */
export interface PresentedCredential {
  /** The opaque string: a JWT or a gateway token. */
  readonly token: string
  /**
   * Path of the gateway's own address that it is presented at, `/c/datadog-prod`: a token may be for that alone
   * (RFC 8707). Absent: only a token for the whole gateway is taken.
   */
  readonly path?: string
  /** That address whole, for the providers; the gateway fills it in. */
  readonly resource?: string
  /** The W3C `traceparent` that came with it: a claim, of use only to tell a program's calls from one another. */
  readonly traceparent?: string
}

/** Why a credential was not accepted: for the entry, never for the client. */
export interface Refusal {
  readonly reason: RefusalReason
  /** What the credential says of itself, unverified, trimmed; helps to find a misconfigured client. */
  readonly claimed?: { readonly issuer?: string; readonly subject?: string }
}

/**
 * `ended` fires when the session that the credential stands for is over, where there is one. `cause`: the credential is
 * that of a program of the gateway's own, which works for this subject.
 */
export type Identified =
  | { readonly subject: Subject; readonly ended?: AbortSignal; readonly cause?: Cause }
  | { readonly refusal: Refusal }

/**
 * Turns a presented credential into a Subject. Answers from its cache without waiting where it can. Never throws
 * for a bad credential; throws GatewayError `identity-unavailable` when no answer is possible now (the issuer's keys
 * cannot be had), which refuses the action (P6).
 */
export interface Authenticator {
  identify(credential: PresentedCredential): Identified | Promise<Identified>
  /** The same for a certificate that TLS has seen. Absent: none is trusted. */
  identifyCertificate?(shown: ShownCertificate): Identified
}

/** One way of proving who one is. `createAuthenticator` asks the first that recognizes the credential. */
export interface IdentityProvider extends Authenticator {
  /** Whether the credential is of this provider's form. Looks at no more than its form. */
  recognizes(credential: PresentedCredential): boolean
  /** Facts for `doctor` and metrics, one per source of trust. Nothing secret. */
  status(): readonly ProviderStatus[]
  /** Gets ready (fetches keys), so that the first client need not wait. Never rejects. */
  warm(): Promise<void>
  close(): Promise<void>
}

export interface ProviderStatus {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}
