import type { Action } from '../model/action.ts'
import type { Decision } from '../model/decision.ts'
import type { Principal, Subject } from '../model/subject.ts'
import type { SessionFacts } from './audit.ts'
import { canonicalJson, type Json } from './canonical-json.ts'
import type { EventKind } from './events.ts'
import { coreKeys, shrink } from './shrink.ts'

/** The largest entry, bytes. C2SP tlog-tiles could carry 65,535; what is larger than this belongs in a blob. */
export const maxEntryBytes = 16_384

/** Room for `seq`, which is known only when the batch is formed. */
const seqRoom = 20

/** An entry but for its number: `head + seq + tail` is RFC 8785 canonical JSON. */
export interface Draft {
  readonly head: string
  readonly tail: string
}

/** One member of the entry. */
export interface Member {
  readonly key: string
  /** Canonical: `"key":value`. */
  readonly text: string
}

/** Keys that only this module writes: nothing a protocol or a caller passes can stand in for them (P9). */
const ownKeys: ReadonlySet<string> = new Set(['v', 'kind', 'log', 'seq', 'time'])

const actionKeys: ReadonlySet<string> = new Set([...ownKeys, ...coreKeys])

const plainKey = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `"key":value`. The key is one of our own words, the value anything canonical. */
export function member(key: string, value: unknown): Member {
  return { key, text: `"${key}":${canonicalJson(value)}` }
}

/**
 * Puts members together in canonical order around the place of `seq`; an entry that would be too large is shrunk and
 * marked. Members hold no `seq` of their own, and no key with two values.
 */
export function draft(members: readonly Member[]): Draft {
  const made = assemble(members)
  // A UTF-16 unit takes at most three bytes: most entries need no counting.
  if ((made.head.length + made.tail.length) * 3 + seqRoom <= maxEntryBytes) return made
  const length = Buffer.byteLength(made.head) + Buffer.byteLength(made.tail)
  if (length + seqRoom <= maxEntryBytes) return made
  const fields = JSON.parse(`{${members.map(({ text }) => text).join(',')}}`) as Record<string, Json>
  const fits = (candidate: Record<string, Json>): boolean =>
    Buffer.byteLength(canonicalJson(candidate)) + seqRoom + '"seq":"",'.length <= maxEntryBytes
  return assemble(Object.entries(shrink(fields, fits)).map(([key, value]) => member(key, value)))
}

function assemble(members: readonly Member[]): Draft {
  let head = ''
  let tail = ''
  let last = ''
  for (const { key, text } of members.toSorted(byKey)) {
    if (text === last) continue
    last = text
    if (key < 'seq') head += `${text},`
    else tail += `,${text}`
  }
  return { head: `{${head}"seq":"`, tail: `"${tail}}` }
}

/** In UTF-16 code units, the order of RFC 8785 section 3.2.3. */
function byKey(a: Member, b: Member): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0
}

/** The members of every entry; `log` is the member that names the log. */
export function frame(kind: EventKind, log: Member, time: string): Member[] {
  return [
    { key: 'kind', text: `"kind":"${kind}"` },
    log,
    { key: 'time', text: `"time":"${time}"` },
    { key: 'v', text: '"v":1' },
  ]
}

/** A caller's own members, for an action's entry: none of the names that the log answers for. */
export function factMembers(facts: Readonly<Record<string, unknown>>): Member[] {
  return freeMembers(facts, actionKeys)
}

/** A caller's own members, for any other entry: everything but `v`, `kind`, `log`, `seq`, `time`. */
export function attributeMembers(attributes: Readonly<Record<string, unknown>>): Member[] {
  return freeMembers(attributes, ownKeys)
}

/**
 * What has no canonical form (undefined, a lone surrogate, NaN) or may not be said under that name is altered or left
 * out and the entry says `altered: true`: an ending is never lost for what a protocol put into its facts.
 */
function freeMembers(values: Readonly<Record<string, unknown>>, reserved: ReadonlySet<string>): Member[] {
  const members: Member[] = []
  let altered = false
  for (const key of Object.keys(values)) {
    const value = values[key]
    if (value === undefined) continue
    if (reserved.has(key) || !plainKey.test(key)) {
      altered = true
      continue
    }
    try {
      members.push(member(key, value))
    } catch {
      altered = true
      members.push(member(key, repair(value, 0)))
    }
  }
  if (altered && !Object.hasOwn(values, 'altered')) members.push(member('altered', true))
  return members
}

function repair(value: unknown, depth: number): Json {
  switch (typeof value) {
    case 'string':
      return value.toWellFormed()
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'object': {
      if (value === null) return null
      if (depth >= 16) return '…'
      if (Array.isArray(value)) return value.map(each => repair(each, depth + 1))
      const out: Record<string, Json> = Object.create(null) as Record<string, Json>
      for (const [key, each] of Object.entries(value)) {
        if (each !== undefined) out[key.toWellFormed()] = repair(each, depth + 1)
      }
      return out
    }
    case 'undefined':
    case 'function':
    case 'symbol':
    case 'bigint':
      return String(value).toWellFormed()
  }
}

const ofSession = new WeakMap<SessionFacts, Member[]>()

/** Session, subject, client and connection; written once per session, since they never change within it. */
export function sessionMembers(session: SessionFacts): readonly Member[] {
  const known = ofSession.get(session)
  if (known !== undefined) return known
  const members = attributeMembers(sessionFields(session))
  ofSession.set(session, members)
  return members
}

/** As `sessionMembers`, as attributes for `note`: what `session.started` and `session.ended` say. */
export function sessionFields(session: SessionFacts): Readonly<Record<string, unknown>> {
  const { name, protocol, sensitivity } = session.connection
  const { ip, port, agent } = session.client
  return {
    session: session.id,
    subject: subjectFields(session.subject),
    client: { ip, port, ...(agent === undefined ? {} : { agent }) },
    connection: { name, protocol, sensitivity },
  }
}

/** A subject as entries name it: never its claims. */
export function subjectFields(subject: Subject): Readonly<Record<string, unknown>> {
  const { onBehalfOf } = subject
  return {
    ...principalFields(subject),
    kind: subject.kind,
    method: subject.method,
    ...(onBehalfOf === undefined ? {} : { on_behalf_of: principalFields(onBehalfOf) }),
  }
}

function principalFields({ issuer, id, name, email }: Principal): Readonly<Record<string, unknown>> {
  return {
    issuer,
    id,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
  }
}

/** What the intent says of the action and its end repeats. */
export function actionMembers(action: Action): Member[] {
  return attributeMembers({
    action: action.id,
    operation: action.operation,
    known: action.known,
    risk: action.risk,
    resource: action.resource,
    digest: action.digest(),
  })
}

/** A decision as entries carry it; obligations show in their effects. */
export function decisionFields(decision: Decision): Readonly<Record<string, unknown>> {
  const { effect, reason, rule, shadow, policyVersion } = decision
  return {
    effect,
    reason,
    policy: policyVersion,
    ...(rule === undefined ? {} : { rule }),
    ...(shadow.length === 0
      ? {}
      : { shadow: shadow.map(each => ({ rule: each.rule, effect: each.effect })) }),
  }
}
