import { useInfiniteQuery } from '@tanstack/react-query'
import { detectionsQuery } from '../../api/queries.ts'
import { Button } from '../../parts/button.tsx'
import { EntryTable } from '../../parts/entry-table.tsx'
import { Page, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Restrictions } from './restrictions.tsx'

/** What was out of the usual, and who is held back because of it. */
export function Detections() {
  const found = useInfiniteQuery({ ...detectionsQuery, refetchInterval: 10_000 })
  return (
    <Page
      title="Detections"
      about="What identities did that they do not usually do: surges, volume, first uses, off-hours, refusals in a row, silences. Each is an entry of the log, noticed while it happened."
    >
      <Restrictions />
      <Panel title="Noticed" flush>
        <Shown of={found}>
          {({ pages }) => {
            const entries = pages.flatMap(page => page.entries)
            if (entries.length === 0)
              return (
                <Empty title="Nothing out of the ordinary">
                  What is watched, and what is done about it, is configured under <code>detection</code>.
                </Empty>
              )
            return (
              <>
                <EntryTable entries={entries} label="What was noticed, newest first" />
                {found.hasNextPage && (
                  <div className="table-more">
                    <Button onPress={() => void found.fetchNextPage()} isDisabled={found.isFetchingNextPage}>
                      Older ones
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
