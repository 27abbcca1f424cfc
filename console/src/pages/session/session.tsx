import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { replayQuery, sessionQuery } from '../../api/queries.ts'
import { useStream } from '../../api/use-stream.ts'
import type { EntryView, ReplayedAction, SessionView } from '../../api/views.ts'
import { StateBadge } from '../../parts/badge.tsx'
import { Facts, Page } from '../../parts/page.tsx'
import { Receipt } from '../../parts/receipt.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Subject } from '../../parts/subject.tsx'
import { Time } from '../../parts/time.tsx'
import { useMe } from '../../shell/me.ts'
import { ActionList } from './action-list.tsx'
import { Exchange } from './exchange.tsx'
import { KillSession } from './kill-session.tsx'
import { Timeline } from './timeline.tsx'

const route = getRouteApi('/shell/sessions/$id')

/** A session as it was, action by action; while it runs, as it goes on. */
export function Session() {
  const { id } = route.useParams()
  const { is } = useMe()
  const session = useQuery(sessionQuery(id))
  return (
    <Page
      title="Session"
      tools={session.data?.state === 'running' && is('admin') && <KillSession session={session.data} />}
    >
      <Shown of={session}>
        {data => (
          <>
            <SessionFacts session={data} />
            <Replay session={data} />
          </>
        )}
      </Shown>
    </Page>
  )
}

function SessionFacts({ session }: { readonly session: SessionView }) {
  const { id, state, started, ended, reason, subject, connection, client } = session
  return (
    <div className="panel panel-body">
      <div className="session-facts">
        <Facts
          of={[
            ['Who', <Subject key="who" subject={subject} />],
            [
              'Connection',
              `${connection.name} (${connection.protocol}, sensitivity ${connection.sensitivity})`,
            ],
            ['Client', client && `${client.agent ?? 'unnamed'} from ${client.ip}`],
          ]}
        />
        <Facts
          of={[
            ['State', <StateBadge key="state" state={state} />],
            ['Began', started && <Time at={started} long />],
            ['Ended', ended && <Time at={ended} long />],
            ['Because', reason],
          ]}
        />
        <Facts of={[['Id', <code key="id">{id}</code>]]} />
      </div>
    </div>
  )
}

function Replay({ session }: { readonly session: SessionView }) {
  const { id } = session
  const { at } = route.useSearch()
  const navigate = route.useNavigate()
  const replay = useInfiniteQuery(replayQuery(id))
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = replay
  useEffect(() => {
    // All of a session is one reading: its pages come one after the other.
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  useLive(session)
  const choose = (seq: string): void =>
    void navigate({ search: { at: seq }, replace: true, resetScroll: false })
  return (
    <Shown of={replay} lines={8}>
      {({ pages }) => {
        const actions: readonly ReplayedAction[] = pages.flatMap(page => page.actions)
        const chosen = actions.find(({ entry }) => entry.seq === at) ?? actions[0]
        if (chosen === undefined)
          return (
            <div className="panel">
              <Empty title="No action has ended yet">It appears here as soon as one does.</Empty>
            </div>
          )
        return (
          <>
            <Timeline
              actions={actions}
              chosen={chosen.entry.seq}
              isRunning={session.state === 'running'}
              onChoose={choose}
            />
            <div className="replay">
              <ActionList actions={actions} chosen={chosen.entry.seq} onChoose={choose} />
              <Exchange action={chosen} />
              <div className="stack">
                <Receipt index={chosen.entry.seq} />
                <p className="faint">
                  That you read this recording is an entry of the log, as every reading is.
                </p>
              </div>
            </div>
          </>
        )
      }}
    </Shown>
  )
}

/** While the session runs: what ends in it is fetched, and so is its own end. */
function useLive({ id, state }: SessionView): void {
  const client = useQueryClient()
  const due = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(due.current), [])
  useStream(state === 'running' ? `/api/v1/sessions/${encodeURIComponent(id)}/stream` : undefined, {
    entry: data => {
      const entry = data as EntryView
      if (entry.kind === 'session.ended') void client.invalidateQueries({ queryKey: ['session', id] })
      const known = client.getQueryData(replayQuery(id).queryKey)
      const isKnown = known?.pages.some(page => page.actions.some(each => each.entry.seq === entry.seq))
      if (entry.outcome === undefined || isKnown !== false || due.current !== undefined) return
      // Each fetch is a reading in the log: a busy session is read once a second, not once for each action.
      due.current = setTimeout(() => {
        due.current = undefined
        void client.invalidateQueries({ queryKey: ['replay', id] })
      }, 1000)
    },
  })
}
