import type { MaskReport } from './masker.ts'

/** Counts what was masked, by kind. */
export interface Tally {
  hit(kind: string): void
  report(): MaskReport
}

export function createTally(): Tally {
  const kinds = new Set<string>()
  let count = 0
  return {
    hit(kind) {
      count++
      kinds.add(kind)
    },
    report: () => ({ count, kinds: [...kinds].toSorted() }),
  }
}
