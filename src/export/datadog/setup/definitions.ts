/** All that `sallyport datadog install` makes, and what stays for a person to do. */
import { attributes, at, type EventAttribute, queries } from '../attributes.ts'
import { dashboardDefinition } from './dashboard.ts'
import type { Definition, LeftOut, SetupOptions } from './definition.ts'
import { logDefinitions } from './logs.ts'
import { monitorDefinitions } from './monitors.ts'
import { ruleDefinitions } from './rules.ts'

export interface Definitions {
  /** In the order in which they are made. */
  readonly definitions: readonly Definition[]
  readonly leftOut: readonly LeftOut[]
}

export function definitionsOf(options: SetupOptions): Definitions {
  const monitors = monitorDefinitions(options)
  const { archive } = options.setup
  return {
    definitions: [
      ...logDefinitions(options.setup),
      dashboardDefinition(),
      ...monitors.definitions,
      ...ruleDefinitions(),
    ],
    leftOut: [
      ...(archive === undefined ? [{ what: 'archive', why: 'setup.archive says no bucket' }] : []),
      ...monitors.leftOut,
    ],
  }
}

/** Facets and measures to make by hand under Logs > Facets: no operation of the API makes them. */
export function facetsByHand(): readonly EventAttribute[] {
  return (Object.values(attributes) as EventAttribute[]).filter(each => each.builtIn !== true)
}

/** Views to save by hand in the log explorer: no operation of the API saves them. */
export const savedViews: readonly {
  readonly name: string
  readonly query: string
  readonly columns: string
}[] = [
  { name: 'Sallyport: what agents did', query: queries.actions },
  { name: 'Sallyport: denied', query: queries.denied },
  { name: 'Sallyport: approvals', query: queries.approvals },
  { name: 'Sallyport: on what is sensitive', query: queries.sensitive },
  { name: 'Sallyport: administration', query: queries.administration },
].map(view => ({
  ...view,
  columns: [attributes.identity, attributes.connection, attributes.operation, attributes.outcome]
    .map(at)
    .join(', '),
}))
