/** The monitors. Each counts in a way that an event which arrives twice, as it may, does not change. */
import type { DatadogSetupConfig } from '../../../config/datadog-setup.ts'
import { at, attributes, type EventAttribute, queries } from '../attributes.ts'
import {
  type Definition,
  idTag,
  type Json,
  type LeftOut,
  ownMark,
  ownTag,
  type SetupOptions,
} from './definition.ts'
import { actionsMetric } from './logs.ts'

interface MonitorParts {
  readonly id: string
  readonly title: string
  readonly type: 'log alert' | 'query alert' | 'audit alert'
  readonly query: string
  readonly says: string
  readonly grave?: boolean
  readonly critical: number
  readonly options?: Json
}

function monitor({ notify, page }: DatadogSetupConfig, parts: MonitorParts): Definition {
  const { id, title, type, query, says, critical, grave = false } = parts
  const handles = [notify, grave ? page : ''].filter(each => each !== '')
  return {
    kind: 'monitor',
    id,
    body: {
      name: `[Sallyport] ${title}`,
      type,
      query,
      message: [says, ...handles, '', ownMark].join('\n').trim(),
      tags: [ownTag, idTag(id)],
      priority: grave ? 1 : 3,
      options: {
        thresholds: { critical },
        include_tags: true,
        notify_audit: false,
        on_missing_data: 'resolve',
        ...(type === 'query alert'
          ? {}
          : { enable_logs_sample: type === 'log alert', groupby_simple_monitor: false }),
        ...parts.options,
      },
    },
  }
}

interface LogCount {
  readonly query: string
  /** `count` or the attribute whose distinct values count. */
  readonly distinct?: EventAttribute
  readonly by: readonly EventAttribute[]
  readonly last: string
  readonly when: string
}

/** `logs("...").index("*").rollup("cardinality", "@sallyport.event.id").by("@usr.id").last("5m") > 300` */
function logQuery({ query, distinct, by, last, when }: LogCount): string {
  const rollup = distinct === undefined ? '"count"' : `"cardinality", "${at(distinct)}"`
  const groups = by.length === 0 ? '' : `.by("${by.map(at).join(',')}")`
  return `logs("${query}").index("*").rollup(${rollup})${groups}.last("${last}") ${when}`
}

const { identity, connection, operation, eventId, log, sequence } = attributes
/** As a message names the group that it is about. */
const named = (attribute: EventAttribute) => `{{[${at(attribute)}].name}}`

function aboutAccess(setup: DatadogSetupConfig): Definition[] {
  const make = (parts: MonitorParts) => monitor(setup, parts)
  return [
    make({
      id: 'sensitive-connection',
      title: 'An agent reached a sensitive connection',
      type: 'log alert',
      query: logQuery({ query: queries.sensitive, by: [identity, connection], last: '5m', when: '> 0' }),
      critical: 0,
      says: `${named(identity)} worked on ${named(connection)}, which is marked as sensitive.`,
    }),
    make({
      id: 'no-approval',
      title: 'An action ran without its expected approval',
      type: 'log alert',
      query: logQuery({ query: queries.withoutApproval, by: [identity, operation], last: '5m', when: '> 0' }),
      critical: 0,
      grave: true,
      says:
        `${named(identity)} ran ${named(operation)}, for which policy wants a person, and no person had said yes. ` +
        'The gateway does not let this happen: look at who changed the gateway.',
    }),
    make({
      id: 'spike',
      title: 'A spike in the actions of one identity',
      type: 'log alert',
      query: logQuery({
        query: queries.actions,
        distinct: eventId,
        by: [identity],
        last: '5m',
        when: `> ${setup.spike}`,
      }),
      critical: setup.spike,
      says: `${named(identity)} did more than ${setup.spike} actions in five minutes.`,
    }),
    make({
      id: 'unusual-rate',
      title: 'An unusual number of actions of one identity',
      type: 'query alert',
      query:
        `avg(last_4h):anomalies(sum:${actionsMetric}{*} by {usr_id}.as_count(), 'agile', 3, direction='above', ` +
        `interval=60, alert_window='last_15m', seasonality='hourly', timezone='utc', count_default_zero='true') >= 1`,
      critical: 1,
      options: {
        thresholds: { critical: 1, critical_recovery: 0 },
        threshold_windows: { trigger_window: 'last_15m', recovery_window: 'last_15m' },
      },
      says: '{{usr_id.name}} does more than it usually does at this hour.',
    }),
    make({
      id: 'denials',
      title: 'Denials in a row',
      type: 'log alert',
      query: logQuery({
        query: queries.denied,
        distinct: eventId,
        by: [identity],
        last: '5m',
        when: `>= ${setup.denials}`,
      }),
      critical: setup.denials,
      says: `${named(identity)} was denied ${setup.denials} times or more in five minutes: an agent that is lost, or tries what it may.`,
    }),
  ]
}

