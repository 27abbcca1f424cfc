import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { newestQuery, sinksQuery, statusQuery } from '../../api/queries.ts'
import { Badge, StateBadge } from '../../parts/badge.tsx'
import { Facts, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Ago, countText } from '../../parts/time.tsx'

const witnessKinds = 'checkpoint.witnessed,checkpoint.unwitnessed'

/** Whether the log is whole, signed to its end, and seen by witnesses. */
export function LogState() {
  const status = useQuery(statusQuery)
  const { data: witnessed } = useQuery(newestQuery({ kind: witnessKinds, limit: '1' }))
  const [newest] = witnessed ?? []
  return (
    <Panel title="The log" tools={<Link to="/log">Keys and proofs</Link>}>
      <Shown of={status} lines={3}>
        {({ log }) => {
          const unsigned = log.size - (log.checkpoint?.size ?? 0)
          return (
            <Facts
              of={[
                [
                  'State',
                  log.healthy ? <Badge tone="good">writing</Badge> : <Badge tone="bad">not writing</Badge>,
                ],
                ['Entries', countText(log.size)],
                [
                  'Checkpoint',
                  log.checkpoint === undefined
                    ? 'none yet'
                    : unsigned === 0
                      ? 'covers every entry'
                      : `covers all but the last ${countText(unsigned)}`,
                ],
                [
                  'Witnesses',
                  newest === undefined ? (
                    <span className="soft">none has cosigned</span>
                  ) : (
                    <>
                      {newest.kind === 'checkpoint.witnessed' ? 'cosigned ' : 'too few cosign since '}
                      <Ago at={newest.time} />
                    </>
                  ),
                ],
              ]}
            />
          )
        }}
      </Shown>
    </Panel>
  )
}

/** How far each sink is behind. */
export function Shipping() {
  const sinks = useQuery(sinksQuery)
  return (
    <Panel title="Shipping" tools={<Link to="/sinks">Sinks</Link>}>
      <Shown of={sinks} lines={2}>
        {found =>
          found.length === 0 ? (
            <Empty title="No sink is configured" />
          ) : (
            <Facts
              of={found.map(({ name, state, lag }) => [
                name,
                <span key={name} className="line">
                  <StateBadge state={state} />
                  <span className="number soft">
                    {lag.entries === 0
                      ? 'up to date'
                      : `${countText(lag.entries)} behind, ${Math.round(lag.seconds)} s`}
                  </span>
                </span>,
              ])}
            />
          )
        }
      </Shown>
    </Panel>
  )
}
