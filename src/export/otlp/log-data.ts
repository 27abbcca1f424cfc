/**
 * An entry as an OpenTelemetry log record: the attributes of the semantic conventions where there is one, `sallyport.*`
 * for the rest. No structure is invented: what the entry does not say is not there.
 */
import type { Entry } from '../../audit/events.ts'
import { actionMessage, factMessage } from '../message.ts'
import type { LogRecord } from '../record.ts'
import type { Encoding } from '../sink.ts'
import { describe, type Status } from '../words.ts'

export type Value = string | number | boolean | readonly Value[]
export type Attribute = readonly [name: string, value: Value]

/** The members of `opentelemetry.proto.logs.v1.LogRecord` that are used here. */
export interface LogData {
  /** Nanoseconds since the epoch. */
  readonly time: bigint
  readonly observed: bigint
  readonly severity: { readonly number: number; readonly text: string }
  readonly body: string
  readonly attributes: readonly Attribute[]
  readonly eventName: string
}

/** Severity numbers of the logs data model. */
const severities: Readonly<Record<Status, number>> = {
  info: 9,
  notice: 10,
  warn: 13,
  error: 17,
  critical: 21,
}

/** Where members of an entry go that have a name in the semantic conventions; a dot goes deeper. */
const conventions: Readonly<Record<string, string>> = {
  'subject.id': 'user.id',
  'subject.name': 'user.name',
  'subject.email': 'user.email',
  'client.ip': 'client.address',
  'client.port': 'client.port',
  'client.agent': 'user_agent.original',
  session: 'session.id',
  'http.method': 'http.request.method',
  'http.status_code': 'http.response.status_code',
  'http.path': 'url.path',
  'http.template': 'url.template',
  'http.scheme': 'url.scheme',
  'http.host': 'server.address',
  'http.version': 'network.protocol.version',
  'db.system': 'db.system.name',
  'db.instance': 'db.namespace',
  'db.statement': 'db.query.text',
  'db.operation': 'db.operation.name',
  'db.row_count': 'db.response.returned_rows',
  'error.code': 'error.type',
}

/** Namespaces of the conventions: they keep their names. */
const standard: ReadonlySet<string> = new Set(['mcp', 'gen_ai', 'jsonrpc', 'rpc', 'k8s', 'dns', 'db', 'http'])

/** Throws SyntaxError for bytes that are no entry. */
export function logDataOf(record: LogRecord, encoding: Encoding): LogData {
  const { entry } = record
  const said = describe(entry)
  const attributes: Attribute[] = [
    ['log.record.uid', record.id],
    ['sallyport.leaf_hash', record.leafHash],
    ['sallyport.category', said.category],
    ['sallyport.outcome', said.outcome],
  ]
  for (const [name, value] of Object.entries(entry)) {
    if (name !== 'time' && name !== 'v' && name !== 'outcome') flatten(name, value, attributes)
  }
  const { checkpoint } = encoding
  if (checkpoint !== undefined) flatten('checkpoint', checkpoint, attributes)
  if (encoding.backfill) attributes.push(['sallyport.backfill', true])
  return {
    time: nanosOf(entry.time) ?? BigInt(encoding.now) * 1_000_000n,
    observed: BigInt(encoding.now) * 1_000_000n,
    severity: { number: severities[said.status], text: said.status.toUpperCase() },
    body: entry.kind.startsWith('action.') ? actionMessage(entry) : factMessage(entry, said.phrase),
    attributes,
    eventName: `sallyport.${entry.kind}`,
  }
}

export function stubData(record: LogRecord, reason: string): LogData {
  const now = BigInt(Date.now()) * 1_000_000n
  return {
    time: now,
    observed: now,
    severity: { number: severities.error, text: 'ERROR' },
    body: `Entry ${record.id} was not taken; this stub stands in its place`,
    attributes: [
      ['log.record.uid', record.id],
      ['sallyport.leaf_hash', record.leafHash],
      ['sallyport.log', record.origin],
      ['sallyport.seq', String(record.index)],
      ['sallyport.stub.reason', reason.slice(0, 200)],
    ],
    eventName: 'sallyport.export.stub',
  }
}

/** Microseconds survive: `Date` would round them away. */
function nanosOf(time: Entry['time']): bigint | undefined {
  const seconds = Date.parse(`${time.slice(0, 19)}Z`)
  const fraction = /^\.(\d{1,9})Z$/.exec(time.slice(19))?.[1]
  if (Number.isNaN(seconds) || fraction === undefined) return undefined
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

function flatten(path: string, value: unknown, into: Attribute[]): void {
  if (value === null || value === undefined) return
  if (typeof value !== 'object') return void into.push([nameOf(path), value as Value])
  if (Array.isArray(value)) return void into.push([nameOf(path), value.map(plain)])
  for (const [name, each] of Object.entries(value)) flatten(`${path}.${name}`, each, into)
}

function nameOf(path: string): string {
  const [first] = path.split('.', 1)
  return conventions[path] ?? (standard.has(first!) && first !== path ? path : `sallyport.${path}`)
}

/** Objects in lists have no attributes of their own. */
function plain(value: unknown): Value {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : JSON.stringify(value)
}
