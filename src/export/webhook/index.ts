import { createHash, createHmac } from 'node:crypto'
import { openHttp, type SecretValue } from '../http.ts'
import type { LogRecord } from '../record.ts'
import type { SendResult, Sink, SinkEvent } from '../sink.ts'
import { lineOf, stubLine } from '../file/ndjson.ts'

export interface WebhookSinkOptions {
  readonly name: string
  readonly url: string
  /** `whsec_` and base64. */
  readonly secret: SecretValue
  readonly version: string
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

const bodyStart = Buffer.from('{"type":"sallyport.entries","data":{"entries":[')
const bodyEnd = Buffer.from(']}}')
const comma = Buffer.from(',')

/**
 * POSTs entries as Standard Webhooks (specification 1.0): `webhook-id` is the same in every attempt of the same batch,
 * `webhook-signature` is HMAC-SHA256 over `<id>.<timestamp>.<body>`. Entries are embedded in their exact bytes.
 */
export function createWebhookSink(options: WebhookSinkOptions): Sink {
  const http = openHttp({ url: options.url, timeoutMs: options.timeoutMs, secret: options.secret })
  return {
    name: options.name,
    type: 'webhook',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 64_000 },
    encode: wholeJson,
    stub: stubLine,
    async send(batch, signal): Promise<SendResult> {
      const body = bodyOf(batch)
      return http.post(body, signal, secret => {
        const key = keyOf(secret)
        if (key === undefined) return undefined
        const id = idOf(batch)
        const timestamp = String(Math.floor(Date.now() / 1000))
        return {
          'content-type': 'application/json',
          'user-agent': `sallyport/${options.version}`,
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': sign(key, `${id}.${timestamp}.`, body),
        }
      })
    },
    close: () => http.close(),
  }
}

/** Bytes that are no JSON would break the body around them. */
function wholeJson(record: LogRecord): Buffer {
  void record.entry
  return lineOf(record)
}

function bodyOf(batch: readonly SinkEvent[]): Buffer {
  return Buffer.concat([...batch.flatMap(({ body }, i) => [i === 0 ? bodyStart : comma, body]), bodyEnd])
}

/** The same for the same entries, so that a receiver can drop a repeated delivery. */
function idOf(batch: readonly SinkEvent[]): string {
  const hash = createHash('sha256')
  for (const { record } of batch) hash.update(record.id).update('\n')
  return `msg_${hash.digest('hex').slice(0, 32)}`
}

function keyOf(secret: string): Buffer | undefined {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : undefined
  return key !== undefined && key.length >= 24 && key.length <= 64 ? key : undefined
}

function sign(key: Buffer, prefix: string, body: Buffer): string {
  return `v1,${createHmac('sha256', key).update(prefix).update(body).digest('base64')}`
}
