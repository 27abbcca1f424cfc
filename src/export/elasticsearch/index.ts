import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type HttpCall, type HttpEnd, jsonObject, openHttp, type SecretValue } from '../http.ts'
import type { LogRecord } from '../record.ts'
import type { SendResult, Sink, SinkEvent } from '../sink.ts'
import { documentOf } from './document.ts'

const compress = promisify(gzip)

export interface ElasticsearchSinkOptions {
  readonly name: string
  /** Of the cluster, without a path. */
  readonly url: string
  /** An index, an alias or a data stream. */
  readonly index: string
  /** Makes the value of `Authorization` of the secret. */
  readonly authorization: (secret: string) => string
  readonly secret: SecretValue
  readonly version: string
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

const newline = Buffer.from('\n')

/**
 * Ships by the bulk API, with `create` and an `_id` made of the entry's: an entry that is there already answers 409,
 * which is success, so nothing is ever stored twice or overwritten, and a key that may only create is enough. Works for
 * indices and data streams (docs/adr/0019-sinks.md).
 */
export function createElasticsearchSink(options: ElasticsearchSinkOptions): Sink {
  const base = options.url.replace(/\/+$/, '')
  const http = openHttp({
    url: `${base}/${encodeURIComponent(options.index)}/_bulk?filter_path=errors,items.*.status,items.*.error.type`,
    timeoutMs: options.timeoutMs,
    secret: options.secret,
  })
  const headers: HttpCall['headers'] = secret => ({
    authorization: options.authorization(secret),
    'content-type': 'application/x-ndjson',
    'content-encoding': 'gzip',
    'user-agent': `sallyport/${options.version}`,
  })
  return {
    name: options.name,
    type: 'elasticsearch',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 128_000 },
    encode: (record, encoding) => createOf(record.id, documentOf(record, encoding)),
    // Under an id of its own: the entry may still come, and is not to be taken for there.
    stub: (record, reason) => createOf(`${record.id}/stub`, stubOf(record, reason)),
    send: (batch, signal) => send(http, { batch, headers }, signal),
    close: () => http.close(),
  }
}

function createOf(id: string, document: object): Buffer {
  return Buffer.from(`${JSON.stringify({ create: { _id: id } })}\n${JSON.stringify(document)}`)
}

function stubOf(record: LogRecord, reason: string): object {
  return {
    '@timestamp': new Date().toISOString(),
    message: `Entry ${record.id} was not taken; this stub stands in its place`,
    event: {
      id: record.id,
      sequence: record.index,
      provider: record.origin,
      hash: record.leafHash,
      action: 'export.stub',
      reason: reason.slice(0, 200),
    },
  }
}

async function send(
  http: HttpEnd,
  of: { readonly batch: readonly SinkEvent[]; readonly headers: HttpCall['headers'] },
  signal: AbortSignal,
): Promise<SendResult> {
  const body = await compress(Buffer.concat(of.batch.flatMap(each => [each.body, newline])), { level: 4 })
  const answer = await http.ask({ body, headers: of.headers }, signal)
  if ('result' in answer) return answer
  const said = jsonObject(answer.body)
  if (said === undefined || typeof said['errors'] !== 'boolean')
    return { result: 'refused', detail: 'the answer is none of the bulk API: is this an Elasticsearch?' }
  return said['errors'] ? judge(said['items']) : { result: 'accepted' }
}

interface Item {
  readonly status?: number
  readonly error?: { readonly type?: string }
}

/**
 * What the items say together. A retry repeats the whole batch: what is there by then answers 409. Of an error its type
 * is told and not its reason, which may quote the document.
 */
function judge(items: unknown): SendResult {
  const faults = new Map<SendResult['result'], string>()
  for (const each of Array.isArray(items) ? items : []) {
    const { status = 500, error } = (each as { readonly create?: Item }).create ?? {}
    if ((status >= 200 && status < 300) || status === 409) continue
    const result = resultOf(status)
    if (!faults.has(result)) faults.set(result, `${status} ${error?.type ?? 'unknown error'}`.slice(0, 200))
  }
  for (const result of ['refused', 'retry', 'rejected'] as const) {
    const detail = faults.get(result)
    if (detail !== undefined) return { result, detail }
  }
  return { result: 'accepted' }
}

function resultOf(status: number): 'refused' | 'retry' | 'rejected' {
  if (status === 429 || status >= 500) return 'retry'
  return status === 401 || status === 403 || status === 404 ? 'refused' : 'rejected'
}