/** Highest number less lowest number plus one, less how many there are: what is missing between them. */
function gapQuery(): Json {
  const group_by = [{ facet: at(log), limit: 100, sort: { aggregation: 'count', order: 'desc' } }]
  const counted = (name: string, compute: Json): Json => ({
    data_source: 'logs',
    name,
    indexes: ['*'],
    search: { query: queries.inOrder },
    compute,
    group_by,
  })
  return {
    variables: [
      counted('last', { aggregation: 'max', metric: at(sequence) }),
      counted('first', { aggregation: 'min', metric: at(sequence) }),
      counted('here', { aggregation: 'count' }),
    ],
  }
}

function aboutShipping(setup: DatadogSetupConfig): Definition[] {
  const make = (parts: MonitorParts) => monitor(setup, parts)
  return [
    make({
      id: 'heartbeat-missing',
      title: 'No heartbeat',
      type: 'log alert',
      query: logQuery({ query: queries.heartbeats, by: [log], last: '5m', when: '< 1' }),
      critical: 1,
      grave: true,
      // What is missing counts as none, which is what this asks about.
      options: { on_missing_data: 'default', group_retention_duration: '3d' },
      says: `${named(log)} has sent nothing for five minutes: the gateway is down, or it can't ship.`,
    }),
    make({
      id: 'shipping-behind',
      title: 'Shipping is behind',
      type: 'log alert',
      query: logQuery({ query: queries.delayed, by: [log], last: '4h', when: '> 0' }),
      critical: 0,
      grave: true,
      says:
        `Entries of ${named(log)} arrive more than ten minutes late. What is 18 hours late would be lost here; ` +
        'look at `sallyport export status`.',
    }),
    make({
      id: 'diverged',
      title: 'A sink does not hold what the log holds',
      type: 'log alert',
      query: logQuery({ query: queries.diverged, distinct: eventId, by: [log], last: '15m', when: '> 0' }),
      critical: 0,
      grave: true,
      says:
        `What a sink of ${named(log)} holds was read back, and entries are missing, altered or not ours. ` +
        'The entry says which; run `sallyport export reconcile` again, and `sallyport verify`.',
    }),
    make({
      id: 'sequence-gap',
      title: 'A gap in the sequence',
      type: 'log alert',
      query: 'formula("last - first + 1 - here").last("15m") > 0',
      critical: 0,
      grave: true,
      options: gapQuery(),
      says:
        `Numbers of ${named(log)} are missing here. An entry that is under way closes the gap by itself within ` +
        'minutes; one that stays was dropped or deleted: run `sallyport export reconcile` and `sallyport verify`.',
    }),
  ]
}

function aboutKeys(setup: DatadogSetupConfig): Definition[] {
  return setup.watched_keys.map(({ key_id, addresses }) =>
    monitor(setup, {
      id: `key-elsewhere-${key_id}`,
      title: "The gateway's key was used from elsewhere",
      type: 'audit alert',
      query: `audits("@metadata.api_key.id:${key_id} ${addresses
        .map(each => `-@network.client.ip:${each.includes(':') ? `\\"${each}\\"` : each}`)
        .join(' ')}").rollup("count").last("5m") > 0`,
      critical: 0,
      grave: true,
      says:
        "Datadog's own audit trail saw the key that only the gateway has, from an address that is not the gateway's. " +
        'Somebody goes around it: rotate the key.',
    }),
  )
}

export function monitorDefinitions({ setup, ships }: SetupOptions): {
  readonly definitions: readonly Definition[]
  readonly leftOut: readonly LeftOut[]
} {
  const leftOut: LeftOut[] = []
  const heartbeats = ships('heartbeat')
  const complete = ships('audit.read') && ships('session.started') && heartbeats
  if (!heartbeats)
    leftOut.push({ what: 'monitor heartbeat-missing', why: 'the filter of the sink keeps heartbeats back' })
  const compares = ships('export.diverged')
  if (!compares)
    leftOut.push({ what: 'monitor diverged', why: 'the filter of the sink keeps comparisons back' })
  if (!complete)
    leftOut.push({
      what: 'monitor sequence-gap',
      why: 'the sink has a filter, so that numbers are missing anyway',
    })
  if (setup.watched_keys.length === 0)
    leftOut.push({ what: 'monitor key-elsewhere', why: 'setup.watched_keys names no key' })
  const without = new Set([
    ...(heartbeats ? [] : ['heartbeat-missing']),
    ...(compares ? [] : ['diverged']),
    ...(complete ? [] : ['sequence-gap']),
  ])
  const definitions = [...aboutAccess(setup), ...aboutShipping(setup), ...aboutKeys(setup)]
  return { definitions: definitions.filter(({ id }) => !without.has(id)), leftOut }
}
