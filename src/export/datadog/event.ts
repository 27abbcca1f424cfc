/**
 * An entry as a Datadog log: standard attributes where Datadog has one (`usr.*`, `http.*`, `evt.*`, `network.*`,
 * `duration` in nanoseconds), our own root `sallyport.*` for the rest. Nothing is looked up and nothing added that the
 * entry does not say; bodies and credentials are in no entry, so they are in no event.
 */
import type { Entry } from '../../audit/events.ts'
import type { LogRecord } from '../record.ts'
import type { Encoding } from '../sink.ts'
import { actionMessage, factMessage, nameOf } from '../message.ts'
import { delayedTag, eventSource } from './attributes.ts'
import { type Attributes, type Budget, fit, maxAttributes } from './shape.ts'
import { describe, ranWithConsent } from '../words.ts'

/** Datadog takes a log up to 18 hours old and silently loses older ones; an hour is left for the way. */
export const lateAfterMs = 17 * 3_600_000
export const maxEventBytes = 64_000

/** Shipped so long after it was written, an entry is tagged, so that a monitor sees that shipping is behind. */
export const delayedAfterMs = 600_000

export interface EventOptions {
  readonly service: string
  readonly hostname: string
  /** `key:value`, already fit for `ddtags`. */
  readonly tags: readonly string[]
}

/** The words of a text, for sets that are easier read than counted. */
function wordSet(text: string): ReadonlySet<string> {
  return new Set(text.split(' '))
}

/** Members of an entry that `eventOf` places itself. Everything else passes through by its namespace. */
const placed = wordSet(
  'v kind log seq time session action subject client connection operation known risk resource ' +
    'digest decision approval intent outcome reason error duration upstream_duration bytes_in ' +
    'bytes_out masked recording truncated http trace cause',
)

/** Namespaces that Datadog or OpenTelemetry define: they keep their place at the root, whatever the kind. */
const standard = wordSet('db mcp gen_ai jsonrpc rpc k8s dns url ssh')

/** Root names with a meaning of their own at the far end: a protocol's facts never stand in for them (P9). */
const reserved = wordSet(
  'message status severity level host hostname syslog service source ddsource ddtags tags ' +
    'timestamp @timestamp _timestamp Timestamp eventTime date trace_id dd usr evt network ' +
    'duration error logger ocsf published_date sallyport',
)

/** The JSON of one event, at most `maxEventBytes`. Long strings are cut, harder each time, where it would be larger. */
export function encodeEvent(record: LogRecord, encoding: Encoding, options: EventOptions): Buffer {
  for (const maxString of [8192, 1024, 128, 32]) {
    const body = Buffer.from(JSON.stringify(eventOf(record, encoding, { ...options, maxString })))
    if (body.length <= maxEventBytes) return body
  }
  const bare = eventOf(record, encoding, { ...options, maxString: 32, attributes: 0 })
  return Buffer.from(JSON.stringify(bare))
}

/** `maxString` in characters; `attributes` bounds what passes through. */
export function eventOf(
  record: LogRecord,
  encoding: Encoding,
  options: EventOptions & { readonly maxString?: number; readonly attributes?: number },
): Attributes {
  const { entry } = record
  const budget: Budget = {
    attributes: maxAttributes,
    maxString: options.maxString ?? 8192,
    truncated: entry['truncated'] === true,
  }
  const written = Date.parse(entry.time)
  const time = Number.isNaN(written) ? encoding.now : written
  const age = encoding.now - time
  const late = age > lateAfterMs
  const said = describe(entry)
  const core = fit(
    {
      ddsource: eventSource,
      service: options.service,
      hostname: options.hostname,
      ddtags: tagsOf(entry, options.tags, {
        late,
        delayed: age > delayedAfterMs && !encoding.backfill,
        backfill: encoding.backfill,
      }),
      timestamp: late ? encoding.now : time,
      status: said.status,
      message: entry.kind.startsWith('action.') ? actionMessage(entry) : factMessage(entry, said.phrase),
      usr: userOf(entry),
      network: networkOf(entry),
      duration: entry.duration,
      evt: { name: eventName(entry), category: said.category, outcome: said.outcome },
      error: errorOf(entry),
      dd: entry.trace && { trace_id: entry.trace.trace_id },
    },
    0,
    budget,
  ) as Attributes
  const own = fit(ownOf(record, time, encoding), 1, budget) as Attributes
  // What passes through is fitted last: of an event that is too large, it is what can be missed.
  if (options.attributes !== undefined) budget.attributes = options.attributes
  const passed = passThrough(entry)
  const root = fit(passed.root, 0, budget) as Attributes | undefined
  const rest = fit(passed.own, 1, budget) as Attributes | undefined
  const truncated = budget.truncated ? { truncated: true } : {}
  const sallyport: Attributes = { ...rest, ...own, ...truncated }
  const family = entry.kind.split('.')[0]!
  if (isNested(rest?.[family]) && isNested(own[family]))
    sallyport[family] = { ...rest[family], ...own[family] }
  return { ...root, ...core, sallyport }
}

function tagsOf(
  entry: Entry,
  tags: readonly string[],
  marks: { readonly late: boolean; readonly delayed: boolean; readonly backfill: boolean },
): string {
  const all = [...tags]
  if (entry.connection !== undefined) all.push(tag('connection_type', entry.connection.protocol))
  if (marks.delayed) all.push(delayedTag)
  if (marks.late) all.push('late:true')
  if (marks.backfill) all.push('backfill:true')
  return all.join(',')
}

