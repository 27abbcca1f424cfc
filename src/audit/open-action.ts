import { GatewayError } from '../errors.ts'
import type { Decision } from '../model/decision.ts'
import type { ActionResult, EntryRef, OpenAction } from './audit.ts'
import { attributeMembers, decisionFields, factMembers, type Member } from './entry.ts'
import type { EventKind } from './events.ts'

/** What the intent leaves to its end. */
export interface Intended {
  readonly ref: EntryRef
  /** Members that every entry of this action repeats. */
  readonly members: readonly Member[]
  readonly facts: Readonly<Record<string, unknown>>
  /** The same as the intent's entry has them. */
  readonly factMembers: readonly Member[]
  /** `performance.now()` at the intent. */
  readonly startedAt: number
}

/** Writes an ending: durable when it resolves. */
export type End = (
  kind: EventKind,
  members: readonly Member[],
  result?: Partial<ActionResult>,
) => Promise<EntryRef>

export interface Abandonable extends OpenAction {
  /** Ends it as `outcome_unknown`, for a gateway that cannot wait for the true end. */
  abandon(cause: string): Promise<EntryRef>
}

/** The state machine of one action's end: whichever ending comes first is written, every later one returns it. */
export function openAction(intended: Intended, end: End): Abandonable {
  let decision: Decision | undefined
  let approval: Readonly<Record<string, unknown>> | undefined
  let forwarded = false
  let ended: Promise<EntryRef> | undefined

  interface Ending {
    readonly result?: Partial<ActionResult>
    readonly more?: Readonly<Record<string, unknown>>
  }

  async function finish(kind: EventKind, outcome: string, of: Ending): Promise<EntryRef> {
    try {
      return await write(kind, outcome, of)
    } catch (error) {
      // A fault of the store has its own consequences. Anything else is a mistake in what was to be said, and an intent
      // without an end would be worse than an end that says little.
      if (error instanceof GatewayError) throw error
      const bare = { intent: String(intended.ref.index), outcome: 'unknown', cause: 'unrecordable' }
      return await end('action.outcome_unknown', [...intended.members, ...attributeMembers(bare)])
    }
  }

  function write(kind: EventKind, outcome: string, of: Ending): Promise<EntryRef> {
    const own = attributeMembers({
      intent: String(intended.ref.index),
      outcome,
      duration: Math.round((performance.now() - intended.startedAt) * 1e6),
      decision: decision === undefined ? undefined : decisionFields(decision),
      approval,
      ...resultFields(of.result),
      ...of.more,
    })
    return end(kind, [...intended.members, ...endFacts(intended, of.result?.facts), ...own], of.result)
  }

  return {
    intent: intended.ref,
    decided(made, approved) {
      decision = made
      approval = approved
    },
    forwarding() {
      forwarded = true
    },
    deny({ reason, result }) {
      // Saying "denied, nothing was forwarded" of what was forwarded would be a lie that nobody could find later.
      if (forwarded && ended === undefined)
        throw new TypeError('an action that was forwarded cannot be denied')
      return (ended ??= finish('action.denied', 'denied', { ...(result && { result }), more: { reason } }))
    },
    complete(result) {
      return (ended ??= finish('action.completed', result.success ? 'success' : 'failure', { result }))
    },
    fail(error: GatewayError, partial) {
      const kind = forwarded ? 'action.failed' : 'action.not_forwarded'
      const fault = { code: error.code, ...(error.detail === undefined ? {} : { detail: error.detail }) }
      return (ended ??= finish(kind, 'failure', {
        ...(partial && { result: partial }),
        more: { error: fault },
      }))
    },
    abandon(cause) {
      return (ended ??= finish('action.outcome_unknown', 'unknown', { more: { cause } }))
    },
  }
}

/** Namespaces of the intent and of the result, united one level deep: the end repeats what was asked. */
function endFacts(
  { facts, factMembers: asked }: Pick<Intended, 'facts' | 'factMembers'>,
  answered: Readonly<Record<string, unknown>> | undefined,
): readonly Member[] {
  if (answered === undefined) return asked
  const merged: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(answered)) {
    const before = facts[key]
    merged[key] = isRecord(before) && isRecord(value) ? { ...before, ...value } : value
  }
  // Undefined takes away what was asked under that name.
  return [...asked.filter(({ key }) => !Object.hasOwn(answered, key)), ...factMembers(merged)]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function resultFields(result: Partial<ActionResult> | undefined): Readonly<Record<string, unknown>> {
  if (result === undefined) return {}
  const { bytesIn, bytesOut, masked, upstreamDuration, recording } = result
  return {
    bytes_in: bytesIn,
    bytes_out: bytesOut,
    masked: masked === undefined || masked.count === 0 ? undefined : masked,
    upstream_duration: upstreamDuration === undefined ? undefined : Math.round(upstreamDuration),
    recording,
  }
}
