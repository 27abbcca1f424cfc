/** What a simulation says, in figures. */
import type { DetectorName } from '../../config/detection.ts'
import { learningDays } from './attacks.ts'
import { kinds } from './population.ts'
import type { Simulated } from './simulate.ts'

export interface Alarms {
  /** Findings for each identity and month of thirty days. */
  readonly perMonth: number
  readonly byDetector: Readonly<Partial<Record<DetectorName, number>>>
}

/** `kind`: of identities; absent: of all. */
export function alarmsOf(
  { identities, falseAlarms, days }: Simulated,
  of: { readonly learning: boolean; readonly kind?: string },
): Alarms {
  const isMeant = (kind: string): boolean => of.kind === undefined || kind === of.kind
  let identityDays = 0
  for (const { kind, begins } of identities) {
    if (!isMeant(kind.name)) continue
    const age = Math.max(0, days - begins)
    identityDays += of.learning ? Math.min(age, learningDays) : Math.max(0, age - learningDays)
  }
  const months = identityDays / 30
  const byDetector: Partial<Record<DetectorName, number>> = {}
  let count = 0
  for (const { identity, learning, finding } of falseAlarms) {
    if (learning !== of.learning || !isMeant(identity.kind.name)) continue
    count++
    byDetector[finding.detector] = (byDetector[finding.detector] ?? 0) + 1 / months
  }
  return { perMonth: months === 0 ? 0 : count / months, byDetector }
}

export interface Caught {
  readonly kind: string
  readonly attacks: number
  readonly found: number
  /** From its first action to the finding, median, milliseconds. */
  readonly delayMs: number
  /** How many of its actions had passed, median. */
  readonly actions: number
  readonly by: Readonly<Partial<Record<string, number>>>
}

export function caughtOf({ attacks }: Simulated): Caught[] {
  return [...new Set(attacks.map(({ kind }) => kind))].map(kind => {
    const all = attacks.filter(each => each.kind === kind)
    const found = all.flatMap(each => each.found ?? [])
    const by: Record<string, number> = {}
    for (const { detector } of found) by[detector] = (by[detector] ?? 0) + 1
    return {
      kind,
      attacks: all.length,
      found: found.length,
      delayMs: middle(found.map(({ afterMs }) => afterMs)),
      actions: middle(found.map(({ afterActions }) => afterActions)),
      by,
    }
  })
}

export const kindNames = kinds.map(({ name }) => name)

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
