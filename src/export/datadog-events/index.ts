import { jsonObject, openHttp, type SecretValue } from '../http.ts'
import { actionMessage, factMessage, nameOf } from '../message.ts'
import type { LogRecord } from '../record.ts'
import type { Encoding, SendResult, Sink } from '../sink.ts'
import { describe, type Status } from '../words.ts'
import { lateAfterMs, tag } from '../datadog/event.ts'

export interface DatadogEventsOptions {
  readonly name: string
  /** `v1` needs the API key alone; `v2` is Event Management and needs an application key too. */
  readonly api: 'v1' | 'v2'
  readonly url: string
  readonly apiKey: SecretValue
  readonly applicationKey: SecretValue | undefined
  readonly hostname: string
  readonly tags: readonly string[]
  readonly version: string
  readonly timeoutMs: number
}

/** Facts that people should see; what is asked for often belongs in the logs. The default filter of this sink. */
export const humanFacts = [
  'approval.requested',
  'approval.denied',
  'approval.expired',
  'grant.created',
  'break_glass.*',
  'policy.*',
  'configuration.rejected',
  'export.held',
  'export.dead_lettered',
  'export.diverged',
  'checkpoint.unwitnessed',
  'disk.crossed',
  'erasure.done',
]

export function eventsUrl(site: string, api: 'v1' | 'v2'): string {
  return api === 'v1'
    ? `https://api.${site}/api/v1/events`
    : `https://event-management-intake.${site}/api/v2/events`
}

/**
 * Posts each entry as a Datadog event, one in a call: these are rare. `aggregation_key` is the entry's id, so that an
 * event that is sent twice is shown once.
 */
export function createDatadogEventsSink(options: DatadogEventsOptions): Sink {
  const http = openHttp({ ...options, secret: options.apiKey })
  const form = options.api === 'v1' ? v1Event : v2Event
  const encode = (fact: Fact) => Buffer.from(JSON.stringify(form(fact, options)))
  return {
    name: options.name,
    type: 'datadog-events',
    limits: { maxEvents: 1, maxBytes: 64_000, maxEventBytes: 64_000 },
    encode: (record, encoding) => encode(factOf(record, encoding)),
    stub: (record, reason) => encode(stubOf(record, reason)),
    async send([event], signal): Promise<SendResult> {
      const headers = async (apiKey: string) => ({
        'content-type': 'application/json',
        'dd-api-key': apiKey,
        'user-agent': `sallyport/${options.version}`,
        ...(options.applicationKey === undefined
          ? {}
          : { 'dd-application-key': await options.applicationKey() }),
      })
      const answer = await http.ask({ body: event!.body, headers }, signal)
      if (!('result' in answer)) {
        // v1 answers 202 with `status: ok`; one that says otherwise was not taken.
        const status = jsonObject(answer.body)?.['status']
        if (options.api === 'v2' || status === undefined || status === 'ok') return { result: 'accepted' }
        return { result: 'rejected', detail: 'the event was answered with another status than ok' }
      }
      const { status: _, ...result } = answer
      return result
    },
    close: () => http.close(),
  }
}

interface Fact {
  readonly title: string
  readonly text: string
  readonly time: number
  readonly status: Status
  readonly kind: string
  readonly id: string
  readonly leafHash: string
  /** What was changed, for kinds that are a change of the gateway's own rules. */
  readonly change: boolean
  readonly author: string | undefined
  readonly tags: readonly string[]
}

function factOf(record: LogRecord, encoding: Encoding): Fact {
  const { entry } = record
  const said = describe(entry)
  const title = entry.kind.startsWith('action.') ? actionMessage(entry) : factMessage(entry, said.phrase)
  const written = Date.parse(entry.time)
  // Older events are refused; the text tells the true time.
  const late = Number.isNaN(written) || encoding.now - written > lateAfterMs
  const facts = [
    ['time', entry.time],
    ['operation', entry.operation],
    ['connection', entry.connection?.name],
    ['identity', entry.subject === undefined ? undefined : nameOf(entry.subject)],
    ['reason', entry['reason']],
    ['entry', record.id],
  ]
  return {
    title,
    text: facts
      .filter(([, value]) => typeof value === 'string')
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
    time: late ? encoding.now : written,
    status: said.status,
    kind: entry.kind,
    id: record.id,
    leafHash: record.leafHash,
    change: said.category === 'admin',
    author: entry.subject?.id,
    tags: [
      tag('kind', entry.kind),
      ...(entry.connection === undefined ? [] : [tag('connection', entry.connection.name)]),
      ...(late ? ['late:true'] : []),
    ],
  }
}

function stubOf(record: LogRecord, reason: string): Fact {
  return {
    title: `Entry ${record.id} was not taken as an event`,
    text: reason.slice(0, 200),
    time: Date.now(),
    status: 'error',
    kind: 'export.stub',
    id: record.id,
    leafHash: record.leafHash,
    change: false,
    author: undefined,
    tags: [],
  }
}

/** https://docs.datadoghq.com/api/latest/events/: title 500 and text 4000 characters, `date_happened` in seconds. */
function v1Event(fact: Fact, options: DatadogEventsOptions): object {
  const alert = { info: 'info', notice: 'info', warn: 'warning', error: 'error', critical: 'error' } as const
  return {
    title: cut(fact.title, 500),
    text: cut(fact.text, 3900),
    date_happened: Math.floor(fact.time / 1000),
    priority: 'normal',
    alert_type: alert[fact.status],
    aggregation_key: keyOf(fact),
    source_type_name: 'sallyport',
    host: options.hostname,
    tags: [...options.tags, ...fact.tags],
  }
}

function v2Event(fact: Fact, options: DatadogEventsOptions): object {
  const status = { info: 'ok', notice: 'ok', warn: 'warn', error: 'error', critical: 'error' } as const
  const custom = { sallyport: { id: fact.id, kind: fact.kind, leaf_hash: fact.leafHash } }
  return {
    data: {
      type: 'event',
      attributes: {
        title: cut(fact.title, 500),
        message: cut(fact.text, 3900),
        timestamp: new Date(fact.time).toISOString(),
        category: fact.change ? 'change' : 'alert',
        aggregation_key: keyOf(fact),
        host: options.hostname,
        tags: [...options.tags, ...fact.tags],
        attributes: fact.change
          ? {
              changed_resource: { name: fact.kind, type: 'configuration' },
              ...(fact.author === undefined ? {} : { author: { name: fact.author, type: 'user' } }),
              change_metadata: custom,
            }
          : { status: status[fact.status], custom },
      },
    },
  }
}

/** 100 characters: the end of an id is what tells entries apart. */
function keyOf({ id }: Fact): string {
  return id.slice(-100)
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`
}
