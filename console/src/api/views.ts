/**
 * What the API's answers hold beyond what `openapi.json` fixes: entries and approvals carry facts of their kind and
 * protocol, so their description is open. Everything here may be absent, and is shown only when it is there.
 */
import type { components, operations } from './schema.generated.ts'

type Json<Id extends keyof operations> = operations[Id] extends {
  responses: { 200: { content: { 'application/json': infer Body } } }
}
  ? Body
  : never

export type ProblemBody = components['schemas']['Problem']
export type StatsQuery = NonNullable<operations['entries.stats']['parameters']['query']>
export type EntriesQuery = NonNullable<operations['entries.search']['parameters']['query']>
export type Stats = Json<'entries.stats'>
export type Identity = Json<'identities.list'>['identities'][number]

export interface Principal {
  readonly issuer?: string
  readonly id: string
  readonly name?: string
  readonly email?: string
}

export interface SubjectView extends Principal {
  readonly kind: string
  readonly method?: string
  readonly on_behalf_of?: Principal
}

export interface EntryConnection {
  readonly name: string
  readonly protocol: string
  readonly sensitivity: string
}

export interface EntryView {
  readonly kind: string
  readonly seq: string
  /** UTC, microseconds. */
  readonly time: string
  readonly log: string
  readonly session?: string
  readonly action?: string
  readonly subject?: SubjectView
  readonly client?: { readonly ip: string; readonly agent?: string }
  readonly connection?: EntryConnection
  readonly operation?: string
  readonly risk?: string
  readonly resource?: string
  readonly digest?: string
  readonly decision?: { readonly effect: string; readonly reason: string; readonly rule?: string }
  readonly approval?: {
    readonly id?: string
    readonly state?: string
    readonly approvers?: readonly string[]
  }
  readonly outcome?: string
  readonly error?: { readonly code: string; readonly detail?: string }
  /** Nanoseconds. */
  readonly duration?: number
  readonly upstream_duration?: number
  readonly bytes_in?: number
  readonly bytes_out?: number
  readonly masked?: { readonly count: number; readonly kinds: readonly string[] }
  readonly recording?: { readonly blob: string; readonly length: number; readonly complete: boolean }
  readonly [fact: string]: unknown
}

export interface SessionView {
  readonly id: string
  readonly state: 'running' | 'ended' | 'lost'
  readonly started?: string
  readonly ended?: string
  readonly reason?: string
  readonly subject: SubjectView
  readonly connection: EntryConnection
  readonly client?: { readonly ip: string; readonly agent?: string }
  readonly totals?: Readonly<Record<string, number>>
}

export interface Frame {
  readonly from: 'client' | 'upstream'
  readonly part: 'head' | 'body' | 'message'
  /** Microseconds since the action began. */
  readonly at: number
  readonly text?: string
  readonly base64?: string
}

export interface ReplayedAction {
  readonly entry: EntryView
  readonly frames?: readonly Frame[]
  readonly unavailable?: string
}

export interface ReplayPage {
  readonly session: SessionView
  readonly actions: readonly ReplayedAction[]
  readonly next?: string
}

export interface Vote {
  readonly by: Principal
  readonly effect: 'approve' | 'deny'
  readonly reason?: string
  readonly channel?: string
  readonly via?: string
  readonly at?: number
}

export interface Change {
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

export interface ApprovalView {
  readonly id: string
  readonly state: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed'
  readonly requester: SubjectView
  readonly session?: string
  readonly connection: string
  readonly protocol?: string
  readonly sensitivity: string
  readonly operation: string
  readonly risk: string
  readonly resource: string
  readonly rule: string
  readonly message?: string
  readonly digest: string
  readonly policy?: string
  readonly request: Readonly<Record<string, unknown>>
  readonly preview?: {
    readonly kind: 'create' | 'update' | 'delete' | 'run'
    readonly changes: readonly Change[]
    readonly cut: boolean
    readonly foreseen?: readonly { readonly name: string; readonly text: string }[]
  }
  readonly approvers: readonly string[]
  readonly quorum: number
  readonly distinct_groups?: boolean
  readonly reason_required?: boolean
  readonly on_change?: 'run' | 'ask' | 'refuse'
  readonly may_vote: boolean
  readonly votes: readonly Vote[]
  readonly created: string
  readonly expires: string
  readonly end_reason?: string
}

export interface Me {
  readonly subject: SubjectView
  readonly groups: readonly string[]
  readonly roles: readonly string[]
  readonly csrf?: string
}

export interface Status {
  readonly version: string
  readonly log: {
    readonly origin: string
    readonly healthy: boolean
    readonly size: number
    readonly indexed: number
    readonly checkpoint?: { readonly size: number; readonly root: string }
  }
  readonly policy: string
  readonly sessions: number
  readonly approvals: { readonly pending: number }
}

export interface ConnectionView {
  readonly name: string
  readonly protocol: string
  readonly sensitivity: string
  readonly labels: Readonly<Record<string, string>>
  readonly url?: string
  readonly health?: {
    readonly state: 'unknown' | 'ok' | 'failing'
    readonly last_success?: string
    readonly last_failure?: string
  }
}

export interface SinkView {
  readonly name: string
  readonly type: string
  readonly state: string
  readonly cursor: number
  readonly head: number
  readonly lag: { readonly entries: number; readonly seconds: number }
  readonly [more: string]: unknown
}

export type PolicyCheck = Json<'policy.check'>
export type PolicyProblem = PolicyCheck['problems'][number]
export type PolicyTrial = Json<'policy.try'>
export type LogState = Json<'log.get'>

export interface Explanation {
  readonly decision: { readonly effect: string; readonly reason: string; readonly rule?: string }
  readonly rules: readonly {
    readonly rule: string
    readonly effect: string
    readonly outcome: string
    readonly because?: string
    readonly condition?: { readonly text: string; readonly result: unknown }
  }[]
}
