import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { lineOf, stubLine } from '../file/ndjson.ts'
import { type HttpEnd, jsonObject, openHttp, type SecretValue, type Unanswered } from '../http.ts'
import type { LogRecord } from '../record.ts'
import type { Encoding, SendResult, Sink } from '../sink.ts'

const compress = promisify(gzip)

export interface SplunkSinkOptions {
  readonly name: string
  /** Of the collector, without a path: `https://splunk.example.com:8088`. */
  readonly url: string
  /** The token of the HTTP Event Collector. */
  readonly token: SecretValue
  readonly index: string | undefined
  readonly source: string
  readonly sourcetype: string
  readonly hostname: string
  /** Wait until the indexer says that the events are written, rather than received. */
  readonly acknowledge: boolean
  /** How long to wait for that, milliseconds. */
  readonly acknowledgeMs: number
  readonly version: string
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * Ships to Splunk's HTTP Event Collector: events one after another in one body, each the exact bytes of the log, with
 * the indexed fields `id`, `leaf_hash`, `kind` and `connection`. With `acknowledge`, a batch counts when the indexer
 * has written it; one that is not acknowledged in time is sent again, as Splunk's documentation asks for.
 */
export function createSplunkSink(options: SplunkSinkOptions): Sink {
  const base = options.url.replace(/\/+$/, '')
  const http = openHttp({
    url: `${base}/services/collector/event`,
    timeoutMs: options.timeoutMs,
    secret: options.token,
  })
  // One channel for as long as the sink is open: acknowledgement ids count within it.
  const channel = randomUUID()
  const { index, source, sourcetype, hostname: host } = options
  const meta = { host, source, sourcetype, ...(index === undefined ? {} : { index }) }
  const headers = (token: string) => ({
    authorization: `Splunk ${token}`,
    'content-type': 'application/json',
    'user-agent': `sallyport/${options.version}`,
    ...(options.acknowledge ? { 'x-splunk-request-channel': channel } : {}),
  })
  return {
    name: options.name,
    type: 'splunk',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 128_000 },
    encode: (record, encoding) => eventOf(record, encoding, meta),
    stub: (record, reason) => envelope({ ...meta, fields: fieldsOf(record) }, stubLine(record, reason)),
    async send(batch, signal): Promise<SendResult> {
      const body = await compress(Buffer.concat(batch.map(each => each.body)), { level: 4 })
      const sent = await http.ask(
        { body, headers: token => ({ ...headers(token), 'content-encoding': 'gzip' }) },
        signal,
      )
      if ('result' in sent) return meaningOf(sent)
      if (!options.acknowledge) return { result: 'accepted' }
      const id = jsonObject(sent.body)?.['ackId']
      if (typeof id !== 'number')
        return { result: 'refused', detail: 'the token has no indexer acknowledgement' }
      const url = `${base}/services/collector/ack?channel=${channel}`
      return await acknowledged(http, { url, id, headers, ms: options.acknowledgeMs }, signal)
    },
    close: () => http.close(),
  }
}

function eventOf(record: LogRecord, encoding: Encoding, meta: object): Buffer {
  const { entry } = record
  const written = Date.parse(entry.time)
  const time = ((Number.isNaN(written) ? encoding.now : written) / 1000).toFixed(3)
  const { connection, kind } = entry
  const facts = { kind, ...(connection === undefined ? {} : { connection: connection.name }) }
  const { checkpoint } = encoding
  const head = checkpoint === undefined ? {} : { checkpoint: checkpoint.note }
  return envelope({ time, ...meta, fields: { ...fieldsOf(record), ...facts, ...head } }, lineOf(record))
}

function fieldsOf(record: LogRecord) {
  return { id: record.id, leaf_hash: record.leafHash }
}

/** The entry goes in as it is: what was hashed can be read back from `_raw`. */
function envelope(members: object, event: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${JSON.stringify(members).slice(0, -1)},"event":`),
    event,
    Buffer.from('}'),
  ])
}

/** Codes of 400 that speak of the configuration and not of an event: 7 index, 10, 11 channel, 14 acknowledgement. */
const misconfigured = /"code":(7|10|11|14)\b/

function meaningOf(unanswered: Unanswered): SendResult {
  const { status: _, ...result } = unanswered
  if (result.result !== 'rejected' || !misconfigured.test(result.detail)) return result
  return { result: 'refused', detail: result.detail }
}

interface Awaited {
  readonly url: string
  readonly id: number
  readonly headers: (token: string) => Readonly<Record<string, string>>
  readonly ms: number
}

async function acknowledged(http: HttpEnd, of: Awaited, signal: AbortSignal): Promise<SendResult> {
  const deadline = performance.now() + of.ms
  const body = Buffer.from(JSON.stringify({ acks: [of.id] }))
  for (let pause = 25; performance.now() < deadline; pause = Math.min(1000, pause * 2)) {
    const answer = await http.ask({ url: of.url, body, headers: of.headers }, signal)
    if (signal.aborted) return { result: 'retry', detail: 'stopped before the acknowledgement' }
    if (!('result' in answer)) {
      const acks = jsonObject(answer.body)?.['acks'] as Readonly<Record<string, unknown>> | undefined
      if (acks?.[String(of.id)] === true) return { result: 'accepted' }
    } else if (answer.result !== 'retry') {
      return meaningOf(answer)
    }
    await delay(pause, undefined, { signal }).catch(() => undefined)
  }
  return { result: 'retry', detail: `no acknowledgement within ${of.ms} ms` }
}
