import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Answer, jsonObject, openHttp, type SecretValue } from '../http.ts'
import type { SendResult, Sink, SinkEvent } from '../sink.ts'
import { type Attribute, type LogData, logDataOf, stubData, type Value } from './log-data.ts'
import { protoRecord, protoRequest, rejectedOf } from './protobuf.ts'

const compress = promisify(gzip)

export interface OtlpSinkOptions {
  readonly name: string
  /** Whole address, such as `https://collector.example.com:4318/v1/logs`. */
  readonly url: string
  readonly encoding: 'protobuf' | 'json'
  /** Value of `header`; empty where the receiver asks for nothing. */
  readonly secret: SecretValue
  readonly header: string
  readonly version: string
  readonly service: string
  readonly hostname: string
  readonly env: string | undefined
  readonly timeoutMs: number
  readonly maxEvents: number
  readonly maxBytes: number
}

/**
 * Ships log records by OTLP/HTTP 1.x. A partial success is not taken for success: what was rejected is found by
 * halving, as everywhere, and the receiver sees the others twice (`log.record.uid` tells them apart).
 */
export function createOtlpSink(options: OtlpSinkOptions): Sink {
  const { encoding, version } = options
  const http = openHttp(options)
  const binary = encoding === 'protobuf'
  const bodyOf = binary ? protoRecord : (data: LogData) => Buffer.from(JSON.stringify(jsonRecord(data)))
  const resource: readonly Attribute[] = [
    ['service.name', options.service],
    ['service.version', version],
    ['service.instance.id', options.hostname],
    ['host.name', options.hostname],
    ...(options.env === undefined ? [] : ([['deployment.environment.name', options.env]] as const)),
  ]
  const from = { resource, scope: 'sallyport', version }
  return {
    name: options.name,
    type: 'otlp',
    limits: { maxEvents: options.maxEvents, maxBytes: options.maxBytes, maxEventBytes: 256 * 1024 },
    encode: (record, given) => bodyOf(logDataOf(record, given)),
    stub: (record, reason) => bodyOf(stubData(record, reason)),
    async send(batch, signal): Promise<SendResult> {
      const records = batch.map(({ body }) => body)
      const payload = binary ? protoRequest(records, from) : jsonRequest(records, from)
      const body = await compress(payload, { level: 4 })
      const headers = (secret: string) => ({
        'content-type': binary ? 'application/x-protobuf' : 'application/json',
        'content-encoding': 'gzip',
        'user-agent': `sallyport/${version}`,
        ...(secret === '' ? {} : { [options.header]: secret }),
      })
      const answer = await http.ask({ body, headers }, signal)
      return 'result' in answer ? answer : judge(answer, batch, binary)
    },
    close: () => http.close(),
  }
}

/** `partial_success` with rejected records is a refusal of them; with a message alone it is a warning. */
function judge({ body }: Answer, batch: readonly SinkEvent[], binary: boolean): SendResult {
  const { rejected, message } = binary ? protoPartial(body) : jsonPartial(body)
  if (rejected <= 0) return { result: 'accepted' }
  return { result: 'rejected', detail: `${rejected} of ${batch.length} rejected: ${message.slice(0, 200)}` }
}

/** A success whose body can't be read is one all the same: the status is the answer. */
function protoPartial(body: Buffer): { readonly rejected: number; readonly message: string } {
  try {
    return rejectedOf(body)
  } catch {
    return { rejected: 0, message: '' }
  }
}

function jsonPartial(body: Buffer): { readonly rejected: number; readonly message: string } {
  const partial = jsonObject(body)?.['partialSuccess']
  if (typeof partial !== 'object' || partial === null) return { rejected: 0, message: '' }
  const { rejectedLogRecords: rejected, errorMessage: message } = partial as Record<string, unknown>
  return { rejected: Number(rejected ?? 0), message: typeof message === 'string' ? message : '' }
}

/** A 64 bit integer is a string in the JSON of OTLP, an enum is its number. */
function jsonRecord(data: LogData): unknown {
  return {
    timeUnixNano: String(data.time),
    observedTimeUnixNano: String(data.observed),
    severityNumber: data.severity.number,
    severityText: data.severity.text,
    body: { stringValue: data.body },
    attributes: data.attributes.map(jsonAttribute),
    eventName: data.eventName,
  }
}

function jsonAttribute([key, value]: Attribute): unknown {
  return { key, value: jsonValue(value) }
}

function jsonValue(value: Value): unknown {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { arrayValue: { values: value.map(jsonValue) } }
}

function jsonRequest(
  records: readonly Buffer[],
  from: { readonly resource: readonly Attribute[]; readonly scope: string; readonly version: string },
): Buffer {
  const resource = JSON.stringify({ attributes: from.resource.map(jsonAttribute) })
  const scope = JSON.stringify({ name: from.scope, version: from.version })
  const start = `{"resourceLogs":[{"resource":${resource},"scopeLogs":[{"scope":${scope},"logRecords":[`
  const parts = records.flatMap((each, i) => (i === 0 ? [each] : [comma, each]))
  return Buffer.concat([Buffer.from(start), ...parts, Buffer.from(']}]}]}')])
}

const comma = Buffer.from(',')
