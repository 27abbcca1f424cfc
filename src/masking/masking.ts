/** Makes maskers: rules are compiled once for each set of profiles, literal values once for each set of values. */
import { hash } from 'node:crypto'
import type { MaskingConfig } from '../config/masking.ts'
import { maskBody } from './body.ts'
import { builtinProfiles } from './builtin-profiles.ts'
import { fromBytes, toBytes } from './bytes.ts'
import { createFinder, type Finder } from './finder.ts'
import { guardBody } from './literal-mask.ts'
import { compileLiterals, type Literals, noLiterals } from './literals.ts'
import type { ContentMeta, MaskedBody, Masker, MaskReport } from './masker.ts'
import { compileRules, fieldKind, type Rules } from './rules.ts'
import type { BodyLimits } from './run.ts'
import { maskJson } from './json-value.ts'
import { createTally, type Tally } from './tally.ts'

export interface Masking {
  /**
   * The masker of these profiles and of values that never pass. Cheap: one for each action, so that its report is
   * that action's. Throws TypeError for a profile that does not exist (see `has`).
   */
  masker(
    profileNames: readonly string[],
    options?: { /** The lease's values. */ readonly secrets?: readonly string[] },
  ): Masker
  has(name: string): boolean
}

const mostKept = 256

/**
 * `hashKey` is the value behind `config.hash_key`. Throws TypeError where a profile needs it and it is missing.
 */
export function createMasking(config: MaskingConfig, options: { readonly hashKey?: string } = {}): Masking {
  const rulesBySet = createCache<Rules>()
  const literalsBySet = createCache<Literals>()
  const limits: BodyLimits = {
    maxBuffered: config.max_buffered,
    maxDecoded: config.max_decoded,
    maxExpansion: config.max_expansion,
  }
  const has = (name: string): boolean =>
    Object.hasOwn(builtinProfiles, name) || Object.hasOwn(config.profiles, name)
  // The obligations of one rule are the same list each time.
  const rulesByList = new WeakMap<readonly string[], Rules>()
  const rulesOf = (names: readonly string[]): Rules => {
    const known = rulesByList.get(names)
    if (known !== undefined) return known
    const rules = findRules(names)
    if (Object.isFrozen(names)) rulesByList.set(names, rules)
    return rules
  }
  const findRules = (names: readonly string[]): Rules => {
    const set = [...new Set(names)].toSorted()
    for (const name of set) if (!has(name)) throw new TypeError(`no mask profile is named ${name}`)
    return rulesBySet(set.join(' '), () => compileRules(set, config, options.hashKey))
  }
  for (const name of Object.keys(config.profiles)) rulesOf([name])
  return {
    masker(profileNames, { secrets = [] } = {}) {
      // By digest, so that the cache adds no copy of a secret under which one could be found.
      const literals =
        secrets.length === 0 ? noLiterals : literalsBySet(digestOf(secrets), () => compileLiterals(secrets))
      return createMasker(rulesOf(profileNames), literals, limits)
    },
    has,
  }
}

function digestOf(secrets: readonly string[]): string {
  return hash('sha256', JSON.stringify(secrets), 'base64')
}

function createCache<T>(): (key: string, make: () => T) => T {
  const kept = new Map<string, T>()
  return (key, make) => {
    const before = kept.get(key)
    if (before !== undefined) return before
    const made = make()
    if (kept.size >= mostKept) kept.delete(kept.keys().next().value!)
    kept.set(key, made)
    return made
  }
}

function createMasker(rules: Rules, literals: Literals, limits: BodyLimits): Masker {
  const idle = rules.empty && literals.empty
  let tally = createTally()
  const finderWith = (counts: Tally): Finder => createFinder(rules, literals, counts)
  const finder = finderWith({ hit: kind => tally.hit(kind), report: () => tally.report() })

  function text(value: string): string {
    if (idle || value.length < 1) return value
    const bytes = toBytes(value)
    const spans = finder.findEscaped(bytes, '')
    return spans.length === 0 ? value : fromBytes(finder.apply(bytes, spans))
  }

  /** A value with a name: masked whole where a rule or the name says so. */
  function named(name: string, value: string, chosen: boolean): string {
    if (idle || value === '') return value
    const bytes = toBytes(value)
    const lower = toBytes(name)
    const kind = finder.kindOfField(rules.field(lower), lower, bytes) ?? (chosen ? fieldKind : undefined)
    if (kind !== undefined) return finder.replace(kind, bytes)
    const spans = finder.find(bytes, lower)
    return spans.length === 0 ? value : fromBytes(finder.apply(bytes, spans))
  }

  return {
    idle,
    rules,
    body(body: AsyncIterable<Buffer>, meta: ContentMeta): MaskedBody {
      if (idle)
        return { body, encodings: meta.encodings, altered: false, report: () => ({ count: 0, kinds: [] }) }
      const counts = createTally()
      if (rules.empty) return guardBody(body, meta, { literals, tally: counts, limits })
      return maskBody(body, meta, { finder: finderWith(counts), tally: counts, limits })
    },
    header: (name, value) => named(name, value, rules.header(toBytes(name))),
    parameter: (name, value) => named(name, value, rules.parameter(toBytes(name))),
    text,
    json: value => (idle ? value : maskJson(value, finder)),
    takeReport(): MaskReport {
      const report = tally.report()
      tally = createTally()
      return report
    },
  }
}
