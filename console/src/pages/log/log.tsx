import { useQuery } from '@tanstack/react-query'
import { holdsQuery, logQuery } from '../../api/queries.ts'
import type { LogState } from '../../api/views.ts'
import { Badge, StateBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Code } from '../../parts/code.tsx'
import { Facts, Page, Panel } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Ago, countText, Time } from '../../parts/time.tsx'
import { copy } from '../../parts/toast.tsx'

/** What an auditor needs to trust nobody: how far the log is signed, by which keys, and who else has seen it. */
export function Log() {
  const log = useQuery(logQuery)
  return (
    <Page
      title="Log and keys"
      about="The log is a Merkle tree in the public C2SP formats. Take a checkpoint today, and any later change, deletion or fork before it can be proven on a machine of your own."
    >
      <Shown of={log} lines={8}>
        {state => (
          <>
            <div className="columns">
              <State state={state} />
              <Witnesses state={state} />
            </div>
            <Checkpoint state={state} />
            <Keys state={state} />
            <Holds />
          </>
        )}
      </Shown>
    </Page>
  )
}

function State({ state }: { readonly state: LogState }) {
  const { origin, healthy, size, first, indexed, disk, checkpoint } = state
  const unsigned = size - (checkpoint?.size ?? 0)
  return (
    <Panel title="State">
      <Facts
        of={[
          ['Log', <code key="origin">{origin}</code>],
          [
            'Writing',
            healthy ? <Badge tone="good">yes</Badge> : <Badge tone="bad">no: every action is refused</Badge>,
          ],
          ['Entries', countText(size)],
          ['Removed', first > 0 && `${countText(first)}, when their time of retention had ended`],
          ['Searchable', indexed === size ? 'all' : `all but the last ${countText(size - indexed)}`],
          ['Signed', unsigned === 0 ? 'all' : `all but the last ${countText(unsigned)}`],
          ['Disk', `${disk.free_percent} % free${disk.state === 'ok' ? '' : `, ${disk.state}`}`],
        ]}
      />
    </Panel>
  )
}

function Witnesses({ state: { witnesses } }: { readonly state: LogState }) {
  return (
    <Panel title="Witnesses">
      {witnesses === undefined ? (
        <Empty title="No witness is configured">
          A log that only its owner signs proves nothing against its owner. Name witnesses under{' '}
          <code>audit.witnesses</code>.
        </Empty>
      ) : (
        <div className="stack">
          <div className="line">
            <Badge tone={witnesses.overdue ? 'bad' : 'good'}>
              {witnesses.overdue ? 'too few cosign' : `quorum of ${witnesses.quorum}`}
            </Badge>
            {witnesses.quorum_at !== undefined && (
              <span className="soft">
                the first {countText(witnesses.quorum_size ?? 0)} entries, <Ago at={witnesses.quorum_at} />
              </span>
            )}
          </div>
          <Facts
            of={witnesses.witnesses.map(({ name, result, cosigned, detail }) => [
              name,
              <span key={name}>
                {result}
                {cosigned !== undefined && (
                  <>
                    {' '}
                    <Ago at={cosigned} />
                  </>
                )}
                {detail !== undefined && <span className="cell-sub">{detail}</span>}
              </span>,
            ])}
          />
        </div>
      )}
    </Panel>
  )
}

function Checkpoint({ state: { checkpoint } }: { readonly state: LogState }) {
  return (
    <Panel
      title="Newest checkpoint"
      tools={
        checkpoint !== undefined && (
          <Button icon="copy" onPress={() => void copy(checkpoint.note, 'Checkpoint')}>
            Copy
          </Button>
        )
      }
    >
      {checkpoint === undefined ? (
        <Empty title="None is signed yet" />
      ) : (
        <Code text={checkpoint.note} label="The signed note" />
      )}
    </Panel>
  )
}

function Keys({ state: { keys } }: { readonly state: LogState }) {
  return (
    <Panel title="Keys that sign the log, and those that did" flush>
      <table className="table" aria-label="Keys">
        <tbody>
          {keys.map(({ vkey, state }) => (
            <tr key={vkey}>
              <td>
                <StateBadge state={state} />
              </td>
              <td>
                <code className="wrap">{vkey}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  )
}

interface HoldView {
  readonly id: string
  readonly reason?: string
  readonly placed?: string
  readonly created?: string
  readonly state?: string
}

function Holds() {
  const holds = useQuery(holdsQuery)
  return (
    <Panel title="Legal holds" flush>
      <Shown of={holds} lines={2}>
        {data => {
          const found = (data as unknown as { readonly holds: readonly HoldView[] }).holds
          if (found.length === 0) return <Empty title="None">Retention and erasure go their way.</Empty>
          return (
            <table className="table" aria-label="Legal holds">
              <tbody>
                {found.map(({ id, reason, placed, created, state }) => {
                  const at = placed ?? created
                  return (
                    <tr key={id}>
                      <td>
                        <code>{id}</code>
                      </td>
                      <td>{state !== undefined && <StateBadge state={state} />}</td>
                      <td>{reason}</td>
                      <td>{at !== undefined && <Time at={at} />}</td>
                    </tr>
                  )
                })}
              </tbody>
            </table>
          )
        }}
      </Shown>
    </Panel>
  )
}
