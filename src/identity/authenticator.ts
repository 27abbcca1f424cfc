import type { Subject } from '../model/subject.ts'

/** What a client presented, as the protocol read it. */
export interface PresentedCredential {
  /** The opaque string: a JWT or a gateway token. */
  readonly token: string
}

/** Why a credential was not accepted: for the entry, never for the client. */
export interface Refusal {
  /** Kebab-case: `token-expired`, `audience-mismatch`, `issuer-unknown`, `signature-invalid`, ... */
  readonly reason: string
  /** What the credential says of itself, unverified, trimmed; helps to find a misconfigured client. */
  readonly claimed?: { readonly issuer?: string; readonly subject?: string }
}

export type Identified = { readonly subject: Subject } | { readonly refusal: Refusal }

/**
 * Turns a presented credential into a Subject. Answers from its cache without waiting where it can. Never throws
 * for a bad credential; throws GatewayError `identity-unavailable` when no answer is possible now (the issuer's keys
 * cannot be had), which refuses the action (P6).
 */
export interface Authenticator {
  identify(credential: PresentedCredential): Identified | Promise<Identified>
}
