/** The contract suite on every sink that speaks HTTP, each against a far end that reads its format independently. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { type Fault, type FarEnd, testSink } from './contract.ts'
import { createDatadogEventsSink } from './datadog-events/index.ts'
import { createElasticsearchSink } from './elasticsearch/index.ts'
import { createOtlpSink } from './otlp/index.ts'
import { createS3Sink } from './s3/index.ts'
import type { Sink } from './sink.ts'
import { createSplunkSink } from './splunk/index.ts'
import { type FarEndManners, startHttpFarEnd, type Taken } from './testing/http-far-end.ts'

const require = createRequire(import.meta.url)
/** The official protocol definitions, compiled by the OpenTelemetry project. */
const proto = require('@opentelemetry/otlp-transformer/build/src/generated/root') as {
  opentelemetry: {
    proto: {
      collector: { logs: { v1: { ExportLogsServiceRequest: { decode(body: Buffer): OtlpRequest } } } }
    }
  }
}

interface OtlpRequest {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly attributes: readonly {
          readonly key: string
          readonly value: { readonly stringValue: string }
        }[]
      }[]
    }[]
  }[]
}

const every = [
  'down',
  'lost-answer',
  'half-closed',
  'reset-after-head',
  'storm',
  'overloaded',
  'slow',
  'poison',
  'small',
  'refusing',
] as const satisfies readonly Fault[]

const common = { version: '0.1.0', hostname: 'gw-1', maxEvents: 500, maxBytes: 1_000_000 }

interface Made {
  readonly most?: number
  readonly numbers: (taken: Taken) => readonly number[]
  readonly manners?: FarEndManners
  readonly open: (url: string, timeoutMs: number) => Sink
}

function httpFarEnd({ most, numbers, manners, open }: Made): () => Promise<FarEnd> {
  return async () => {
    const far = await startHttpFarEnd(
      body => numbers({ method: 'POST', path: '/', headers: {}, body }).length,
      manners,
    )
    return {
      ...(most === undefined ? {} : { most }),
      open: () => open(far.url.slice(0, -1), far.fault === 'slow' ? 250 : 10_000),
      fail: fault => void (far.fault = fault),
      mend: () => void (far.fault = undefined),
      arrived: async () => far.taken.flatMap(numbers),
      close: () => far.close(),
    }
  }
}

function indexOf(id: unknown): number {
  return Number(
    String(id)
      .replace(/\/stub$/, '')
      .split('/')
      .at(-1),
  )
}

function otlpNumbers(request: OtlpRequest): number[] {
  const records = request.resourceLogs.flatMap(each => each.scopeLogs).flatMap(each => each.logRecords)
  return records.map(({ attributes }) =>
    indexOf(attributes.find(({ key }) => key === 'log.record.uid')!.value.stringValue),
  )
}

for (const encoding of ['protobuf', 'json'] as const) {
  const decode = (body: Buffer): OtlpRequest =>
    encoding === 'json'
      ? (JSON.parse(body.toString()) as OtlpRequest)
      : proto.opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest.decode(body)
  // A partial success with one record rejected: field 1 { field 1: 1, field 2: "no" }.
  const partial =
    encoding === 'json'
      ? '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}'
      : Buffer.from([0x0a, 6, 0x08, 1, 0x12, 2, 0x6e, 0x6f])
  testSink(
    `otlp, ${encoding}`,
    every,
    httpFarEnd({
      numbers: ({ body }) => otlpNumbers(decode(body)),
      manners: {
        accept: () => ({ status: 200, body: encoding === 'json' ? '{}' : Buffer.alloc(0) }),
        poison: () => ({ status: 200, body: partial }),
      },
      open: (url, timeoutMs) =>
        createOtlpSink({
          ...common,
          name: 'far',
          url: `${url}/v1/logs`,
          encoding,
          header: 'authorization',
          secret: () => 'Bearer t',
          service: 'sallyport',
          env: 'test',
          timeoutMs,
        }),
    }),
  )
}

/** Events stand one after another without anything between them, which no parser of JSON takes: `}{` parts them. */
function splunkNumbers({ body }: Taken): number[] {
  const text = body.toString()
  if (text === '') return []
  const events = JSON.parse(`[${text.replaceAll('}{', '},{')}]`) as { fields: { id: string } }[]
  return events.map(({ fields }) => indexOf(fields.id))
}

