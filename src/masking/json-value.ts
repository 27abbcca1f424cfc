import { fromBytes, toBytes } from './bytes.ts'
import { isCardNumber } from './detectors/payment-card.ts'
import type { Finder } from './finder.ts'
import { descend, type PathState, selects, startPaths } from './paths.ts'
import { type FieldFacts, fieldKind } from './rules.ts'
import type { Span } from './spans.ts'
import { unable } from './transform.ts'

const mostDepth = 512
const noFacts: FieldFacts = { selected: false, hex: false, secret: false }

/** Where a value stands. */
interface Place {
  readonly name: string
  readonly facts: FieldFacts
  readonly paths: PathState
  readonly chosen: boolean
  readonly depth: number
}

/** Masks a JSON value as the streaming mask does its bytes. Parts that did not change are shared with the original. */
export function maskJson(value: unknown, finder: Finder): unknown {
  const { rules } = finder
  return mask(value, { name: '', facts: noFacts, paths: startPaths(rules.paths), chosen: false, depth: 0 })

  function mask(each: unknown, place: Place): unknown {
    if (typeof each === 'string') return maskString(each, place)
    if (typeof each === 'number' || typeof each === 'bigint') return maskNumber(each, place)
    if (typeof each !== 'object' || each === null) return each
    if (place.depth >= mostDepth) throw unable('the JSON is nested too deep')
    return Array.isArray(each) ? maskArray(each, place) : maskObject(each as Record<string, unknown>, place)
  }

  function below(place: Place, step: string, facts: FieldFacts): Place {
    const paths = rules.paths.length === 0 ? place.paths : descend(rules.paths, place.paths, step)
    const chosen = place.chosen || facts.selected || (rules.paths.length > 0 && selects(rules.paths, paths))
    return { name: place.name, facts, paths, chosen, depth: place.depth + 1 }
  }

  function maskArray(list: readonly unknown[], place: Place): unknown {
    const masked = list.map((each, index) => mask(each, below(place, String(index), place.facts)))
    return masked.some((each, index) => each !== list[index]) ? masked : list
  }

  function maskObject(object: Record<string, unknown>, place: Place): unknown {
    let changed = false
    const entries = Object.entries(object).map(([key, each]) => {
      const name = toBytes(key)
      const masked = mask(each, { ...below(place, name, rules.field(name)), name })
      const spans = name.length < finder.shortest ? [] : finder.find(name, '')
      changed ||= masked !== each || spans.length > 0
      return [spans.length === 0 ? key : fromBytes(finder.apply(name, spans)), masked] as const
    })
    return changed ? Object.fromEntries(entries) : object
  }

  function maskString(text: string, place: Place): string {
    const bytes = toBytes(text)
    const kind = place.chosen && bytes !== '' ? fieldKind : finder.kindOfField(place.facts, place.name, bytes)
    if (kind !== undefined) return finder.replace(kind, bytes)
    if (bytes.length < finder.shortest) return text
    const spans = finder.find(bytes, place.name)
    return spans.length === 0 ? text : fromBytes(finder.apply(bytes, spans))
  }

  function maskNumber(number: number | bigint, place: Place): unknown {
    const token = String(number)
    if (place.chosen) return finder.replace(fieldKind, token)
    if (place.facts.secret) return finder.replace('secret', token)
    if (
      rules.kinds.has('payment-card') &&
      token.length >= 14 &&
      token.length <= 16 &&
      isCardNumber(token, false)
    )
      return finder.replace('payment-card', token)
    const spans: Span[] = []
    if (token.length >= finder.literals.shortest) finder.literals.find(token, spans)
    return spans.length === 0 ? number : finder.replace(spans[0]!.kind, token)
  }
}
