import type { ReplayedAction } from '../../api/views.ts'

/** When an action began, milliseconds: its entry is its end. */
export function beganAt({ entry }: ReplayedAction): number {
  return Date.parse(entry.time) - (entry.duration ?? 0) / 1e6
}

/** From the beginning of the first action to the end of the last, milliseconds. */
export function spanOf(actions: readonly ReplayedAction[]): {
  readonly start: number
  readonly length: number
} {
  const start = Math.min(...actions.map(beganAt))
  const end = Math.max(...actions.map(({ entry }) => Date.parse(entry.time)))
  return { start, length: Math.max(0, end - start) }
}

/** How long after each action the next began, milliseconds. */
export function gapsOf(actions: readonly ReplayedAction[]): readonly number[] {
  return actions.slice(1).map((next, index) => beganAt(next) - beganAt(actions[index]!))
}