for (const acknowledge of [false, true]) {
  let acks = 0
  testSink(
    `splunk${acknowledge ? ', acknowledged' : ''}`,
    every,
    httpFarEnd({
      numbers: taken => (taken.path.includes('/ack') ? [] : splunkNumbers(taken)),
      manners: {
        accept: () => ({ status: 200, body: JSON.stringify({ text: 'Success', code: 0, ackId: acks++ }) }),
        poison: () => ({
          status: 400,
          body: '{"text":"Invalid data format","code":6,"invalid-event-number":0}',
        }),
        aside: ({ path, body }) => {
          if (!path.startsWith('/services/collector/ack')) return undefined
          const { acks: asked } = JSON.parse(body.toString()) as { acks: number[] }
          return {
            status: 200,
            body: JSON.stringify({ acks: Object.fromEntries(asked.map(id => [id, true])) }),
          }
        },
      },
      open: (url, timeoutMs) =>
        createSplunkSink({
          ...common,
          name: 'far',
          url,
          token: () => 'c0ffee00-0000-4000-8000-000000000000',
          index: 'audit',
          source: 'sallyport',
          sourcetype: 'sallyport:audit',
          acknowledge,
          acknowledgeMs: 1000,
          timeoutMs,
        }),
    }),
  )
}

interface BulkLine {
  readonly create: { readonly _id: string }
}

function bulkIds(body: Buffer): string[] {
  const lines = body.toString().split('\n')
  assert.equal(lines.pop(), '', 'a bulk body ends with a line feed')
  return lines.filter((_, i) => i % 2 === 0).map(line => (JSON.parse(line) as BulkLine).create._id)
}

/** What a cluster says of each item: there already, rejected, or created. */
function bulkAnswer({ body }: Taken, there: Set<string>, poisonous: boolean): string {
  const lines = body.toString().split('\n')
  const items = bulkIds(body).map((id, i) => {
    if (poisonous && lines[2 * i + 1]!.includes('poison'))
      return { create: { status: 400, error: { type: 'document_parsing_exception' } } }
    if (there.has(id))
      return { create: { status: 409, error: { type: 'version_conflict_engine_exception' } } }
    if (!poisonous) there.add(id)
    return { create: { status: 201 } }
  })
  return JSON.stringify({ errors: items.some(({ create }) => create.status > 299), items })
}

testSink('elasticsearch', every, async () => {
  const there = new Set<string>()
  return await httpFarEnd({
    numbers: ({ body }) => bulkIds(body).map(indexOf),
    manners: {
      accept: taken => ({ status: 200, body: bulkAnswer(taken, there, false) }),
      poison: taken => ({ status: 200, body: bulkAnswer(taken, there, true) }),
    },
    open: (url, timeoutMs) =>
      createElasticsearchSink({
        ...common,
        name: 'far',
        url,
        index: 'audit',
        authorization: secret => `ApiKey ${secret}`,
        secret: () => 'key',
        timeoutMs,
      }),
  })()
})

testSink('s3', every, async () => {
  const there = new Set<string>()
  return await httpFarEnd({
    numbers: ({ body }) => {
      const lines = body.toString().split('\n').slice(0, -1)
      return lines.map(line => Number((JSON.parse(line) as { seq: string }).seq))
    },
    manners: {
      accept: ({ path }) => {
        if (there.has(path)) return { status: 412 }
        there.add(path)
        return { status: 200 }
      },
    },
    open: (url, timeoutMs) =>
      createS3Sink({
        ...common,
        name: 'far',
        bucketUrl: `${url}/audit`,
        region: 'us-east-1',
        prefix: '',
        format: 'ndjson',
        accessKeyId: () => 'AKIA',
        secretAccessKey: () => 'secret',
        sessionToken: undefined,
        timeoutMs,
      }),
  })()
})

for (const api of ['v1', 'v2'] as const) {
  testSink(
    `datadog events ${api}`,
    every.filter(fault => fault !== 'small' && fault !== 'storm'),
    httpFarEnd({
      most: 1,
      numbers: ({ body }) => {
        const sent = JSON.parse(body.toString()) as Record<string, never> & {
          data?: { attributes: { aggregation_key: string } }
        }
        return [indexOf(sent.data?.attributes.aggregation_key ?? sent['aggregation_key'])]
      },
      manners: { accept: () => ({ status: 202, body: '{"status":"ok"}' }) },
      open: (url, timeoutMs) =>
        createDatadogEventsSink({
          ...common,
          name: 'far',
          api,
          url,
          apiKey: () => 'key',
          applicationKey: () => 'app',
          tags: [],
          timeoutMs,
        }),
    }),
  )
}
