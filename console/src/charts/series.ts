import type { Stats } from '../api/views.ts'
import { colourOf, otherColour } from './colours.ts'

export interface Series {
  readonly key: string
  readonly colour: string
  readonly total: number
  readonly counts: readonly number[]
}

/** In the order in which they are stacked: of outcomes what went well at the bottom, else the most first. */
const outcomeOrder = ['success', 'failure', 'denied', 'unknown']

/** The series of an answer with their colours; all beyond the first few are one. */
export function seriesOf({ series, other, by }: Stats): readonly Series[] {
  const sorted =
    by === 'outcome'
      ? series.toSorted((a, b) => outcomeOrder.indexOf(a.key) - outcomeOrder.indexOf(b.key))
      : series
  const named = sorted.map((each, index) => ({ ...each, colour: colourOf(by, each.key, index) }))
  if (other === undefined || other.total === 0) return named
  return [
    ...named,
    { key: `${other.keys} others`, colour: otherColour, total: other.total, counts: other.counts },
  ]
}
