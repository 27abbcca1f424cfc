/**
 * The events in the Open Cybersecurity Schema Framework (OCSF 1.5.0), which Cloud SIEM reads from `ocsf.*`: one nested
 * pipeline per class, since the schema processor maps one class. Which classes Datadog takes was not tried there.
 */
import { attributes, is, not, type EventAttribute } from '../attributes.ts'
import type { Json } from './definition.ts'

interface OcsfClass {
  readonly uid: number
  readonly name: string
  /** Which events are of it. */
  readonly query: string
  /** Activities by what tells them; in order, the first that holds counts. */
  readonly activities: readonly (readonly [id: number, name: string, query: string])[]
  /** More targets, each from the attributes that may hold it. */
  readonly targets: Readonly<Record<string, readonly string[]>>
}

const { category, kind, outcome, risk, sensitivity, identity } = attributes
const access = is(category, 'access')
const databases = '@sallyport.connection.type:postgres'
const byRisk = [
  [2, 'Read', is(risk, 'read')],
  [4, 'Delete', is(risk, 'delete')],
  [3, 'Update', is(risk, 'write', 'admin')],
] as const

const classes: readonly OcsfClass[] = [
  {
    uid: 6003,
    name: 'API Activity',
    query: `${access} ${not(databases)}`,
    activities: byRisk,
    targets: {
      'ocsf.api.operation': [attributes.operation.path],
      'ocsf.api.service.name': [attributes.connection.path],
    },
  },
  {
    uid: 6005,
    name: 'Datastore Activity',
    query: `${access} ${databases}`,
    activities: [
      [1, 'Read', is(risk, 'read')],
      [4, 'Delete', is(risk, 'delete')],
      [2, 'Update', is(risk, 'write', 'admin')],
    ],
    targets: { 'ocsf.database.name': [attributes.connection.path] },
  },
  {
    uid: 3002,
    name: 'Authentication',
    query: is(category, 'authentication', 'session'),
    activities: [
      [2, 'Logoff', is(kind, 'session.ended', 'identity.signed_out')],
      [1, 'Logon', existing(identity)],
    ],
    targets: { 'ocsf.service.name': [attributes.connection.path] },
  },
  {
    uid: 3005,
    name: 'User Access Management',
    query: is(category, 'approval'),
    activities: [
      [1, 'Assign Privileges', is(kind, 'approval.granted', 'grant.created', 'break_glass.used')],
      [2, 'Revoke Privileges', is(kind, 'approval.denied', 'grant.revoked', 'break_glass.ended')],
    ],
    targets: { 'ocsf.resource.name': [attributes.operation.path] },
  },
]

/** Of every class. */
const shared: Readonly<Record<string, readonly string[]>> = {
  'ocsf.time': ['sallyport.event.time_ms'],
  'ocsf.message': ['message'],
  'ocsf.actor.user.uid': [identity.path],
  'ocsf.actor.user.email_addr': ['usr.email'],
  'ocsf.actor.user.name': ['usr.name'],
  'ocsf.src_endpoint.ip': [attributes.clientAddress.path],
  'ocsf.metadata.uid': [attributes.eventId.path],
  'ocsf.metadata.product.name': ['service'],
}

function existing(attribute: EventAttribute): string {
  return `@${attribute.path}:*`
}

type Category = readonly [id: number, name: string, query: string]

function categories(
  name: string,
  of: readonly Category[],
  fallback?: { readonly id: number; readonly name: string },
): Json {
  return {
    type: 'schema-category-mapper',
    name,
    targets: { id: `ocsf.${name}_id`, name: name === 'activity' ? 'ocsf.activity_name' : `ocsf.${name}` },
    categories: of.map(([id, label, query]) => ({ filter: { query }, id, name: label })),
    ...(fallback === undefined
      ? {}
      : {
          fallback: {
            sources: {},
            values: {
              [`ocsf.${name}_id`]: String(fallback.id),
              [name === 'activity' ? 'ocsf.activity_name' : `ocsf.${name}`]: fallback.name,
            },
          },
        }),
  }
}

function remapper(target: string, sources: readonly string[]): Json {
  return { type: 'schema-remapper', name: target, sources, target, preserve_source: true }
}

function pipelineOf({ uid, name, query, activities, targets }: OcsfClass): Json {
  return {
    type: 'pipeline',
    name: `OCSF ${uid} ${name}`,
    is_enabled: true,
    filter: { query },
    processors: [
      {
        type: 'schema-processor',
        name: `OCSF ${uid}`,
        is_enabled: true,
        schema: {
          schema_type: 'ocsf',
          version: '1.5.0',
          class_uid: uid,
          class_name: name,
          profiles: ['datetime'],
        },
        // In this order, which is the one that Terraform's provider keeps to; mappers have targets of their own.
        mappers: [
          ...Object.entries({ ...shared, ...targets }).map(([target, sources]) => remapper(target, sources)),
          categories('activity', activities, { id: 99, name: 'Other' }),
          categories('status', [
            [1, 'Success', is(outcome, 'success')],
            [2, 'Failure', is(outcome, 'failure', 'denied', 'expired')],
            [0, 'Unknown', existing(outcome)],
          ]),
          categories('severity', [
            [3, 'Medium', is(sensitivity, 'high', 'critical')],
            [1, 'Informational', existing(outcome)],
          ]),
        ],
      },
    ],
  }
}

export function ocsfPipelines(): Json[] {
  return classes.map(pipelineOf)
}
