import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { entryQuery } from '../../api/queries.ts'
import type { EntryView } from '../../api/views.ts'
import { Badge, EntryBadge, RiskBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { JsonCode } from '../../parts/code.tsx'
import { Facts, Page, Panel } from '../../parts/page.tsx'
import { Receipt } from '../../parts/receipt.tsx'
import { Shown } from '../../parts/states.tsx'
import { Subject } from '../../parts/subject.tsx'
import { durationText, Time } from '../../parts/time.tsx'
import { copy } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'

const route = getRouteApi('/shell/entries/$index')

/** One entry: what it says, all of it, and the proof that it is in the log. */
export function Entry() {
  const { index } = route.useParams()
  const entry = useQuery(entryQuery(index))
  return (
    <Page
      title={`Entry ${index}`}
      tools={
        <Button icon="copy" onPress={() => void copy(window.location.href, 'Address of this entry')}>
          Copy address
        </Button>
      }
    >
      <Shown of={entry}>
        {data => (
          <div className="with-aside">
            <div className="stack">
              <Panel title={<EntryBadge entry={data} />}>
                <EntryFacts entry={data} />
              </Panel>
              <Panel title="Exactly as in the log">
                <JsonCode value={data} label="The entry as JSON" />
              </Panel>
            </div>
            <Receipt index={index} />
          </div>
        )}
      </Shown>
    </Page>
  )
}

function EntryFacts({ entry }: { readonly entry: EntryView }) {
  const { subject, decision, session, approval, connection, masked, error, duration, risk, seq } = entry
  return (
    <Facts
      of={[
        ['When', <Time key="when" at={entry.time} long />],
        ['Who', subject && <Subject subject={subject} />],
        ['Operation', entry.operation && <code>{visible(entry.operation)}</code>],
        ['Risk', risk && <RiskBadge risk={risk} />],
        ['Resource', entry.resource && <code>{visible(entry.resource)}</code>],
        ['Connection', connection && `${connection.name} (sensitivity ${connection.sensitivity})`],
        [
          'Decision',
          decision &&
            `${decision.effect}: ${decision.rule === undefined ? decision.reason : `rule ${decision.rule}`}`,
        ],
        [
          'Approval',
          approval?.id && (
            <Link to="/approvals/$id" params={{ id: approval.id }}>
              {approval.id}
            </Link>
          ),
        ],
        ['Error', error && `${error.code}${error.detail === undefined ? '' : `: ${visible(error.detail)}`}`],
        ['Took', duration !== undefined && durationText(duration)],
        [
          'Masked',
          masked !== undefined && masked.count > 0 && (
            <Badge tone="odd">
              {masked.count} ({masked.kinds.join(', ')})
            </Badge>
          ),
        ],
        [
          'Session',
          session && (
            <Link to="/sessions/$id" params={{ id: session }} search={{ at: seq }}>
              {session}
            </Link>
          ),
        ],
      ]}
    />
  )
}
