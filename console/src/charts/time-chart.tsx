import { useState } from 'react'
import { ToggleButton } from 'react-aria-components'
import type { Stats } from '../api/views.ts'
import { Icon } from '../parts/icon.tsx'
import { countText } from '../parts/time.tsx'
import { bucketText, niceScale } from './scale.ts'
import { type Series, seriesOf } from './series.ts'
import { useWidth } from './use-width.ts'

const standardHeight = 172
const room = { left: 40, right: 4, top: 8, bottom: 22 }

interface TimeChartProps {
  readonly stats: Stats
  readonly label: string
  /** Pixels; default 172. */
  readonly height?: number
  /** Called with the edges of a bucket that was chosen, milliseconds. */
  readonly onChoose?: (from: number, to: number) => void
}

/** Counts over time, one bar a bucket, stacked by key; or the same figures as a table. */
export function TimeChart({ stats, label, height = standardHeight, onChoose }: TimeChartProps) {
  const [isTable, setTable] = useState(false)
  const [hovered, setHovered] = useState<number>()
  const series = seriesOf(stats)
  return (
    <figure className="chart">
      <figcaption className="chart-legend">
        <span className="visually-hidden">{label}</span>
        <Legend series={series} bucket={hovered} />
        <span className="faint number chart-when">
          {hovered === undefined ? '' : whenText(stats, hovered)}
        </span>
        <ToggleButton className="button" data-tone="quiet" isSelected={isTable} onChange={setTable}>
          <Icon name="table" />
          Table
        </ToggleButton>
      </figcaption>
      {isTable ? (
        <FiguresTable
          stats={stats}
          series={series}
          label={label}
          {...(onChoose === undefined ? {} : { onChoose })}
        />
      ) : (
        <Bars
          stats={stats}
          series={series}
          label={label}
          height={height}
          hovered={hovered}
          onHover={setHovered}
          {...(onChoose === undefined ? {} : { onChoose })}
        />
      )}
    </figure>
  )
}

function whenText({ from, bucket_ms: width, to }: Stats, bucket: number): string {
  const start = Date.parse(from) + bucket * width
  const span = Date.parse(to) - Date.parse(from)
  return `${bucketText(start, width, span)} – ${bucketText(start + width, width, span)}`
}

function Legend({
  series,
  bucket,
}: {
  readonly series: readonly Series[]
  readonly bucket: number | undefined
}) {
  return (
    <ul className="legend">
      {series.map(({ key, colour, total, counts }) => (
        <li key={key}>
          <svg width="9" height="9" aria-hidden="true">
            <rect width="9" height="9" rx="2" fill={colour} />
          </svg>
          {key}
          <span className="number soft">
            {countText(bucket === undefined ? total : (counts[bucket] ?? 0))}
          </span>
        </li>
      ))}
    </ul>
  )
}

interface BarsProps extends TimeChartProps {
  readonly height: number
  readonly series: readonly Series[]
  readonly hovered: number | undefined
  readonly onHover: (bucket: number | undefined) => void
}

