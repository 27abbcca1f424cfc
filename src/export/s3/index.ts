import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { lineOf, stubLine } from '../file/ndjson.ts'
import { type HttpEnd, openHttp, type SecretValue, type Unanswered } from '../http.ts'
import type { LogRecord } from '../record.ts'
import type { SendResult, Sink } from '../sink.ts'
import { contentOf, type ObjectFormat, objectsOf, type StoredObject } from './object.ts'

export interface S3SinkOptions {
  readonly name: string
  /** Of the bucket, without a slash at its end: `https://bucket.s3.eu-west-1.amazonaws.com` or `https://host/bucket`. */
  readonly bucketUrl: string
  readonly region: string
  readonly prefix: string
  readonly format: ObjectFormat
  readonly accessKeyId: SecretValue
  readonly secretAccessKey: SecretValue
  readonly sessionToken: SecretValue | undefined
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * Stores batches as objects, partitioned by log, day and hour, named by the range of the log they hold, and written
 * once: `If-None-Match: *` makes the store refuse an object that is there already, which is success. So nothing is
 * overwritten, and a repeated batch changes nothing. A batch that was stored but not noted before a crash may come
 * again inside a longer one: `id` tells entries apart.
 */
export function createS3Sink(options: S3SinkOptions): Sink {
  const http = openHttp({
    url: options.bucketUrl,
    timeoutMs: options.timeoutMs,
    secret: options.secretAccessKey,
  })
  return {
    name: options.name,
    type: 's3',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 1024 ** 2 },
    encode: wholeLine,
    stub: stubLine,
    async send(batch, signal): Promise<SendResult> {
      for (const object of objectsOf(batch, options.format)) {
        const sent = await put(http, { object, options }, signal)
        if (sent.result !== 'accepted') return sent
      }
      return { result: 'accepted' }
    },
    close: () => http.close(),
  }
}

/** What is no entry has no hour and no columns: it becomes a stub. */
function wholeLine(record: LogRecord): Buffer {
  void record.entry
  return lineOf(record)
}

async function put(
  http: HttpEnd,
  { object, options }: { readonly object: StoredObject; readonly options: S3SinkOptions },
  signal: AbortSignal,
): Promise<SendResult> {
  const body = await contentOf(object)
  const url = `${options.bucketUrl}/${options.prefix}${object.key}`
  const [first, last] = [object.events[0]!.record, object.events.at(-1)!.record]
  const answer = await http.ask(
    {
      method: 'PUT',
      url,
      body,
      headers: async secretAccessKey => {
        const token = await options.sessionToken?.()
        const signer = new AwsV4Signer({
          method: 'PUT',
          url,
          body: new Uint8Array(body),
          headers: {
            'content-type': object.contentType,
            'if-none-match': '*',
            'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
            'x-amz-meta-first': String(first.index),
            'x-amz-meta-last': String(last.index),
            'x-amz-meta-count': String(object.events.length),
          },
          service: 's3',
          region: options.region,
          accessKeyId: await options.accessKeyId(),
          secretAccessKey,
          ...(token === undefined ? {} : { sessionToken: token }),
          allHeaders: true,
        })
        const signed = await signer.sign()
        return Object.fromEntries(signed.headers)
      },
    },
    signal,
  )
  if (!('result' in answer) || answer.status === 412) return { result: 'accepted' }
  return meaningOf(answer)
}

/** Codes of 400 that speak of the call on its way, and not of what is asked. */
const passing = new Set(['RequestTimeout', 'IncompleteBody', 'BadDigest', 'XAmzContentSHA256Mismatch'])

/**
 * Of the answer only the code is told: what else a store says of a signature may hold a session token. A 400 with a
 * code is about the call and never about a record, so that nothing is halved for it; 409: another write of this very
 * object is under way (conditional writes).
 */
function meaningOf({ status, ...unanswered }: Unanswered): SendResult {
  if (status === undefined) return unanswered
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(unanswered.detail)?.[1]
  const detail = code === undefined ? String(status) : `${status} ${code}`
  if (status === 409 || passing.has(code ?? '')) return { result: 'retry', detail }
  if (code === 'EntityTooLarge') return { result: 'too-large', detail }
  if (status === 501 || (status === 400 && code !== undefined)) return { result: 'refused', detail }
  return { ...unanswered, detail }
}
