import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { approvalsQuery } from '../../api/queries.ts'
import { useStream } from '../../api/use-stream.ts'
import type { ApprovalView } from '../../api/views.ts'
import { RiskBadge, StateBadge } from '../../parts/badge.tsx'
import { Page } from '../../parts/page.tsx'
import { Segments } from '../../parts/segments.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Subject } from '../../parts/subject.tsx'
import { Ago } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'

const shows = [
  { value: 'open', label: 'Open' },
  { value: 'all', label: 'All' },
]

/** What waits for a person: the queue, as it changes. */
export function Approvals() {
  const [show, setShow] = useState('open')
  const approvals = useQuery(approvalsQuery(show === 'all'))
  const state = useApprovalStream()
  return (
    <Page
      title="Approvals"
      tools={
        <>
          <span className="line soft" role="status">
            <span className="pulse" data-on={state === 'open'} />
            {state === 'open' ? 'live' : 'connecting'}
          </span>
          <Segments label="Show" value={show} choices={shows} onChange={setShow} />
        </>
      }
    >
      <Shown of={approvals}>
        {found =>
          found.length === 0 ? (
            <div className="panel">
              <Empty title={show === 'open' ? 'Nothing waits for anybody' : 'Nothing was ever asked'}>
                When a rule asks for a person, the action waits here with what it will change. It appears by
                itself.
              </Empty>
            </div>
          ) : (
            <ul className="queue" aria-label="Approvals">
              {found.map(each => (
                <QueueItem key={each.id} approval={each} />
              ))}
            </ul>
          )
        }
      </Shown>
    </Page>
  )
}

/** Takes each change into what the pages have, instead of asking again. */
export function useApprovalStream() {
  const client = useQueryClient()
  return useStream('/api/v1/approvals/stream', {
    approvals: () => void client.invalidateQueries({ queryKey: ['approvals'] }),
    approval: data => {
      const approval = data as ApprovalView
      client.setQueryData(['approval', approval.id], approval)
      void client.invalidateQueries({ queryKey: ['approvals'] })
      void client.invalidateQueries({ queryKey: ['status'] })
    },
  })
}

function QueueItem({ approval }: { readonly approval: ApprovalView }) {
  const { id, state, requester, connection, operation, risk, resource, expires, may_vote: mayVote } = approval
  const { preview } = approval
  const changes = preview === undefined || preview.kind === 'run' ? undefined : preview.changes.length
  const expected = preview?.foreseen?.[0]?.text.split('\n')[0]
  return (
    <li className="panel queue-item">
      <div className="queue-what">
        <Link to="/approvals/$id" params={{ id }} data-item className="mono queue-link">
          {visible(operation)}
        </Link>
        <span className="cell-sub clip">{visible(resource)}</span>
      </div>
      <div className="line">
        <RiskBadge risk={risk} />
        <StateBadge state={state} />
        {mayVote && <span className="faint">you may decide</span>}
      </div>
      <div className="queue-who">
        <Subject subject={requester} />
        <span className="cell-sub">
          on {connection}
          {changes !== undefined && `, ${changes} ${changes === 1 ? 'change' : 'changes'}`}
          {expected !== undefined && `, ${visible(expected)}`}
        </span>
      </div>
      <div className="queue-when soft">
        {state === 'pending' ? (
          <>
            ends <Ago at={expires} />
          </>
        ) : (
          <Ago at={approval.created} />
        )}
      </div>
    </li>
  )
}
