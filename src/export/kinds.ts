/**
 * The sinks that there are: how each is made from its section of the configuration. A new sink is a folder, a schema
 * in `config/sinks.ts`, a line here, and a run of `contract.ts`.
 */
import { hostname } from 'node:os'
import type { SinkConfig, SinkConfigOf } from '../config/sinks.ts'
import { apiUrl, openDatadogApi } from './datadog/api.ts'
import { createDatadogSink, intakeUrl } from './datadog/index.ts'
import { createFileSink } from './file/file-sink.ts'
import { createStreamSink } from './file/stream-sink.ts'
import {
  datadogEventsFrom,
  elasticsearchFrom,
  otlpFrom,
  s3From,
  splunkFrom,
  syslogFrom,
} from './siem-kinds.ts'
import type { Timing } from './backoff.ts'
import type { Sink } from './sink.ts'
import { createWebhookSink } from './webhook/index.ts'

export interface SinkContext {
  /** Of the gateway. */
  readonly version: string
  /** Opens a reference from the configuration; the result is asked for the value before each use. */
  readonly secret: (reference: string) => { read(): string | Promise<string> }
  /** Makes a configured path absolute. */
  readonly resolvePath: (path: string) => string
  /** How to wait for a far end that is asked; tests give their own. */
  readonly timing?: Timing
}

/** Opens nothing yet: a sink that can't be reached is a state, not a fault of start-up. */
export function createSink(config: SinkConfig, context: SinkContext): Sink {
  switch (config.type) {
    case 'datadog':
      return datadogFrom(config, context)
    case 'file':
      return createFileSink({
        name: config.name,
        path: context.resolvePath(config.path),
        rotateAt: config.rotate_at,
      })
    case 'datadog-events':
      return datadogEventsFrom(config, context)
    case 'elasticsearch':
      return elasticsearchFrom(config, context)
    case 'otlp':
      return otlpFrom(config, context)
    case 's3':
      return s3From(config, context)
    case 'splunk':
      return splunkFrom(config, context)
    case 'syslog':
      return syslogFrom(config, context)
    case 'stdout':
      return createStreamSink({ name: config.name, stream: process.stdout })
    case 'webhook': {
      const secret = context.secret(config.secret)
      return createWebhookSink({
        name: config.name,
        url: config.url,
        secret: () => secret.read(),
        version: context.version,
        timeoutMs: config.timeout,
        maxEvents: config.batch.max_events,
        maxBytes: config.batch.max_bytes,
      })
    }
  }
}

const dayMs = 86_400_000

/** Where there is an application key to read with. */
function datadogReadBack(config: SinkConfigOf<'datadog'>, context: SinkContext) {
  if (config.app_key === undefined) return {}
  const [apiKey, appKey] = [context.secret(config.api_key), context.secret(config.app_key)]
  const url = (config.api_url ?? apiUrl(config.site)).replace(/\/+$/, '')
  // Patient: the limit of searches is by the hour, and a comparison is in no hurry.
  const api = openDatadogApi({
    url,
    apiKey: () => apiKey.read(),
    appKey: () => appKey.read(),
    tries: 100,
    ...(context.timing === undefined ? {} : { timing: context.timing }),
  })
  return { readBack: { api, keepsMs: config.setup.index.retention_days * dayMs } }
}

function datadogFrom(config: SinkConfigOf<'datadog'>, context: SinkContext): Sink {
  const key = context.secret(config.api_key)
  return createDatadogSink({
    name: config.name,
    url: config.intake_url ?? intakeUrl(config.site),
    apiKey: () => key.read(),
    version: context.version,
    timeoutMs: config.timeout,
    gzip: config.compression === 'gzip',
    service: config.service,
    hostname: config.hostname ?? hostname(),
    env: config.env,
    tags: config.tags,
    maxEvents: config.batch.max_events,
    maxBytes: config.batch.max_bytes,
    ...datadogReadBack(config, context),
  })
}
