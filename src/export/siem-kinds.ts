/** How the sinks beside Datadog's logs, files and webhooks are made from their sections of the configuration. */
import { readFile } from 'node:fs/promises'
import { hostname as systemHostname } from 'node:os'
import type { SinkConfigOf } from '../config/sinks.ts'
import { createDatadogEventsSink, eventsUrl } from './datadog-events/index.ts'
import { tag } from './datadog/event.ts'
import { createElasticsearchSink } from './elasticsearch/index.ts'
import type { SinkContext } from './kinds.ts'
import { createOtlpSink } from './otlp/index.ts'
import { createS3Sink } from './s3/index.ts'
import type { Sink } from './sink.ts'
import { createSplunkSink } from './splunk/index.ts'
import { createSyslogSink } from './syslog/index.ts'

type Batched = { readonly batch: { readonly max_events: number; readonly max_bytes: number } }

function sizesOf({ batch }: Batched) {
  return { maxEvents: batch.max_events, maxBytes: batch.max_bytes }
}

export function datadogEventsFrom(config: SinkConfigOf<'datadog-events'>, context: SinkContext): Sink {
  const { name, api, application_key: application } = config
  const key = context.secret(config.api_key)
  const second = application === undefined ? undefined : context.secret(application)
  return createDatadogEventsSink({
    name,
    api,
    url: config.intake_url ?? eventsUrl(config.site, api),
    apiKey: () => key.read(),
    applicationKey: second === undefined ? undefined : () => second.read(),
    hostname: config.hostname ?? systemHostname(),
    tags: Object.entries(config.tags).map(([name, value]) => tag(name, value)),
    version: context.version,
    timeoutMs: config.timeout,
  })
}

export function otlpFrom(config: SinkConfigOf<'otlp'>, context: SinkContext): Sink {
  const secret = config.header === undefined ? undefined : context.secret(config.header.value)
  return createOtlpSink({
    ...sizesOf(config),
    name: config.name,
    url: config.url,
    encoding: config.encoding,
    header: config.header?.name ?? 'authorization',
    secret: () => secret?.read() ?? '',
    version: context.version,
    service: config.service,
    hostname: config.hostname ?? systemHostname(),
    env: config.env,
    timeoutMs: config.timeout,
  })
}

export function splunkFrom(config: SinkConfigOf<'splunk'>, context: SinkContext): Sink {
  const { name, url, index, source, sourcetype, acknowledge } = config
  const token = context.secret(config.token)
  return createSplunkSink({
    ...sizesOf(config),
    name,
    url,
    index,
    source,
    sourcetype,
    acknowledge,
    token: () => token.read(),
    hostname: config.hostname ?? systemHostname(),
    acknowledgeMs: config.acknowledge_timeout,
    version: context.version,
    timeoutMs: config.timeout,
  })
}

export function elasticsearchFrom(config: SinkConfigOf<'elasticsearch'>, context: SinkContext): Sink {
  const { name, url, index, username } = config
  const secret = context.secret((config.api_key ?? config.password)!)
  return createElasticsearchSink({
    ...sizesOf(config),
    name,
    url,
    index,
    secret: () => secret.read(),
    authorization: value =>
      username === undefined
        ? `ApiKey ${value}`
        : `Basic ${Buffer.from(`${username}:${value}`).toString('base64')}`,
    version: context.version,
    timeoutMs: config.timeout,
  })
}

export function syslogFrom(config: SinkConfigOf<'syslog'>, { resolvePath }: SinkContext): Sink {
  const { name, host, port, tls, acknowledge, facility, enterprise } = config
  const read = (path: string | undefined) => (path === undefined ? undefined : readFile(resolvePath(path)))
  return createSyslogSink({
    ...sizesOf(config),
    name,
    host,
    port,
    acknowledge,
    facility,
    enterprise,
    appName: config.app_name,
    hostname: config.hostname ?? systemHostname(),
    timeoutMs: config.timeout,
    tls:
      tls === false
        ? undefined
        : async () => {
            const [ca, cert, key] = await Promise.all([read(tls.ca), read(tls.cert), read(tls.key)])
            return {
              ...(ca === undefined ? {} : { ca }),
              ...(cert === undefined ? {} : { cert }),
              ...(key === undefined ? {} : { key }),
            }
          },
  })
}

export function s3From(config: SinkConfigOf<'s3'>, context: SinkContext): Sink {
  const { bucket, endpoint, region, prefix, format } = config
  const id = context.secret(config.access_key_id)
  const secret = context.secret(config.secret_access_key)
  const token = config.session_token === undefined ? undefined : context.secret(config.session_token)
  return createS3Sink({
    ...sizesOf(config),
    name: config.name,
    bucketUrl:
      endpoint === undefined
        ? `https://${bucket}.s3.${region}.amazonaws.com`
        : `${endpoint.replace(/\/+$/, '')}/${bucket}`,
    region,
    prefix,
    format,
    accessKeyId: () => id.read(),
    secretAccessKey: () => secret.read(),
    sessionToken: token === undefined ? undefined : () => token.read(),
    timeoutMs: config.timeout,
  })
}
