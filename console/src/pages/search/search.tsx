import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import { entriesQuery, statsQuery } from '../../api/queries.ts'
import { TimeChart } from '../../charts/time-chart.tsx'
import { Button } from '../../parts/button.tsx'
import { EntryTable } from '../../parts/entry-table.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { countText } from '../../parts/time.tsx'
import { copy } from '../../parts/toast.tsx'
import { ExportMenu } from './export-menu.tsx'
import { Filters } from './filters.tsx'
import { queryOf, standardSince } from './query.ts'
import { SavedSearches } from './saved-searches.tsx'

const route = getRouteApi('/shell/search')

/** Who did what, when, and how it ended; the address holds the whole search. */
export function Search() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const query = useMemo(() => queryOf(search), [search])
  const found = useInfiniteQuery(entriesQuery(query))
  const set = (change: Readonly<Record<string, string | undefined>>): void =>
    void navigate({ search: before => ({ ...before, ...change }), replace: true })
  return (
    <Page
      title="Search"
      tools={
        <>
          <SavedSearches search={search} />
          <ExportMenu query={query} />
          <Button icon="copy" onPress={() => void copy(window.location.href, 'Address of this search')}>
            Copy address
          </Button>
        </>
      }
    >
      <div className="panel">
        <Filters search={search} onChange={set} />
      </div>
      <Distribution search={search} onChoose={set} />
      <Panel title="Entries" flush tools={<Found of={found.data?.pages[0]} />}>
        <Shown of={found}>
          {({ pages }) => {
            const entries = pages.flatMap(page => page.entries)
            if (entries.length === 0)
              return (
                <Empty title="Nothing matches">
                  Take a longer time, fewer words, or another kind of entry. Operations match exactly, or with
                  a star: <code>v1.*Monitor*</code>.
                </Empty>
              )
            return (
              <>
                <EntryTable entries={entries} label="Entries that match, newest first" />
                {found.hasNextPage && (
                  <div className="table-more">
                    <Button onPress={() => void found.fetchNextPage()} isDisabled={found.isFetchingNextPage}>
                      {found.isFetchingNextPage ? 'Loading' : 'Older entries'}
                    </Button>
                  </div>
                )}
              </>
            )
          }}
        </Shown>
      </Panel>
    </Page>
  )
}

function Found({ of }: { readonly of: { readonly indexed: string; readonly size: string } | undefined }) {
  if (of === undefined) return null
  const behind = Number(of.size) - Number(of.indexed)
  return (
    <span className="faint number">
      {countText(Number(of.size))} in the log
      {behind > 0 && `, the last ${countText(behind)} not searchable yet`}
    </span>
  )
}

/** When the matches were; a bar narrows the search to its time. */
function Distribution({
  search,
  onChoose,
}: {
  readonly search: ReturnType<typeof route.useSearch>
  readonly onChoose: (change: Readonly<Record<string, string>>) => void
}) {
  const { since, until, ...filter } = queryOf(search)
  const query = {
    ...filter,
    from: since ?? standardSince,
    ...(until === undefined ? {} : { to: until }),
    by: 'outcome' as const,
  }
  const stats = useQuery(statsQuery(query))
  if (stats.data === undefined || stats.data.totals.entries === 0) return null
  return (
    <Panel
      title={`${countText(stats.data.totals.entries)}${stats.data.totals.newest_only === undefined ? '' : ' or more'} in this time`}
    >
      <TimeChart
        stats={stats.data}
        label="Matches over time by outcome"
        height={104}
        onChoose={(from, to) =>
          onChoose({ since: new Date(from).toISOString(), until: new Date(to).toISOString() })
        }
      />
    </Panel>
  )
}
