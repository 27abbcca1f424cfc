import type { LogRecord } from '../record.ts'
import type { Sink, SinkEvent } from '../sink.ts'
import type { DatadogApi } from './api.ts'
import { eventSource } from './attributes.ts'
import { encodeEvent, maxEventBytes, tag } from './event.ts'
import { openDatadogHoldings } from './holdings.ts'
import { type IntakeOptions, openIntake } from './http.ts'

/** Under the 5 MB that the intake takes uncompressed. */
export const maxPayloadBytes = 4_000_000
export const maxPayloadEvents = 1000

export interface DatadogSinkOptions extends IntakeOptions {
  readonly name: string
  readonly service: string
  readonly hostname: string
  readonly env: string | undefined
  /** Further tags, by name. */
  readonly tags: Readonly<Record<string, string>>
  readonly maxEvents: number
  readonly maxBytes: number
  /** The API with an application key, to read back what was shipped; without it comparing is not possible. */
  readonly readBack?: { readonly api: DatadogApi; readonly keepsMs: number }
}

/** The logs intake of a site, where no `intake_url` says otherwise. `site` is free text: sites are added over time. */
export function intakeUrl(site: string): string {
  return `https://http-intake.logs.${site}/api/v2/logs`
}

/** Ships to the Datadog logs intake v2, one log per entry (docs/guides/export.md). */
export function createDatadogSink(options: DatadogSinkOptions): Sink {
  const intake = openIntake(options)
  const tags = [
    ...(options.env === undefined ? [] : [tag('env', options.env)]),
    tag('version', options.version),
    ...Object.entries(options.tags).map(([name, value]) => tag(name, value)),
  ]
  const { service, hostname, readBack } = options
  const encode: Sink['encode'] = (record, encoding) =>
    encodeEvent(record, encoding, { service, hostname, tags })
  const holdings =
    readBack === undefined ? { lacking } : openDatadogHoldings({ ...readBack, encode: formOf(encode) })
  return {
    name: options.name,
    type: 'datadog',
    limits: {
      maxEvents: Math.min(options.maxEvents, maxPayloadEvents),
      maxBytes: Math.min(options.maxBytes, maxPayloadBytes),
      maxEventBytes,
    },
    encode,
    stub: (record, reason) => stubOf(record, reason, { service, hostname, tags }),
    send: (batch, signal) => intake.post(payloadOf(batch), signal),
    holdings,
    async close() {
      if (!('lacking' in holdings)) await holdings.close()
      await intake.close()
    },
  }
}

const lacking =
  'comparing needs an application key that may read logs (logs_read_data): set `app_key` of the sink'

/** As `encodeRecord` takes it: what has no form is a stub there. */
function formOf(encode: Sink['encode']) {
  return (record: LogRecord): Buffer | undefined => {
    try {
      return encode(record, { now: Date.parse(record.entry.time), backfill: false })
    } catch {
      return undefined
    }
  }
}

const open = Buffer.from('[')
const comma = Buffer.from(',')
const end = Buffer.from(']')

function payloadOf(batch: readonly SinkEvent[]): Buffer {
  const parts: Buffer[] = []
  for (const { body } of batch) parts.push(parts.length === 0 ? open : comma, body)
  return Buffer.concat([...parts, end])
}

/** Holds nothing of the entry's content, so that whatever the far end disliked is not in it. */
function stubOf(
  record: LogRecord,
  reason: string,
  at: { service: string; hostname: string; tags: readonly string[] },
): Buffer {
  return Buffer.from(
    JSON.stringify({
      ddsource: eventSource,
      service: at.service,
      hostname: at.hostname,
      ddtags: at.tags.join(','),
      status: 'error',
      message: `Entry ${record.id} was not taken as an event; this stub stands in its place`,
      evt: { name: 'export.stub', category: 'system', outcome: 'failure' },
      sallyport: {
        event: { id: record.id, log: record.origin, seq: record.index, leaf_hash: record.leafHash },
        stub: {
          reason: reason
            .slice(0, 200)
            .replaceAll(/[^\w.,;()-]+/g, ' ')
            .trim(),
        },
      },
    }),
  )
}
