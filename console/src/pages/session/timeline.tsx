import { useEffect, useId, useState } from 'react'
import type { ReplayedAction } from '../../api/views.ts'
import { useWidth } from '../../charts/use-width.ts'
import { IconButton } from '../../parts/button.tsx'
import { outcomeTone } from '../../parts/badge.tsx'
import { SelectField } from '../../parts/field.tsx'
import { durationText } from '../../parts/time.tsx'
import { useKeys } from '../../shell/keyboard.ts'
import { gapsOf, spanOf } from './span.ts'

const speeds = ['1', '4', '16', '64'].map(value => ({ value, label: `${value} ×` }))
const colours = {
  good: 'var(--chart-good)',
  bad: 'var(--chart-bad)',
  warn: 'var(--chart-warn)',
  odd: 'var(--chart-odd)',
  accent: 'var(--accent)',
  plain: 'var(--text-faint)',
}

interface TimelineProps {
  readonly actions: readonly ReplayedAction[]
  readonly chosen: string
  readonly isRunning: boolean
  readonly onChoose: (seq: string) => void
}

/** The session from its first action to its last: where one is, and a way to every other moment. */
export function Timeline({ actions, chosen, isRunning, onChoose }: TimelineProps) {
  const [speed, setSpeed] = useState('4')
  const [isPlaying, setPlaying] = useState(false)
  const at = Math.max(
    0,
    actions.findIndex(({ entry }) => entry.seq === chosen),
  )
  const id = useId()
  const go = (index: number): void => {
    const found = actions[Math.max(0, Math.min(actions.length - 1, index))]
    if (found !== undefined) onChoose(found.entry.seq)
  }
  useKeys({ '[': () => go(at - 1), ']': () => go(at + 1) })
  const isLast = at === actions.length - 1
  useEffect(() => {
    if (!isPlaying || isLast) return
    const wait = (gapsOf(actions)[at] ?? 0) / Number(speed)
    // A night between two actions is not waited for.
    const timer = setTimeout(() => go(at + 1), Math.max(120, Math.min(wait, 3000)))
    return () => clearTimeout(timer)
  })
  return (
    <section className="panel timeline" aria-label="Time line">
      <div className="line">
        <IconButton
          icon="previous"
          label="Previous action"
          isDisabled={at === 0}
          onPress={() => go(at - 1)}
        />
        <IconButton
          icon={isPlaying && !isLast ? 'pause' : 'play'}
          label={isPlaying && !isLast ? 'Stop playing' : 'Play'}
          isDisabled={actions.length < 2}
          onPress={() => {
            if (isLast) go(0)
            setPlaying(isLast || !isPlaying)
          }}
        />
        <IconButton icon="next" label="Next action" isDisabled={isLast} onPress={() => go(at + 1)} />
      </div>
      <Marks actions={actions} chosen={chosen} />
      <label htmlFor={id} className="visually-hidden">
        Action of the session
      </label>
      <input
        id={id}
        className="timeline-slider"
        type="range"
        min={1}
        max={actions.length}
        value={at + 1}
        aria-valuetext={`Action ${at + 1} of ${actions.length}: ${actions[at]?.entry.operation ?? ''}`}
        onChange={event => go(Number(event.target.value) - 1)}
      />
      <div className="line timeline-foot">
        <span className="number soft">
          {at + 1} of {actions.length}
          {isRunning && ', going on'}
        </span>
        <span className="number faint">{durationText(spanOf(actions).length * 1e6)} in all</span>
        <SelectField label="Speed" value={speed} choices={speeds} onChange={setSpeed} />
      </div>
    </section>
  )
}

/** Each action at its time, as long as it took, in the colour of its outcome. */
function Marks({
  actions,
  chosen,
}: {
  readonly actions: readonly ReplayedAction[]
  readonly chosen: string
}) {
  const [frame, width] = useWidth<HTMLDivElement>()
  const { start, length } = spanOf(actions)
  const scale = (width - 8) / Math.max(1, length)
  return (
    <div ref={frame} className="timeline-marks" aria-hidden="true">
      {width > 0 && (
        <svg width={width} height="30">
          <line x1="0" x2={width} y1="15" y2="15" className="chart-grid" />
          {actions.map(({ entry }) => {
            const took = (entry.duration ?? 0) / 1e6
            const isChosen = entry.seq === chosen
            return (
              <rect
                key={entry.seq}
                x={(Date.parse(entry.time) - took - start) * scale}
                y={isChosen ? 2 : 8}
                width={Math.max(4, took * scale)}
                height={isChosen ? 26 : 14}
                rx="2"
                fill={colours[outcomeTone(entry.outcome ?? '')]}
              />
            )
          })}
        </svg>
      )}
    </div>
  )
}
