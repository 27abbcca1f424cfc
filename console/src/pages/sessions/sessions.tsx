import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { facetsQuery, sessionsQuery } from '../../api/queries.ts'
import type { SessionView } from '../../api/views.ts'
import { StateBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { SelectField, SuggestField } from '../../parts/field.tsx'
import { Page } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { Subject } from '../../parts/subject.tsx'
import { countText, Time } from '../../parts/time.tsx'

const route = getRouteApi('/shell/sessions')

/** Each stay of a client on a connection; to be replayed, watched, or ended. */
export function Sessions() {
  const { identity, connection, running } = route.useSearch()
  const navigate = route.useNavigate()
  const { data: facets } = useQuery(facetsQuery({}))
  const values = (field: string): readonly string[] => facets?.[field]?.values.map(each => each.key) ?? []
  const query = {
    ...(identity === undefined ? {} : { identity }),
    ...(connection === undefined ? {} : { connection }),
    ...(running === 'true' ? { running: 'true' as const } : {}),
  }
  const found = useInfiniteQuery({ ...sessionsQuery(query), refetchInterval: 5000 })
  const set = (change: Readonly<Record<string, string | undefined>>): void =>
    void navigate({ search: before => ({ ...before, ...change }), replace: true })
  return (
    <Page title="Sessions">
      <div className="panel filters">
        <SuggestField
          label="Identity"
          value={identity ?? ''}
          suggestions={values('identity')}
          placeholder="anyone"
          onChange={value => set({ identity: value })}
        />
        <SuggestField
          label="Connection"
          value={connection ?? ''}
          suggestions={values('connection')}
          placeholder="any"
          onChange={value => set({ connection: value })}
        />
        <SelectField
          label="State"
          value={running ?? ''}
          choices={[
            { value: '', label: 'all' },
            { value: 'true', label: 'running now' },
          ]}
          onChange={value => set({ running: value })}
        />
      </div>
      <div className="panel scroll-x">
        <Shown of={found} lines={8}>
          {({ pages }) => {
            const sessions = pages.flatMap(page => page.sessions)
            if (sessions.length === 0)
              return (
                <Empty title="No session">
                  A session begins with the first action of an identity on a connection.
                </Empty>
              )
            return (
              <>
                <SessionTable sessions={sessions} />
                {found.hasNextPage && (
                  <div className="table-more">
                    <Button onPress={() => void found.fetchNextPage()}>Older sessions</Button>
                  </div>
                )}
              </>
            )
          }}
        </Shown>
      </div>
    </Page>
  )
}

function SessionTable({ sessions }: { readonly sessions: readonly SessionView[] }) {
  return (
    <table className="table" aria-label="Sessions, newest first">
      <thead>
        <tr>
          <th>Session</th>
          <th>State</th>
          <th>Who</th>
          <th>Connection</th>
          <th className="hide-phone">Client</th>
          <th className="end">Actions</th>
          <th className="end">Denied</th>
        </tr>
      </thead>
      <tbody>
        {sessions.map(({ id, state, started, subject, connection, client, totals }) => (
          <tr key={id}>
            <td>
              <Link to="/sessions/$id" params={{ id }} data-item>
                {started === undefined ? id : <Time at={started} />}
              </Link>
            </td>
            <td>
              <StateBadge state={state} />
            </td>
            <td>
              <Subject subject={subject} />
            </td>
            <td>{connection.name}</td>
            <td className="clip soft hide-phone">{client?.agent ?? client?.ip}</td>
            <td className="end">{countText(totals?.['actions'] ?? 0)}</td>
            <td className="end">{countText(totals?.['denied'] ?? 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
