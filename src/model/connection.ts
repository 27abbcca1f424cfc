import type { CredentialSource } from './credential.ts'

export type Sensitivity = 'low' | 'medium' | 'high' | 'critical'

/** One named upstream. What is specific to its protocol is in `settings`, which only that protocol reads. */
export interface Connection {
  /** Kebab-case, unique; part of the address that clients use. */
  readonly name: string
  /** The protocol's registered name. */
  readonly protocol: string
  readonly sensitivity: Sensitivity
  readonly labels: Readonly<Record<string, string>>
  /** Names of the secrets of this connection; values come from `credentials.lease`. */
  readonly credential: Readonly<Record<string, CredentialSource>>
  /** Validated by the protocol's own schema. */
  readonly settings: unknown
}
