import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { newestQuery } from '../../api/queries.ts'
import type { EntryView } from '../../api/views.ts'
import { EntryTable } from '../../parts/entry-table.tsx'
import { Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'

/** Kinds that somebody should look at, whatever the outcome of an action. */
const loud = [
  'action.denied',
  'action.outcome_unknown',
  'identity.refused',
  'approval.denied',
  'break_glass.used',
  'policy.rejected',
  'configuration.rejected',
  'export.dead_lettered',
  'export.held',
  'checkpoint.unwitnessed',
  'disk.crossed',
  'detection.surge_found',
  'detection.volume_found',
  'detection.first_use_found',
  'detection.sweep_found',
  'detection.off_hours_found',
  'detection.denial_streak_found',
  'detection.silence_found',
].join(',')

/** What was denied, refused, or is out of the usual. */
export function Attention({ range }: { readonly range: string }) {
  const found = useQuery({
    ...newestQuery({ kind: loud, since: range, limit: '10' }),
    refetchInterval: 10_000,
  })
  return (
    <Panel
      title="Worth a look"
      flush
      tools={
        <Link to="/search" search={{ since: range, kind: loud, show: 'everything' }}>
          All of them
        </Link>
      }
    >
      <Shown of={found}>
        {(entries: readonly EntryView[]) =>
          entries.length === 0 ? (
            <Empty title="Nothing out of the ordinary">
              Denials, refused credentials, broken glass, surges and first uses would be here.
            </Empty>
          ) : (
            <EntryTable entries={entries} label="Worth a look" />
          )
        }
      </Shown>
    </Panel>
  )
}
