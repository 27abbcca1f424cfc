/**
 * The attributes of an event that queries at Datadog name: one home, so that a monitor can't ask for what no event has.
 * `attributes.test.ts` holds each against the events of every kind. What searches, monitors and widgets count or group
 * by needs a facet or a measure, which no API makes: `sallyport datadog install` prints the list.
 */
import type { EventKind } from '../../audit/events.ts'
import type { Category, Outcome } from '../words.ts'

/** `ddsource` of every event. */
export const eventSource = 'sallyport'

export interface EventAttribute {
  /** Dotted, as a query writes it after the `@`. */
  readonly path: string
  readonly kind: 'facet' | 'measure'
  readonly type: 'string' | 'boolean' | 'integer'
  /** For people. */
  readonly label: string
  /** Datadog has a facet for it already. */
  readonly builtIn?: true
}

function facet(path: string, label: string, more: Partial<EventAttribute> = {}): EventAttribute {
  return { path, kind: 'facet', type: 'string', label, ...more }
}

function measure(path: string, label: string, more: Partial<EventAttribute> = {}): EventAttribute {
  return { path, kind: 'measure', type: 'integer', label, ...more }
}

export const attributes = {
  identity: facet('usr.id', 'Identity', { builtIn: true }),
  eventName: facet('evt.name', 'Event name', { builtIn: true }),
  outcome: facet('evt.outcome', 'Outcome', { builtIn: true }),
  category: facet('evt.category', 'Category', { builtIn: true }),
  clientAddress: facet('network.client.ip', 'Client address', { builtIn: true }),
  eventId: facet('sallyport.event.id', 'Entry'),
  log: facet('sallyport.event.log', 'Log'),
  kind: facet('sallyport.event.kind', 'Kind of entry'),
  connection: facet('sallyport.connection.name', 'Connection'),
  sensitivity: facet('sallyport.connection.sensitivity', 'Sensitivity'),
  operation: facet('sallyport.operation', 'Operation'),
  risk: facet('sallyport.risk', 'Risk'),
  session: facet('sallyport.session.id', 'Session'),
  actorType: facet('sallyport.actor.type', 'Kind of identity'),
  person: facet('sallyport.actor.on_behalf_of', 'On behalf of'),
  rule: facet('sallyport.policy.rule', 'Policy rule'),
  decision: facet('sallyport.policy.decision', 'Decision'),
  approvalRequired: facet('sallyport.approval.required', 'Approval required', { type: 'boolean' }),
  approvalState: facet('sallyport.approval.state', 'Approval state'),
  sequence: measure('sallyport.event.seq', 'Sequence number'),
  duration: measure('duration', 'Duration', { builtIn: true }),
  masked: measure('sallyport.masked.count', 'Masked values'),
} as const satisfies Readonly<Record<string, EventAttribute>>

/** A tag, since tags are searched without a facet: the entry was shipped more than ten minutes after it was written. */
export const delayedTag = 'delayed:true'

/** `@sallyport.connection.name`: what groups and computes go by. */
export function at({ path }: EventAttribute): string {
  return `@${path}`
}

/** `@path:value`, or any of several values. */
export function is(attribute: EventAttribute, ...values: readonly [string, ...string[]]): string {
  const [first] = values
  return `${at(attribute)}:${values.length === 1 ? first : `(${values.join(' OR ')})`}`
}

export function not(term: string): string {
  return `-${term}`
}

/** Terms that must all hold, of our events alone. */
export function events(...terms: readonly string[]): string {
  return [`source:${eventSource}`, ...terms].join(' ')
}

const category = (...of: readonly [Category, ...Category[]]) => is(attributes.category, ...of)
const outcome = (...of: readonly [Outcome, ...Outcome[]]) => is(attributes.outcome, ...of)
const kind = (...of: readonly [EventKind, ...EventKind[]]) => is(attributes.kind, ...of)

/** What is asked about our events, once for monitors, widgets, metrics, rules and saved views. */
export const queries = {
  everything: events(),
  /** Each action once, at its end. */
  actions: events(category('access'), not(outcome('pending'))),
  succeeded: events(category('access'), outcome('success')),
  denied: events(category('access'), outcome('denied')),
  sensitive: events(
    category('access'),
    outcome('success'),
    is(attributes.actorType, 'agent'),
    is(attributes.sensitivity, 'high', 'critical'),
  ),
  /** It ran, or may have run, and the people that policy wanted had not said yes. */
  withoutApproval: events(
    kind('action.completed', 'action.failed'),
    is(attributes.approvalRequired, 'true'),
    not(is(attributes.approvalState, 'approved')),
  ),
  approvals: events(category('approval')),
  overrides: events(kind('break_glass.used')),
  heartbeats: events(kind('heartbeat')),
  /** A comparison of a sink with the log that found a difference. */
  diverged: events(kind('export.diverged')),
  delayed: events(delayedTag),
  /** In the order of the log: what is sent again or very late has a time that is not its own. */
  inOrder: events('-late:true', '-backfill:true'),
  administration: events(category('admin')),
} as const
