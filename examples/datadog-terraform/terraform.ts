/**
 * What `sallyport datadog install` makes, as Terraform in its JSON syntax, from the same definitions. Where the provider
 * takes a resource as JSON (dashboard, monitor, rule) it is the body that install sends; the others are written in the
 * provider's own schema, and `bodyOf` reads them back so that a test can compare.
 */
import type { Definition, Json } from '../../src/export/datadog/setup/definition.ts'

export interface TerraformFile {
  readonly terraform: Json
  readonly provider: Json
  readonly resource: Readonly<Record<string, Readonly<Record<string, Json>>>>
}

const nameOf = (id: string) => id.replaceAll(/[^a-z0-9]+/gi, '_')

export function terraformOf(definitions: readonly Definition[]): TerraformFile {
  const resource: Record<string, Record<string, Json>> = {}
  for (const definition of definitions) {
    const { type, body } = resourceOf(definition)
    resource[type] = { ...resource[type], [nameOf(definition.id)]: body }
  }
  const index = definitions.find(({ kind }) => kind === 'index')
  if (index !== undefined) {
    // Ours first; name the others of the organisation after it.
    const order = [`\${datadog_logs_index.${nameOf(index.id)}.id}`, 'main']
    resource['datadog_logs_index_order'] = { order: { indexes: order } }
  }
  return {
    terraform: { required_providers: { datadog: { source: 'DataDog/datadog', version: '>= 3.80' } } },
    provider: { datadog: {} },
    resource,
  }
}

/** Terraform would take `${` and `%{` in a text as its own. */
function literal(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${').replaceAll('%{', '%%{')
  if (Array.isArray(value)) return value.map(literal)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, literal(each)]))
}

function unliteral(text: string): string {
  return text.replaceAll('$${', '${').replaceAll('%%{', '%{')
}

function resourceOf({ kind, body }: Definition): { readonly type: string; readonly body: Json } {
  const json = () => literal(JSON.stringify(body))
  switch (kind) {
    case 'dashboard':
      return {
        type: 'datadog_dashboard_json',
        // Said, since the provider takes what the API answers for a change where it was left out.
        body: { dashboard: literal(JSON.stringify({ ...body, notify_list: [] })) },
      }
    case 'monitor':
      return { type: 'datadog_monitor_json', body: { monitor: json() } }
    case 'security-rule':
      return { type: 'datadog_security_monitoring_rule_json', body: { json: json() } }
    case 'log-metric': {
      const { id, attributes } = body['data'] as { id: string; attributes: Json }
      return { type: 'datadog_logs_metric', body: literal({ name: id, ...attributes }) as Json }
    }
    case 'index':
      return { type: 'datadog_logs_index', body: literal(indexOf(body)) as Json }
    case 'archive':
      return { type: 'datadog_logs_archive', body: literal(archiveOf(body)) as Json }
    case 'pipeline':
      return { type: 'datadog_logs_custom_pipeline', body: literal(pipelineOf(body)) as Json }
  }
}

function indexOf({
  num_retention_days,
  num_flex_logs_retention_days,
  exclusion_filters,
  ...rest
}: Json): Json {
  return {
    ...rest,
    retention_days: num_retention_days,
    ...(num_flex_logs_retention_days === undefined
      ? {}
      : { flex_retention_days: num_flex_logs_retention_days }),
    ...((exclusion_filters as unknown[]).length === 0 ? {} : { exclusion_filter: exclusion_filters }),
  }
}

function archiveOf(body: Json): Json {
  const { attributes } = body['data'] as { attributes: Json }
  const { destination, ...rest } = attributes
  const { type, integration, ...place } = destination as Json & { type: string; integration: Json }
  return { ...rest, [`${type}_archive`]: { ...place, ...integration } }
}

const blocks: Readonly<Record<string, string>> = {
  'date-remapper': 'date_remapper',
  'status-remapper': 'status_remapper',
  'message-remapper': 'message_remapper',
  'user-agent-parser': 'user_agent_parser',
  'geo-ip-parser': 'geo_ip_parser',
  'schema-processor': 'schema_processor',
  pipeline: 'pipeline',
}

function pipelineOf({ processors, ...rest }: Json): Json {
  return { ...rest, processor: (processors as Json[]).map(processorOf) }
}

function processorOf({ type, ...rest }: Json): Json {
  const block = blocks[String(type)]
  if (block === undefined) throw new TypeError(`no block for ${String(type)}`)
  if (type === 'pipeline') return { [block]: pipelineOf(rest) }
  if (type !== 'schema-processor') return { [block]: rest }
  return { [block]: { ...rest, mappers: mappersOf(rest['mappers'] as Json[]) } }
}

const mapperBlocks = ['schema_remapper', 'schema_category_mapper'] as const

/** The provider takes one block of mappers with a list of each kind, and drops all further blocks without a word. */
function mappersOf(mappers: readonly Json[]): Json[] {
  const ofKind = (block: string) =>
    mappers.flatMap(({ type, ...rest }) => (blockOf(type) === block ? [rest] : []))
  const lists = mapperBlocks.map(block => [block, ofKind(block)] as const)
  return [Object.fromEntries(lists.filter(([, list]) => list.length > 0))]
}

function blockOf(type: unknown): string {
  return String(type).replaceAll('-', '_')
}

/** The body that install sends, of a resource of this file. */
export function bodyOf(type: string, resource: Json): Json {
  const whole = () => {
    const { dashboard, monitor, json } = resource
    return JSON.parse(unliteral(String(dashboard ?? monitor ?? json))) as Json
  }
  const plain = JSON.parse(unliteral(JSON.stringify(resource))) as Json
  switch (type) {
    case 'datadog_dashboard_json': {
      const { notify_list: _, ...rest } = whole()
      return rest
    }
    case 'datadog_logs_metric': {
      const { name, ...attributes } = plain
      return { data: { type: 'logs_metrics', id: name, attributes } }
    }
    case 'datadog_logs_index': {
      const { retention_days, flex_retention_days, exclusion_filter = [], ...rest } = plain
      return {
        ...rest,
        num_retention_days: retention_days,
        ...(flex_retention_days === undefined ? {} : { num_flex_logs_retention_days: flex_retention_days }),
        exclusion_filters: exclusion_filter,
      }
    }
    case 'datadog_logs_archive': {
      const { s3_archive, ...attributes } = plain
      const { account_id, role_name, ...place } = s3_archive as Json
      const destination = { type: 's3', ...place, integration: { account_id, role_name } }
      return { data: { type: 'archives', attributes: { ...attributes, destination } } }
    }
    case 'datadog_logs_custom_pipeline':
      return pipelineBody(plain)
    default:
      return whole()
  }
}

function pipelineBody({ processor, ...rest }: Json): Json {
  const back = (each: Json): Json => {
    const [[block, body]] = Object.entries(each) as [[string, Json]]
    const type = Object.keys(blocks).find(key => blocks[key] === block)!
    if (block === 'pipeline') return { type, ...pipelineBody(body) }
    if (block !== 'schema_processor') return { type, ...body }
    const [lists] = body['mappers'] as [Readonly<Record<string, Json[]>>]
    const mappers = Object.entries(lists).flatMap(([name, list]) =>
      list.map(mapper => ({ type: name.replaceAll('_', '-'), ...mapper })),
    )
    return { type, ...body, mappers }
  }
  return { ...rest, processors: (processor as Json[]).map(back) }
}
