import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { kindSets } from '../../api/kinds.ts'
import { statsQuery } from '../../api/queries.ts'
import { Ranking } from '../../charts/ranking.tsx'
import { Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { visible } from '../../parts/visible.ts'

interface Filter {
  readonly connection?: string
}

const fields = [
  { by: 'identity', title: 'By identity' },
  { by: 'operation', title: 'By operation' },
  { by: 'connection', title: 'By connection' },
] as const

/** Who, what and where the most. */
export function Rankings({ range, filter }: { readonly range: string; readonly filter: Filter }) {
  return (
    <div className="columns">
      {fields.map(field => (
        <FieldRanking key={field.by} {...field} range={range} filter={filter} />
      ))}
    </div>
  )
}

function FieldRanking({
  by,
  title,
  range,
  filter,
}: (typeof fields)[number] & { readonly range: string; readonly filter: Filter }) {
  const query = { kind: kindSets.actions.kinds.join(','), from: range, by, top: '6', ...filter }
  const stats = useQuery(statsQuery(query))
  return (
    <Panel title={title}>
      <Shown of={stats} lines={4}>
        {({ series, other }) =>
          series.length === 0 ? (
            <Empty title="Nothing yet" />
          ) : (
            <>
              <Ranking
                label={title}
                values={series}
                link={key => (
                  <Link to="/search" search={{ since: range, ...filter, [by]: key }} className="mono">
                    {visible(key)}
                  </Link>
                )}
              />
              {other !== undefined && other.keys > 0 && (
                <p className="faint ranking-rest">
                  {other.keys} more with {other.total} together
                </p>
              )}
            </>
          )
        }
      </Shown>
    </Panel>
  )
}