function Bars({ stats, series, label, height, hovered, onHover, onChoose }: BarsProps) {
  const [frame, width] = useWidth<HTMLDivElement>()
  const start = Date.parse(stats.from)
  const count = Math.max(1, Math.round((Date.parse(stats.to) - start) / stats.bucket_ms))
  const sums = Array.from({ length: count }, (_, at) =>
    series.reduce((sum, { counts }) => sum + (counts[at] ?? 0), 0),
  )
  const { top, ticks } = niceScale(Math.max(...sums), height < 120 ? 2 : 3)
  const inner = Math.max(0, width - room.left - room.right)
  const slot = inner / count
  const tall = height - room.top - room.bottom
  const bucketAt = (x: number): number | undefined => {
    const at = Math.floor((x - room.left) / slot)
    return at >= 0 && at < count ? at : undefined
  }
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions -- a short cut for the pointer: by keyboard the table has the same
    <div
      ref={frame}
      className="chart-frame"
      data-choosable={onChoose !== undefined}
      onPointerMove={event => onHover(bucketAt(event.nativeEvent.offsetX))}
      onPointerLeave={() => onHover(undefined)}
      onClick={event => {
        const at = bucketAt(event.nativeEvent.offsetX)
        if (at !== undefined) onChoose?.(start + at * stats.bucket_ms, start + (at + 1) * stats.bucket_ms)
      }}
    >
      {width > 0 && (
        <svg width={width} height={height} role="img" aria-label={`${label}. The table has the figures.`}>
          {ticks.map(tick => {
            const y = room.top + tall * (1 - tick / top)
            return (
              <g key={tick}>
                <line x1={room.left} x2={width - room.right} y1={y} y2={y} className="chart-grid" />
                <text x={room.left - 7} y={y + 4} className="chart-mark" textAnchor="end">
                  {countText(tick)}
                </text>
              </g>
            )
          })}
          {hovered !== undefined && (
            <rect
              x={room.left + hovered * slot}
              y={room.top}
              width={slot}
              height={tall}
              className="chart-hover"
            />
          )}
          <Stacks series={series} count={count} place={{ slot, tall, top }} />
          <TimeMarks stats={stats} count={count} size={{ width, height }} />
        </svg>
      )}
    </div>
  )
}

function Stacks({
  series,
  count,
  place: { slot, tall, top },
}: {
  readonly series: readonly Series[]
  readonly count: number
  readonly place: { readonly slot: number; readonly tall: number; readonly top: number }
}) {
  const gap = slot > 6 ? 2 : slot > 3 ? 1 : 0
  return Array.from({ length: count }, (_, at) => {
    let y = room.top + tall
    return series.map(({ key, colour, counts }) => {
      const size = ((counts[at] ?? 0) / top) * tall
      if (size === 0) return null
      y -= size
      return (
        <rect
          key={`${at} ${key}`}
          x={room.left + at * slot + gap / 2}
          y={y}
          width={Math.max(1, slot - gap)}
          height={size}
          fill={colour}
        />
      )
    })
  })
}

function TimeMarks({
  stats,
  count,
  size: { width, height },
}: {
  readonly stats: Stats
  readonly count: number
  readonly size: { readonly width: number; readonly height: number }
}) {
  const start = Date.parse(stats.from)
  const span = Date.parse(stats.to) - start
  const inner = width - room.left - room.right
  const every = Math.max(1, Math.ceil(count / Math.max(1, Math.floor(inner / 105))))
  return Array.from({ length: Math.ceil(count / every) }, (_, index) => {
    const at = index * every
    return (
      <text key={at} x={room.left + (at / count) * inner} y={height - 5} className="chart-mark">
        {bucketText(start + at * stats.bucket_ms, stats.bucket_ms, span)}
      </text>
    )
  })
}

function FiguresTable({
  stats,
  series,
  label,
  onChoose,
}: Omit<TimeChartProps, 'height'> & { readonly series: readonly Series[] }) {
  const start = Date.parse(stats.from)
  const edge = (at: number): number => start + at * stats.bucket_ms
  const count = series[0]?.counts.length ?? 0
  const filled = Array.from({ length: count }, (_, at) => at).filter(at =>
    series.some(({ counts }) => (counts[at] ?? 0) > 0),
  )
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`${label}, figures`}>
      <table className="table" aria-label={label}>
        <thead>
          <tr>
            <th>From</th>
            {series.map(({ key }) => (
              <th key={key} className="end">
                {key}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {filled.map(at => (
            <tr key={at}>
              <td className="number">
                {onChoose === undefined ? (
                  whenText(stats, at)
                ) : (
                  <button type="button" className="link" onClick={() => onChoose(edge(at), edge(at + 1))}>
                    {whenText(stats, at)}
                  </button>
                )}
              </td>
              {series.map(({ key, counts }) => (
                <td key={key} className="end">
                  {countText(counts[at] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
