import type { Registry } from 'prom-client'
import type { Approvals } from '../approvals/approvals.ts'
import type { BreakGlass } from '../approvals/break-glass.ts'
import type { DefinitionPins } from '../approvals/definition-pins.ts'
import type { Grants } from '../approvals/grants.ts'
import type { Notifications } from '../approvals/notify/notifications.ts'
import type { SlackInteractions } from '../approvals/slack/interactions.ts'
import type { SlackLinks } from '../approvals/slack/links.ts'
import type { Audit } from '../audit/audit.ts'
import type { SignedHead } from '../audit/checkpoint.ts'
import type { SigningKeys } from '../audit/signing-keys.ts'
import type { SignInConfig } from '../config/sign-in.ts'
import type { Config } from '../config/schema.ts'
import type { UpstreamGrants } from '../credentials/oauth/upstream-grants.ts'
import type { Detection } from '../detection/detection.ts'
import type { Restrictions } from '../detection/restrictions.ts'
import type { Export } from '../export/export.ts'
import type { OpenConnection } from '../gateway/protocol.ts'
import type { OpenSessions } from '../gateway/sessions.ts'
import type { SignIn } from '../identity/sign-in/sign-in.ts'
import type { AssertionGrants } from '../identity/assertions/assertion-grants.ts'
import type { GatewayTokens } from '../identity/tokens.ts'
import type { Role } from '../identity/roles.ts'
import type { Logger } from '../log.ts'
import type { Subject } from '../model/subject.ts'
import type { Budgets } from '../policy/budgets.ts'
import type { PolicyText } from '../policy/load-policy.ts'
import type { Policy } from '../policy/policy.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { DiskWatch } from '../retention/disk-watch.ts'
import type { Retention } from '../retention/retention.ts'
import type { Storage } from '../storage/storage.ts'
import type { WitnessesState } from '../witness/witnesses.ts'

/** How a connection has been doing since the start; times in milliseconds since the epoch. */
export interface ConnectionHealthFacts {
  readonly state: 'unknown' | 'ok' | 'failing'
  readonly lastSuccess?: number
  readonly lastFailure?: number
}

/** What routes act on. `main.ts` fills it. */
export interface Services {
  readonly version: string
  readonly audit: Audit
  readonly storage: Storage
  /** Directory of the published log: checkpoint and tiles. */
  readonly published: string
  readonly sessions: OpenSessions
  readonly recordings: Recordings
  readonly retention: Retention
  readonly disk: DiskWatch
  readonly signingKeys: SigningKeys
  /** As at the start; what a reload changes is asked for elsewhere. */
  readonly config: Config
  readonly approvals: Approvals
  readonly grants: Grants
  readonly breakGlass: BreakGlass
  readonly pins: DefinitionPins
  readonly notifications: Notifications
  readonly slack: { readonly interactions: SlackInteractions; readonly links: SlackLinks }
  readonly tokens: GatewayTokens
  /** How people sign in with a browser. */
  readonly signIn: SignIn
  readonly budgets: Budgets
  readonly upstreamGrants: UpstreamGrants
  readonly detection: Detection
  readonly restrictions: Restrictions
  readonly export: Export
  readonly registry: Registry
  readonly logger: Logger
  /** The newest signed head of the log, once there is one. */
  readonly checkpoint: () => SignedHead | undefined
  /** How the witnesses of the log are doing; undefined where none are configured. */
  readonly witnesses: () => WitnessesState | undefined
  readonly connections: {
    list(): readonly OpenConnection[]
    find(name: string): OpenConnection | undefined
    /** Where clients reach it; undefined: through a tunnel alone. */
    addressOf(open: OpenConnection, publicUrl: string): string | undefined
  }
  /** What is configured now; a reload changes it. */
  readonly gateway: {
    readonly publicUrl: string
    /** Issuers at which clients can get tokens. */
    readonly authorizationServers: readonly string[]
    /** Exchanges identity assertions for tokens. */
    readonly assertions: AssertionGrants
    readonly signIn: SignInConfig
    /** The policy in force, for explanations. */
    readonly rules: Policy
    /** That policy as it is written. */
    readonly policyText: PolicyText
    /** Names of the mask profiles that rules may name. */
    readonly maskProfiles: readonly string[]
    rolesOf(subject: Subject): ReadonlySet<Role>
    /** How the connection of that name has been doing since the start. */
    healthOf(connection: string): ConnectionHealthFacts
  }
}
