import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useDeferredValue, useState } from 'react'
import { identitiesQuery } from '../../api/queries.ts'
import type { Identity, SubjectView } from '../../api/views.ts'
import { Badge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Page } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { nameOf } from '../../parts/subject.tsx'
import { Ago, countText, Time } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'

/** Who the log has seen: people, services, and agents by whom they act for. */
export function Identities() {
  const [name, setName] = useState('')
  const found = useInfiniteQuery(identitiesQuery(useDeferredValue(name.trim())))
  return (
    <Page
      title="Identities"
      about="Everybody that the log names, from verified tokens alone. Groups and roles come from the identity provider with each token and are not kept here."
    >
      <label className="search">
        <span className="visually-hidden">Find by a part of the name</span>
        <Icon name="search" />
        <input
          className="input"
          data-search
          type="search"
          placeholder="A part of an id, e-mail address or name"
          value={name}
          onChange={event => setName(event.target.value)}
        />
      </label>
      <div className="panel scroll-x">
        <Shown of={found}>
          {({ pages }) => {
            const identities = pages.flatMap(page => page.identities)
            if (identities.length === 0) return <Empty title="Nobody of that name" />
            return (
              <>
                <IdentityTable identities={identities} />
                {found.hasNextPage && (
                  <div className="table-more">
                    <Button onPress={() => void found.fetchNextPage()}>More</Button>
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

function IdentityTable({ identities }: { readonly identities: readonly Identity[] }) {
  return (
    <table className="table" aria-label="Identities, the most recent first">
      <thead>
        <tr>
          <th>Identity</th>
          <th>Kind</th>
          <th>Acts for</th>
          <th className="end">Entries</th>
          <th className="hide-phone">First seen</th>
          <th>Last seen</th>
          <th>
            <span className="visually-hidden">Sessions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {identities.map(({ subject: given, key, entries, first_seen: first, last_seen: last }) => {
          const subject = given as unknown as SubjectView
          return (
            <tr key={`${key} ${subject.issuer} ${subject.id}`}>
              <td>
                <Link
                  to="/search"
                  search={{ identity: key, since: 'all', show: 'everything' }}
                  className="cell-main"
                  data-item
                >
                  {nameOf(subject)}
                </Link>
                <span className="cell-sub clip">{visible(subject.email ?? subject.id)}</span>
              </td>
              <td>
                <Badge tone={subject.kind === 'agent' ? 'accent' : 'plain'}>{subject.kind}</Badge>
              </td>
              <td>{subject.on_behalf_of !== undefined && nameOf(subject.on_behalf_of)}</td>
              <td className="end">{countText(entries)}</td>
              <td className="hide-phone">
                <Time at={first} />
              </td>
              <td>
                <Ago at={last} />
              </td>
              <td className="end">
                <Link to="/sessions" search={{ identity: key }} aria-label={`Sessions of ${nameOf(subject)}`}>
                  sessions
                </Link>
              </td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}
