import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { approvalQuery } from '../../api/queries.ts'
import type { ApprovalView } from '../../api/views.ts'
import { Badge, RiskBadge, StateBadge } from '../../parts/badge.tsx'
import { JsonCode } from '../../parts/code.tsx'
import { Facts, Page, Panel } from '../../parts/page.tsx'
import { Shown } from '../../parts/states.tsx'
import { nameOf, Subject } from '../../parts/subject.tsx'
import { Ago, Time } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'
import { useApprovalStream } from './approvals.tsx'
import { Changes } from './changes.tsx'
import { Decide } from './decide.tsx'

const route = getRouteApi('/shell/approvals/$id')

/** One request: who asks, what will run, what will change; and the two buttons. */
export function Approval() {
  const { id } = route.useParams()
  const approval = useQuery(approvalQuery(id))
  useApprovalStream()
  return (
    <Page title="Approval" tools={<Link to="/approvals">All approvals</Link>}>
      <Shown of={approval}>
        {data => (
          <div className="with-aside approval">
            <div className="stack">
              <Summary approval={data} />
              {data.preview !== undefined && <Changes preview={data.preview} onChange={data.on_change} />}
              <Request approval={data} />
            </div>
            <div className="stack approval-side">
              <Decide approval={data} />
              <Terms approval={data} />
            </div>
          </div>
        )}
      </Shown>
    </Page>
  )
}

function Summary({ approval }: { readonly approval: ApprovalView }) {
  const { requester, operation, risk, resource, connection, sensitivity, message, rule, created } = approval
  const { session } = approval
  return (
    <Panel
      title={<span className="mono approval-title">{visible(operation)}</span>}
      tools={
        <span className="line">
          <RiskBadge risk={risk} />
          <StateBadge state={approval.state} />
        </span>
      }
    >
      <Facts
        of={[
          ['Who', <Subject key="who" subject={requester} />],
          ['Where', `${connection} (sensitivity ${sensitivity})`],
          ['On', <code key="on">{visible(resource)}</code>],
          ['Why asked', `rule ${rule}${message === undefined ? '' : `: ${visible(message)}`}`],
          ['Asked', <Ago key="asked" at={created} />],
          [
            'Session',
            session && (
              <Link to="/sessions/$id" params={{ id: session }}>
                what else it did
              </Link>
            ),
          ],
        ]}
      />
    </Panel>
  )
}

function Terms({ approval }: { readonly approval: ApprovalView }) {
  const {
    quorum,
    approvers,
    distinct_groups: distinct,
    votes,
    digest,
    expires,
    state,
    end_reason: why,
  } = approval
  const isOpen = state === 'pending' || state === 'approved'
  return (
    <Panel title="Consent">
      <div className="stack">
        <Facts
          of={[
            ['Needs', `${quorum} of ${approvers.map(visible).join(', ') || 'any approver'}`],
            ['', distinct === true && 'each of another group'],
            [isOpen ? 'Open until' : 'Was open until', <Time key="until" at={expires} />],
            ['Ended', why && visible(why)],
            ['Bound to', <code key="digest">{digest}</code>],
          ]}
        />
        {votes.length > 0 && (
          <ul className="votes" aria-label="Votes">
            {votes.map((vote, index) => (
              <li key={index}>
                <Badge tone={vote.effect === 'approve' ? 'good' : 'bad'}>
                  {vote.effect === 'approve' ? 'approved' : 'denied'}
                </Badge>{' '}
                {nameOf(vote.by)}
                {vote.reason !== undefined && <p className="soft">{visible(vote.reason)}</p>}
              </li>
            ))}
          </ul>
        )}
      </div>
    </Panel>
  )
}

function Request({ approval: { request } }: { readonly approval: ApprovalView }) {
  const { method, path, query, body, ...rest } = request
  const hasQuery = typeof query === 'object' && query !== null && Object.keys(query).length > 0
  return (
    <Panel title="Exactly what will run">
      <div className="stack">
        {typeof method === 'string' && (
          <code className="request-line">
            {method} {visible(String(path ?? ''))}
          </code>
        )}
        {hasQuery && <JsonCode value={query} label="Query" />}
        {body !== undefined && <JsonCode value={body} label="Body" />}
        {Object.keys(rest).length > 0 && <Rest values={rest} />}
      </div>
    </Panel>
  )
}

/** A statement is read as text; whatever else a protocol shows, as JSON. */
function Rest({ values }: { readonly values: Readonly<Record<string, unknown>> }) {
  return Object.entries(values).map(([name, value]) => (
    <div key={name}>
      <h3>{name.replaceAll('_', ' ')}</h3>
      {typeof value === 'string' ? (
        <pre className="code">{visible(value)}</pre>
      ) : (
        <JsonCode value={value} label={name} />
      )}
    </div>
  ))
}
