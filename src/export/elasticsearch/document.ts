/**
 * An entry as an Elasticsearch document: fields of the Elastic Common Schema where there is one, the whole entry under
 * `sallyport`, which the guide's index template maps as `flattened` so that no fact of a protocol makes a new field.
 */
import { actionMessage, factMessage } from '../message.ts'
import type { LogRecord } from '../record.ts'
import type { Encoding } from '../sink.ts'
import { type Category, describe, type Outcome } from '../words.ts'

type Members = Readonly<Record<string, unknown>>

/** `event.category` of ECS 8, which allows these words only. */
const categories: Readonly<Record<Category, string>> = {
  access: 'api',
  approval: 'iam',
  session: 'session',
  authentication: 'authentication',
  admin: 'configuration',
  system: 'process',
}

/** `event.outcome` of ECS knows three words. */
function outcomeOf(outcome: Outcome): string {
  if (outcome === 'success') return 'success'
  return outcome === 'failure' || outcome === 'denied' || outcome === 'expired' ? 'failure' : 'unknown'
}

/** Throws SyntaxError for bytes that are no entry. */
export function documentOf(record: LogRecord, encoding: Encoding): Members {
  const { entry } = record
  const said = describe(entry)
  const { subject, client, connection } = entry
  const http = entry['http'] as Members | undefined
  const { checkpoint } = encoding
  return {
    '@timestamp': entry.time,
    ecs: { version: '8.11.0' },
    message: entry.kind.startsWith('action.') ? actionMessage(entry) : factMessage(entry, said.phrase),
    log: { level: said.status },
    event: {
      id: record.id,
      sequence: record.index,
      kind: 'event',
      dataset: 'sallyport.audit',
      module: 'sallyport',
      provider: record.origin,
      action: entry.kind,
      category: [categories[said.category]],
      outcome: outcomeOf(said.outcome),
      hash: record.leafHash,
      duration: entry.duration,
      reason: entry.decision?.reason,
    },
    ...(subject === undefined ? {} : { user: { id: subject.id, name: subject.name, email: subject.email } }),
    ...(client === undefined
      ? {}
      : { source: { ip: client.ip, port: client.port }, user_agent: { original: client.agent } }),
    ...(connection === undefined ? {} : { service: { target: { name: connection.name } } }),
    ...(http === undefined ? {} : httpFields(http)),
    ...(entry.error === undefined ? {} : { error: { code: entry.error.code, message: entry.error.detail } }),
    sallyport: { ...entry, ...(checkpoint === undefined ? {} : { checkpoint }) },
    ...(encoding.backfill ? { tags: ['backfill'] } : {}),
  }
}

function httpFields(http: Members): Members {
  return {
    http: {
      request: { method: http['method'] },
      response: { status_code: http['status_code'] },
      version: http['version'],
    },
    url: { domain: http['host'], path: http['path'], scheme: http['scheme'] ?? 'https' },
  }
}
