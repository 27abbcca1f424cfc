/** Colours with a meaning for outcomes; for other fields eight that stay apart, also for most who see fewer colours. */
const outcomes: Readonly<Record<string, string>> = {
  success: 'var(--chart-good)',
  denied: 'var(--chart-bad)',
  failure: 'var(--chart-warn)',
  unknown: 'var(--chart-odd)',
}
const others = 8

export function colourOf(by: string, key: string, index: number): string {
  return (by === 'outcome' ? outcomes[key] : undefined) ?? `var(--series-${(index % others) + 1})`
}

export const otherColour = 'var(--series-other)'
