/**
 * What masking rules say of names, statements and results, found out once. It holds for one compilation of the rules and
 * one state of the catalogue: a configuration that is taken up, and a catalogue that is asked anew, have their own.
 */
import type { Masker } from '../../masking/masker.ts'
import type { Conceals } from './host.ts'
import type { Judgement } from './judge.ts'
import type { Column } from './messages.ts'
import { Recent } from './recent.ts'
import type { ValuePlan } from './values.ts'

/** Long enough for a detector that looks at names to take it for a value. */
const probeValue = 'Zx9k2Lq8Wm4Rt7'

const mostNames = 4096

/** Answers by `Masker.rules`. */
const selected = new WeakMap<object, Recent<boolean>>()

/** Whether the masker's rules name a column so. */
export function selects(masker: Masker, name: string): boolean {
  let names = selected.get(masker.rules)
  if (names === undefined) selected.set(masker.rules, (names = new Recent(mostNames)))
  let answer = names.get(name)
  if (answer === undefined) {
    answer = masker.parameter(name, probeValue) !== probeValue
    names.set(name, answer)
  }
  return answer
}

/** Of one statement. Absent: not found out. */
export interface StatementCoverage {
  /** It would keep masked columns under other names. */
  stores?: boolean
  /** A masked column may flow into what has no origin of its own. */
  tainted?: boolean
  conceals?: { readonly value: Conceals }
}

/** Of the columns of a result: how each is masked, and the places of those that come from nowhere and have no rule. */
export interface ResultCoverage {
  readonly plans: readonly ValuePlan[]
  readonly loose: readonly number[]
}

export interface Coverage {
  readonly statements: WeakMap<Judgement, StatementCoverage>
  readonly results: WeakMap<readonly Column[], ResultCoverage>
}

const kept = new WeakMap<object, WeakMap<object, Coverage>>()

/** `state`: that of the catalogue; `rules`: of the masker. */
export function coverageOf(state: object, rules: object): Coverage {
  let byRules = kept.get(state)
  if (byRules === undefined) kept.set(state, (byRules = new WeakMap()))
  let coverage = byRules.get(rules)
  if (coverage === undefined) {
    coverage = { statements: new WeakMap(), results: new WeakMap() }
    byRules.set(rules, coverage)
  }
  return coverage
}
