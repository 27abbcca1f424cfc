import { z } from 'zod'
import { complianceRows } from '../../retention/compliance.ts'
import { route } from '../route.ts'
import type { Services } from '../services.ts'

/** A sink further behind than this, in seconds, is not a prompt copy. */
const promptSeconds = 60

const rowShape = z.object({
  framework: z.string(),
  control: z.string(),
  asks: z.string(),
  state: z.enum(['met', 'partly', 'not-met', 'unknown']),
  because: z.string(),
  shown_by: z.string().describe('The command that shows it'),
})

function rowsOf(services: Services): z.infer<typeof rowShape>[] {
  const { config, audit, storage, disk, connections, gateway } = services
  const lagging = services.export
    .status()
    .filter(each => each.state === 'holding' || each.lag.seconds > promptSeconds)
    .map(each => each.name)
  const rows = complianceRows({
    config,
    logHealthy: audit.healthy,
    unsigned: storage.log.size - (services.checkpoint()?.size ?? 0),
    disk: disk.state,
    lagging,
    connections: connections.list().length,
    askingRules: gateway.rules.rules.filter(rule => rule.effect === 'require_approval').length,
  })
  return rows.map(({ shownBy, ...row }) => ({ ...row, shown_by: shownBy }))
}

export const complianceRoutes = [
  route({
    method: 'GET',
    path: '/compliance',
    id: 'compliance.get',
    summary: 'What is on, requirement by requirement, with the command that shows each. Not an audit',
    permission: 'auditor',
    audit: { none: 'shows configuration and counts' },
    responses: {
      200: {
        description: 'The report',
        schema: z.object({
          at: z.string(),
          version: z.string(),
          log: z.string(),
          rows: z.array(rowShape),
        }),
      },
    },
    handler: ({ services }) => ({
      at: new Date().toISOString(),
      version: services.version,
      log: services.audit.origin,
      rows: rowsOf(services),
    }),
  }),
]
