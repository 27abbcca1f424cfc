/**
 * What Datadog holds of a log, by its log search (`POST /api/v2/logs/events/search`). It needs an application key that
 * may read logs, and sees what was indexed: what an exclusion filter, a quota or a restriction query of the key's owner
 * keeps back is missing here, though the intake took it.
 */
import { createHash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { ExpectedEvent, HeldEvent, Holdings } from '../holdings.ts'
import type { LogRecord } from '../record.ts'
import { type DatadogApi, DatadogApiError } from './api.ts'
import { at, attributes, type EventAttribute, eventSource } from './attributes.ts'

const searchPath = '/api/v2/logs/events/search'
const pageSize = 1000

/** The event of an entry in the JSON that is sent; undefined where it has no form. */
export type EncodeEvent = (record: LogRecord) => Buffer | undefined

export interface DatadogHoldingsOptions {
  readonly api: DatadogApi
  readonly encode: EncodeEvent
  readonly keepsMs: number
}

type Json = Readonly<Record<string, unknown>>

export function openDatadogHoldings({ api, encode, keepsMs }: DatadogHoldingsOptions): Holdings {
  async function* search(
    filter: { query: string; from: number; to: number | 'now' },
    signal: AbortSignal,
    limit = pageSize,
  ): AsyncGenerator<HeldEvent> {
    let cursor: string | undefined
    do {
      const { query, from, to } = filter
      const page = await ask(api, signal, {
        filter: { query, from: String(from), to: String(to), indexes: ['*'] },
        sort: 'timestamp',
        page: { limit, ...(cursor === undefined ? {} : { cursor }) },
      })
      for (const each of page.data) yield heldOf(each)
      // A cursor that does not move would be asked for ever.
      if (page.after !== undefined && page.after === cursor)
        throw new GatewayError('upstream-invalid', { detail: 'the search of Datadog repeats a page' })
      cursor = page.after
    } while (cursor !== undefined)
  }

  return {
    keepsMs,
    mostIds: 50,
    between: ({ log, from, to }, signal) => search({ query: ofLog(log), from, to }, signal),
    async hasLate({ log, from }, signal) {
      const query = `source:${eventSource} (late:true OR backfill:true) ${at(attributes.log)}:${quoted(log)}`
      for await (const _ of search({ query, from, to: 'now' }, signal, 1)) return true
      return false
    },
    byIds(ids, from, signal) {
      const any = ids.map(quoted).join(' OR ')
      return search(
        { query: `source:${eventSource} ${at(attributes.eventId)}:(${any})`, from, to: 'now' },
        signal,
      )
    },
    expected: record => expectedOf(record, encode),
    close: () => api.close(),
  }
}

/** Of this log, or of none: an event that says it is ours and hides which log it is of must not hide from this. */
function ofLog(log: string): string {
  const path = at(attributes.log)
  return `source:${eventSource} (${path}:${quoted(log)} OR -${path}:*)`
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}

async function ask(api: DatadogApi, signal: AbortSignal, body: unknown) {
  let answer: unknown
  try {
    answer = await api.search(searchPath, body, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof DatadogApiError)) throw error
    const why =
      error.status === 401 || error.status === 403
        ? `${error.message}: the application key must belong to somebody who may read these logs (logs_read_data)`
        : error.message
    throw new GatewayError('upstream-unreachable', { detail: why, cause: error })
  }
  const { data, meta } = (answer ?? {}) as {
    data?: unknown
    meta?: { page?: { after?: unknown }; status?: unknown }
  }
  // A search that ran out of time answers with what it had, and must not pass for the whole.
  if (!Array.isArray(data) || (meta?.status !== undefined && meta.status !== 'done')) {
    throw new GatewayError('upstream-unreachable', {
      detail: 'Datadog did not finish the search; ask for a shorter window',
    })
  }
  const after = meta?.page?.after
  return { data: data as Json[], after: typeof after === 'string' && after !== '' ? after : undefined }
}

function heldOf(found: Json): HeldEvent {
  const outer = objectOf(found['attributes'])
  const event = objectOf(outer['attributes'])
  const own = objectOf(objectOf(event['sallyport'])['event'])
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const index = Number(own['seq'])
  return {
    remote: text(found['id']) ?? '',
    id: text(own['id']),
    index: own['seq'] !== undefined && Number.isSafeInteger(index) && index >= 0 ? index : undefined,
    leafHash: text(own['leaf_hash']),
    stub: objectOf(event['evt'])['name'] === 'export.stub',
    facts: factsOf(event),
  }
}

function expectedOf(record: LogRecord, encode: EncodeEvent): ExpectedEvent {
  const { leafHash } = record
  const body = encode(record)
  return {
    leafHash,
    facts: body === undefined ? undefined : factsOf(JSON.parse(body.toString('utf8')) as Json),
  }
}

const compared: readonly string[] = [
  ...(Object.values(attributes) as EventAttribute[]).map(({ path }) => path),
  'sallyport.event.time_ms',
  'usr.name',
  'usr.email',
].toSorted()

/** A hash over what queries and people go by. Numbers and booleans may come back as texts. */
function factsOf(event: Json): string {
  const hash = createHash('sha256')
  for (const path of compared) {
    let value: unknown = event
    for (const name of path.split('.')) value = objectOf(value)[name]
    hash.update(value === undefined || value === null ? '\0-' : `\0${JSON.stringify(String(value))}`)
  }
  return hash.digest('base64')
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}
