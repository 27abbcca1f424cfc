import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { kindSets } from '../../api/kinds.ts'
import { statsQuery, statusQuery } from '../../api/queries.ts'
import { countText } from '../../parts/time.tsx'

interface Filter {
  readonly connection?: string
}

function Figure({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd className="number">{children}</dd>
    </div>
  )
}

/** The counts of the chosen time in one line, each leading to what it counts. */
export function Figures({ range, filter }: { readonly range: string; readonly filter: Filter }) {
  const query = { kind: kindSets.actions.kinds.join(','), from: range, by: 'outcome', ...filter } as const
  const { data: stats } = useQuery(statsQuery(query))
  const refusedQuery = { kind: 'identity.refused', from: range, by: 'kind' } as const
  const { data: refused } = useQuery(statsQuery(refusedQuery))
  const { data: status } = useQuery(statusQuery)
  const of = (key: string): number => stats?.series.find(each => each.key === key)?.total ?? 0
  const search = { since: range, ...filter }
  return (
    <dl className="figures panel">
      <Figure name="Actions">
        <Link to="/search" search={search}>
          {countText(stats?.totals.entries ?? 0)}
        </Link>
      </Figure>
      <Figure name="Denied">
        <Link to="/search" search={{ ...search, outcome: 'denied' }}>
          {countText(of('denied'))}
        </Link>
      </Figure>
      <Figure name="Failed">
        <Link to="/search" search={{ ...search, outcome: 'failure' }}>
          {countText(of('failure'))}
        </Link>
      </Figure>
      <Figure name="Sign-ins refused">
        <Link to="/search" search={{ since: range, kind: 'identity.refused', show: 'everything' }}>
          {countText(refused?.totals.entries ?? 0)}
        </Link>
      </Figure>
      <Figure name="Sessions running">
        <Link to="/sessions" search={{ running: 'true' }}>
          {countText(status?.sessions ?? 0)}
        </Link>
      </Figure>
      <Figure name="Approvals waiting">
        <Link to="/approvals">{countText(status?.approvals.pending ?? 0)}</Link>
      </Figure>
    </dl>
  )
}
