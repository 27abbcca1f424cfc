/** What Datadog does with the events as logs: it parses them, keeps them, archives them, counts them. */
import type { DatadogSetupConfig } from '../../../config/datadog-setup.ts'
import { at, attributes, type EventAttribute, queries } from '../attributes.ts'
import { type Definition, type Json, ownMark, ownTag } from './definition.ts'
import { ocsfPipelines } from './ocsf.ts'

/** Metrics are named by it; nobody else's begin so. */
export const metricPrefix = 'sallyport.'
export const actionsMetric = `${metricPrefix}actions`

function step(type: string, name: string, of: Json): Json {
  return { type, name, is_enabled: true, ...of }
}

function pipeline(): Definition {
  return {
    kind: 'pipeline',
    id: 'sallyport',
    body: {
      name: 'Sallyport',
      description: ownMark,
      tags: [ownTag],
      is_enabled: true,
      filter: { query: queries.everything },
      processors: [
        step('date-remapper', 'Time of the event', { sources: ['timestamp'] }),
        step('status-remapper', 'Status', { sources: ['status'] }),
        step('message-remapper', 'Message', { sources: ['message'] }),
        step('user-agent-parser', 'What the client says it is', {
          sources: ['http.useragent'],
          target: 'http.useragent_details',
          is_encoded: false,
        }),
        step('geo-ip-parser', 'Where the client is', {
          sources: [attributes.clientAddress.path],
          target: 'network.client.geoip',
        }),
        ...ocsfPipelines(),
      ],
    },
  }
}

function index({ name, retention_days, flex_days, daily_limit }: DatadogSetupConfig['index']): Definition {
  return {
    kind: 'index',
    id: name,
    body: {
      name,
      filter: { query: queries.everything },
      num_retention_days: retention_days,
      ...(flex_days === undefined ? {} : { num_flex_logs_retention_days: flex_days }),
      ...(daily_limit === undefined ? {} : { daily_limit }),
      exclusion_filters: [],
      tags: [ownTag],
    },
  }
}

function destinationOf(archive: NonNullable<DatadogSetupConfig['archive']>): Json {
  switch (archive.type) {
    case 's3': {
      const { type, bucket, path, account_id, role_name } = archive
      return { type, bucket, path, integration: { account_id, role_name } }
    }
    case 'gcs': {
      const { type, bucket, path, project_id, client_email } = archive
      return { type, bucket, path, integration: { project_id, client_email } }
    }
    case 'azure': {
      const { type, container, path, storage_account, client_id, tenant_id } = archive
      return { type, container, path, storage_account, integration: { client_id, tenant_id } }
    }
  }
}

function archive(of: NonNullable<DatadogSetupConfig['archive']>): Definition {
  const attributes = {
    name: 'Sallyport',
    query: queries.everything,
    // Datadog leaves tags out unless told; ours say which events were late.
    include_tags: true,
    rehydration_tags: [ownTag],
    destination: destinationOf(of),
  }
  return { kind: 'archive', id: 'sallyport', body: { data: { type: 'archives', attributes } } }
}

function logMetric(id: string, query: string, groups: Readonly<Record<string, EventAttribute>>): Definition {
  return {
    kind: 'log-metric',
    id,
    body: {
      data: {
        type: 'logs_metrics',
        id,
        attributes: {
          compute: { aggregation_type: 'count' },
          filter: { query },
          group_by: Object.entries(groups).map(([tag_name, each]) => ({ path: at(each), tag_name })),
        },
      },
    },
  }
}

function logMetrics(): Definition[] {
  const { identity, connection, outcome, operation } = attributes
  return [
    logMetric(actionsMetric, queries.actions, { usr_id: identity, connection, outcome }),
    logMetric(`${metricPrefix}denied`, queries.denied, { connection, operation }),
    logMetric(`${metricPrefix}approvals`, queries.approvals, {
      connection,
      kind: attributes.kind,
    }),
    logMetric(`${metricPrefix}heartbeats`, queries.heartbeats, { log: attributes.log }),
  ]
}

export function logDefinitions(setup: DatadogSetupConfig): Definition[] {
  return [
    pipeline(),
    index(setup.index),
    ...(setup.archive === undefined ? [] : [archive(setup.archive)]),
    ...logMetrics(),
  ]
}
