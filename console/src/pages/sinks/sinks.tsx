import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { sinksQuery } from '../../api/queries.ts'
import type { SinkView } from '../../api/views.ts'
import { StateBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { Page } from '../../parts/page.tsx'
import { Empty, Shown } from '../../parts/states.tsx'
import { countText } from '../../parts/time.tsx'
import { DeadLetters } from './dead-letters.tsx'

/** Where entries are shipped to, how far each is, and what it would not take. */
export function Sinks() {
  const sinks = useQuery(sinksQuery)
  const [open, setOpen] = useState<string>()
  return (
    <Page
      title="Sinks"
      about="Every entry reaches each sink at least once and in order. A sink that is down delays no action and loses nothing: shipping goes on where it was."
    >
      <div className="panel scroll-x">
        <Shown of={sinks}>
          {found =>
            found.length === 0 ? (
              <Empty title="No sink is configured">
                Entries stay in the log. Name one under <code>sinks</code> to ship them as they happen.
              </Empty>
            ) : (
              <table className="table" aria-label="Sinks">
                <thead>
                  <tr>
                    <th>Sink</th>
                    <th>State</th>
                    <th className="end">Shipped</th>
                    <th className="end">Behind</th>
                    <th>Last error</th>
                    <th>
                      <span className="visually-hidden">Dead letters</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {found.map(each => (
                    <SinkRow key={each.name} sink={each} onOpen={() => setOpen(each.name)} />
                  ))}
                </tbody>
              </table>
            )
          }
        </Shown>
      </div>
      {open !== undefined && <DeadLetters sink={open} />}
    </Page>
  )
}

function lastError(sink: SinkView): string {
  const found = sink['last_error'] ?? sink['lastError'] ?? sink['error']
  if (typeof found === 'string') return found
  if (typeof found !== 'object' || found === null) return ''
  const { message, detail } = found as { readonly message?: unknown; readonly detail?: unknown }
  return String(message ?? detail ?? JSON.stringify(found))
}

function SinkRow({ sink, onOpen }: { readonly sink: SinkView; readonly onOpen: () => void }) {
  const { name, type, state, cursor, head, lag } = sink
  return (
    <tr>
      <td>
        <span className="cell-main">{name}</span>
        <span className="cell-sub">{type}</span>
      </td>
      <td>
        <StateBadge state={state} />
      </td>
      <td className="end">
        {countText(cursor)} of {countText(head)}
      </td>
      <td className="end">
        {lag.entries === 0 ? 'nothing' : `${countText(lag.entries)}, ${Math.round(lag.seconds)} s`}
      </td>
      <td className="soft clip">{lastError(sink)}</td>
      <td className="end">
        <Button tone="quiet" onPress={onOpen}>
          Dead letters
        </Button>
      </td>
    </tr>
  )
}
