import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { kindSets } from '../../api/kinds.ts'
import { connectionsQuery, statsQuery } from '../../api/queries.ts'
import type { StatsQuery } from '../../api/views.ts'
import { TimeChart } from '../../charts/time-chart.tsx'
import { SelectField } from '../../parts/field.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Segments } from '../../parts/segments.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Attention } from './attention.tsx'
import { Figures } from './figures.tsx'
import { Rankings } from './rankings.tsx'
import { LogState, Shipping } from './health.tsx'

const ranges = ['15m', '1h', '24h', '7d', '30d'].map(value => ({ value, label: value }))
const fields = [
  { value: 'outcome', label: 'outcome' },
  { value: 'connection', label: 'connection' },
  { value: 'identity', label: 'identity' },
  { value: 'operation', label: 'operation' },
  { value: 'approval', label: 'approval' },
]
const actionKinds = kindSets.actions.kinds.join(',')
const route = getRouteApi('/shell/')

/** What is going on: how much, by whom, where, how it ended, and what somebody should look at. */
export function Overview() {
  const { range = '24h', by = 'outcome', connection } = route.useSearch()
  const navigate = route.useNavigate()
  const { data: connections } = useQuery(connectionsQuery)
  const filter = connection === undefined ? {} : { connection }
  const query = { kind: actionKinds, from: range, by: by as NonNullable<StatsQuery['by']>, ...filter }
  const stats = useQuery({ ...statsQuery(query), refetchInterval: 10_000 })
  const set = (change: Readonly<Record<string, string | undefined>>): void =>
    void navigate({ search: before => ({ ...before, ...change }), replace: true })
  return (
    <Page
      title="Overview"
      tools={
        <Segments label="Time" value={range} choices={ranges} onChange={value => set({ range: value })} />
      }
    >
      <Figures range={range} filter={filter} />
      <Panel
        title="Actions over time"
        tools={
          <div className="line">
            <SelectField
              label="Connection"
              value={connection ?? ''}
              choices={[
                { value: '', label: 'all connections' },
                ...(connections ?? []).map(({ name }) => ({ value: name, label: name })),
              ]}
              onChange={value => set({ connection: value })}
            />
            <SelectField label="By" value={by} choices={fields} onChange={value => set({ by: value })} />
          </div>
        }
      >
        <Shown of={stats}>
          {data =>
            data.totals.entries === 0 ? (
              <Empty title="No action in this time">
                Actions appear here once an agent uses a connection.{' '}
                <Link to="/connections">The addresses</Link>
              </Empty>
            ) : (
              <TimeChart
                stats={data}
                label={`Actions over time by ${by}`}
                onChoose={(from, to) =>
                  void navigate({
                    to: '/search',
                    search: {
                      since: new Date(from).toISOString(),
                      until: new Date(to).toISOString(),
                      connection,
                    },
                  })
                }
              />
            )
          }
        </Shown>
      </Panel>
      <Rankings range={range} filter={filter} />
      <div className="columns columns-wide">
        <Attention range={range} />
        <div className="stack">
          <LogState />
          <Shipping />
        </div>
      </div>
    </Page>
  )
}