/** A tag as Datadog keeps it: at most 200 characters, none of which would end it. */
export function tag(name: string, value: string): string {
  return `${name}:${value}`.replaceAll(/[^\p{L}\p{N}_\-./:]/gu, '_').slice(0, 200)
}

function userOf(entry: Entry): Attributes | undefined {
  const { subject } = entry
  if (subject === undefined) return undefined
  return { id: subject.id, name: nameOf(subject), email: subject.email ?? subject.on_behalf_of?.email }
}

function networkOf(entry: Entry): Attributes | undefined {
  const { client, bytes_in, bytes_out } = entry
  if (client === undefined && bytes_in === undefined && bytes_out === undefined) return undefined
  return {
    client: client === undefined ? undefined : { ip: client.ip, port: client.port },
    bytes_read: bytes_in,
    bytes_written: bytes_out,
  }
}

function errorOf(entry: Entry): Attributes | undefined {
  return entry.error === undefined ? undefined : { kind: entry.error.code, message: entry.error.detail }
}

/** For an action the operation is what is counted; for anything else the kind is. */
function eventName(entry: Entry): string {
  if (!entry.kind.startsWith('action.') || entry.operation === undefined) return entry.kind
  return `${entry.connection?.protocol ?? 'action'}.${entry.operation}`
}

function ownOf(record: LogRecord, time: number, encoding: Encoding): Attributes {
  const { entry } = record
  const { connection, subject, decision, recording, client } = entry
  return {
    event: {
      id: record.id,
      log: record.origin,
      seq: record.index,
      kind: entry.kind,
      schema: entry.v,
      time_ms: time,
      leaf_hash: record.leafHash,
    },
    connection: connection && {
      name: connection.name,
      type: connection.protocol,
      sensitivity: connection.sensitivity,
    },
    session: entry.session === undefined ? undefined : { id: entry.session },
    action: entry.action === undefined ? undefined : actionOf(entry),
    operation: entry.operation,
    risk: entry.risk,
    actor: subject && {
      type: subject.kind,
      issuer: subject.issuer,
      auth_method: subject.method,
      on_behalf_of: subject.on_behalf_of?.id,
      on_behalf_of_issuer: subject.on_behalf_of?.issuer,
      on_behalf_of_email: subject.on_behalf_of?.email,
    },
    client: client?.agent === undefined ? undefined : { claimed_agent: client.agent },
    policy: decision && {
      decision: decision.effect,
      reason: decision.reason,
      rule: decision.rule,
      version: decision.policy,
      shadow: decision.shadow,
    },
    reason: entry['reason'],
    approval: approvalOf(entry),
    masked: entry.masked,
    recording: recording && {
      blob: recording.blob,
      length: recording.length,
      complete: recording.complete,
    },
    upstream: entry.upstream_duration === undefined ? undefined : { duration: entry.upstream_duration },
    error: entry.error,
    trace: entry.trace,
    cause: entry.cause,
    checkpoint: encoding.checkpoint,
  }
}

function actionOf(entry: Entry): Attributes {
  const { action, intent, known, resource, digest } = entry
  return { id: action, intent, known, resource, digest }
}

const approvalStates: Readonly<Record<string, string>> = {
  'approval.requested': 'pending',
  'approval.voted': 'pending',
  'approval.granted': 'approved',
  'approval.denied': 'denied',
  'approval.expired': 'expired',
  'approval.cancelled': 'cancelled',
  'approval.consumed': 'consumed',
  'approval.returned': 'approved',
  'approval.abandoned': 'pending',
}

/**
 * `required` is on every event of an action that policy wanted a person for, and `state` is `approved` on the one that
 * ran with consent, so that "ran without approval" is one query on one event:
 * `queries.withoutApproval` in attributes.ts.
 */
function approvalOf(entry: Entry): Attributes | undefined {
  const { approval, kind } = entry
  if (entry.decision?.effect !== 'ask' && approval === undefined) return undefined
  const known = approvalStates[kind]
  const facts = { required: true, ...(known === undefined ? {} : { state: known }), ...approval }
  return ranWithConsent(entry) ? { ...facts, state: 'approved' } : facts
}

/**
 * Everything that this file does not know by name. A namespace of an action's facts (`http`, `db`, whatever a protocol
 * calls its own) keeps its name at the root; other members go under `sallyport.<family of the kind>`.
 */
function passThrough(entry: Entry): { root: Attributes; own: Attributes } {
  const root: Attributes = { http: httpOf(entry) }
  const own: Attributes = {}
  const family = entry.kind.split('.')[0]!
  const isAction = family === 'action'
  for (const [name, value] of Object.entries(entry)) {
    if (placed.has(name)) continue
    const nested = isNested(value)
    if (nested && (standard.has(name) || (isAction && !reserved.has(name)))) root[name] = value
    else if (isAction) own[name] = value
    else
      own[family] = {
        ...(own[family] as Attributes),
        ...(name === family && nested ? value : { [name]: value }),
      }
  }
  return { root, own }
}

/**
 * The `http` facts under Datadog's standard names. `http.url` has the template where there is one: paths hold ids, and
 * a group-by over them would be as long as the list of resources.
 */
function httpOf(entry: Entry): Attributes | undefined {
  const { http, client } = entry
  if (!isNested(http)) return undefined
  const { user_agent, useragent, url, scheme = 'https', host, path, template, ...rest } = http
  const place = template ?? path
  const whole =
    typeof host === 'string' && typeof place === 'string' ? `${String(scheme)}://${host}${place}` : undefined
  return {
    ...rest,
    url: url ?? whole,
    url_details: { host, path },
    useragent: useragent ?? user_agent ?? client?.agent,
  }
}

function isNested(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
