import type { Risk } from './action.ts'

/** `ask`: a person must approve exactly this action first. */
export type Effect = 'permit' | 'deny' | 'ask'

/** How much of the exchange is kept: nothing but the entries, heads only, or everything (masked). */
export type RecordLevel = 'none' | 'metadata' | 'full'

/** What a permit demands. Those of all matching rules add up: masks are united, the stricter of the others wins. */
export interface Obligations {
  /** Names of mask profiles (configuration `masking.profiles`) to apply to what comes back. */
  readonly mask: readonly string[]
  /** Names of mask profiles to apply to what goes upstream. */
  readonly maskRequest: readonly string[]
  readonly record: RecordLevel
  /** With `full`, at most this many records of an answer, where the protocol counts them; absent: all. */
  readonly recordRows?: number
  /** Read and record what a change is about to change. */
  readonly recordBefore?: boolean
  /** At most this many records of the answer reach the client; a protocol that does not count them refuses. */
  readonly limitRows?: RowLimit
  /** At most this many actions per window and rule. */
  readonly rateLimits: readonly RateLimitTerms[]
  /** What may be used in a calendar period. */
  readonly budgets?: readonly BudgetTerms[]
}

export interface RowLimit {
  readonly rule: string
  readonly rows: number
  /** Beyond it the answer is cut, and the client is told; or it ends with an error. */
  readonly beyond: 'cut' | 'refuse'
}

/** The smaller number; of equal ones the one that refuses. */
export function strictestRows(a: RowLimit, b: RowLimit): RowLimit {
  if (a.rows !== b.rows) return a.rows < b.rows ? a : b
  return a.beyond === 'refuse' ? a : b
}

/** What has a count of its own: `[]` is one count for all that the rule matches. */
export type CountedBy = readonly ('subject' | 'connection' | 'operation')[]

export interface RateLimitTerms {
  readonly rule: string
  readonly limit: number
  readonly windowMs: number
  /** Default: each subject. */
  readonly by?: CountedBy
}

export interface BudgetTerms {
  readonly rule: string
  readonly unit: 'actions' | 'bytes' | 'rows'
  readonly limit: number
  /** A period of the calendar, by UTC. */
  readonly per: 'minute' | 'hour' | 'day' | 'month'
  readonly by: CountedBy
}

/** Who may approve and for how long; carried by an `ask`. */
export interface ApprovalTerms {
  readonly rule: string
  /** Groups or names (`group:sre`, `user:ana@example.com`); any one of them may vote. */
  readonly approvers: readonly string[]
  /** How many approvals are needed. */
  readonly quorum: number
  /** With more than one group named and true, each approval must come from a different group. */
  readonly distinctGroups: boolean
  /** How long the request stays open, milliseconds. */
  readonly expiresAfterMs: number
  /** How long an approval may be used once given, milliseconds. */
  readonly usableForMs: number
  readonly reasonRequired: boolean
  /** What a client hears once its hold is over. */
  readonly whenHeld: 'resubmit' | 'retry-later'
  /** What happens when the resource changed between approval and use. */
  readonly onChange: 'run' | 'ask' | 'refuse'
  readonly message?: string
}

/** What one rule that only watches would have done. */
export interface ShadowResult {
  readonly rule: string
  readonly effect: Effect
}

export interface Decision {
  readonly effect: Effect
  /** A stable kebab-case word: `rule-denied`, `no-rule-allows`, `unknown-operation`, `rate-limited`, ... */
  readonly reason: string
  /** The rule that decided; absent when none did (default deny). */
  readonly rule?: string
  /** The rule author's words for the client. */
  readonly message?: string
  /** Every rule that matched, in file order. */
  readonly matched: readonly string[]
  readonly shadow: readonly ShadowResult[]
  readonly obligations: Obligations
  /** Present with `ask`. */
  readonly approval?: ApprovalTerms
  /** Where a limit denies: after how long the same action may pass, milliseconds. */
  readonly retryAfterMs?: number
  /** With `insufficient-scope`: what a token must have been given for the rule to allow it. */
  readonly scopes?: readonly string[]
  /** Conditions that could not be evaluated, and why; they restricted and did not permit. */
  readonly conditionErrors?: readonly { readonly rule: string; readonly error: string }[]
  /** SHA-256 of the policy's canonical form, `sha256:...`. */
  readonly policyVersion: string
}

/** The order of gravity, mildest first. */
export const risks: readonly Risk[] = ['read', 'write', 'delete', 'admin']

export const noObligations: Obligations = { mask: [], maskRequest: [], record: 'full', rateLimits: [] }

/** A guard has no rule to name: it says by itself why. */
export function deniedByGuard(
  decision: Decision,
  by: { readonly reason: string; readonly message: string; readonly retryAfterMs?: number },
): Decision {
  const { approval: _approval, rule: _rule, ...rest } = decision
  return { ...rest, effect: 'deny', ...by }
}
