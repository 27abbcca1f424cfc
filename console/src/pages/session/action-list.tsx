import { memo, useEffect, useRef } from 'react'
import type { ReplayedAction } from '../../api/views.ts'
import { outcomeTone } from '../../parts/badge.tsx'
import { durationText, Time } from '../../parts/time.tsx'
import { visible } from '../../parts/visible.ts'

interface ActionListProps {
  readonly actions: readonly ReplayedAction[]
  readonly chosen: string
  readonly onChoose: (seq: string) => void
}

/** The actions of a session, oldest first. */
export function ActionList({ actions, chosen, onChoose }: ActionListProps) {
  const list = useRef<HTMLOListElement>(null)
  useEffect(() => {
    const row = list.current?.querySelector('[aria-current]')
    // Only the list is scrolled, and only if it must be: the page stays where the reader has it.
    if (row instanceof HTMLElement && list.current !== null) {
      const { offsetTop, offsetHeight } = row
      const { scrollTop, clientHeight } = list.current
      if (offsetTop < scrollTop) list.current.scrollTop = offsetTop
      else if (offsetTop + offsetHeight > scrollTop + clientHeight)
        list.current.scrollTop = offsetTop + offsetHeight - clientHeight
    }
  }, [chosen])
  return (
    <ol className="panel action-list" aria-label="Actions" ref={list}>
      {actions.map(action => (
        <ActionItem
          key={action.entry.seq}
          action={action}
          isChosen={action.entry.seq === chosen}
          onChoose={onChoose}
        />
      ))}
    </ol>
  )
}

const ActionItem = memo(function ActionItem({
  action: { entry },
  isChosen,
  onChoose,
}: {
  readonly action: ReplayedAction
  readonly isChosen: boolean
  readonly onChoose: (seq: string) => void
}) {
  const outcome = entry.outcome ?? 'unknown'
  return (
    <li>
      <button
        type="button"
        className="action-item"
        data-item
        {...(isChosen ? { 'aria-current': 'true' as const } : {})}
        onClick={() => onChoose(entry.seq)}
      >
        <span className="dot" data-tone={outcomeTone(outcome)} />
        <span className="action-name mono">{visible(entry.operation ?? entry.kind)}</span>
        <span className="visually-hidden">{outcome}</span>
        <span className="cell-sub action-sub">
          <Time at={entry.time} />
          {entry.duration !== undefined && ` · ${durationText(entry.duration)}`}
          {entry.masked !== undefined && entry.masked.count > 0 && ` · ${entry.masked.count} masked`}
        </span>
      </button>
    </li>
  )
})
