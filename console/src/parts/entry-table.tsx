import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import type { EntryView } from '../api/views.ts'
import { EntryBadge } from './badge.tsx'
import { masked } from './code.tsx'
import { entryDetail } from './entry-text.ts'
import { Subject } from './subject.tsx'
import { durationText, Time } from './time.tsx'
import { visible } from './visible.ts'

const EntryRow = memo(function EntryRow({ entry }: { readonly entry: EntryView }) {
  const { seq, time, subject, connection, operation, duration, session, kind } = entry
  return (
    <tr>
      <td className="number">
        <Link to="/entries/$index" params={{ index: seq }} data-item className="soft">
          <Time at={time} />
        </Link>
      </td>
      <td>
        <EntryBadge entry={entry} />
      </td>
      <td className="clip">{subject !== undefined && <Subject subject={subject} />}</td>
      <td>
        <span className="cell-main mono">{visible(operation ?? kind)}</span>
        <span className="cell-sub clip" title={entryDetail(entry)}>
          {masked(entryDetail(entry))}
        </span>
      </td>
      <td className="hide-phone">{connection?.name}</td>
      <td className="end hide-phone">{duration !== undefined && durationText(duration)}</td>
      <td className="end">
        {session !== undefined && (
          <Link
            to="/sessions/$id"
            params={{ id: session }}
            search={{ at: kind.startsWith('action.') ? seq : undefined }}
            aria-label={`Session of ${operation ?? kind} at ${time}`}
          >
            session
          </Link>
        )}
      </td>
    </tr>
  )
})

/** Entries, one a row: the time leads to the entry, the end of the row to its session. */
export function EntryTable({
  entries,
  label,
}: {
  readonly entries: readonly EntryView[]
  readonly label: string
}) {
  return (
    <table className="table" aria-label={label}>
      <thead>
        <tr>
          <th>Time</th>
          <th>Outcome</th>
          <th>Who</th>
          <th>What</th>
          <th className="hide-phone">Connection</th>
          <th className="end hide-phone">Took</th>
          <th>
            <span className="visually-hidden">Session</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map(entry => (
          <EntryRow key={entry.seq} entry={entry} />
        ))}
      </tbody>
    </table>
  )
}
