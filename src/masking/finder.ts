/** What a masker's rules and literal secrets find in one piece of text, and what is put in its place. */
import { fromBytes, toBytes } from './bytes.ts'
import { classesOf } from './detectors/characters.ts'
import type { Detector } from './detectors/detector.ts'
import { findNamedValues } from './detectors/key-values.ts'
import { kindOfSecret, isPlaceholder } from './detectors/secret-names.ts'
import { type Unescaped, unescapeJson } from './escapes.ts'
import type { Literals } from './literals.ts'
import { type FieldFacts, type Pattern, type Rules, fieldKind } from './rules.ts'
import { mergeSpans, type Span } from './spans.ts'
import type { Tally } from './tally.ts'
import { replacement } from './ways.ts'

/** What may be found in the parts of a text, by one quick look at the whole. */
export interface Lookout {
  readonly detectors: readonly Detector[]
  /** False where no literal stands in the text. */
  readonly literals: boolean
}

/** What is known of a text before it is searched. */
export interface Known {
  /** The classes of its bytes. */
  readonly bits?: number | undefined
  /** Of a text that this one is a part of, byte for byte. */
  readonly lookout?: Lookout | undefined
}

export interface Finder {
  readonly rules: Rules
  readonly literals: Literals
  /** Shorter texts hold nothing, unless their field's name says so. */
  readonly shortest: number
  /** `before`: what stands before the text. */
  find(text: string, before: string, known?: Known): readonly Span[]
  /** Rules out what no part of this text can hold, so that many small parts are searched for little. */
  lookOver(text: string): Lookout
  /** As `find`, for text without a known form: behind JSON escapes too, and what names beside a value select. */
  findEscaped(text: string, before: string): readonly Span[]
  /** The kind under which a field's value is masked whole, or undefined. */
  kindOfField(facts: FieldFacts, name: string, value: string): string | undefined
  /** What stands in the place of the value; counted. */
  replace(kind: string, bytes: string): string
  /** The text with the spans replaced; `values` where the text is escaped. */
  apply(text: string, spans: readonly Span[], values?: string[]): string
}

const shortestFound = 4
const hexKey = /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40})$/

export function createFinder(rules: Rules, literals: Literals, tally: Tally): Finder {
  const shortest =
    rules.patterns.length > 0 ? 1 : rules.detectors.length > 0 ? shortestFound : literals.shortest
  const { kinds } = rules
  const everything: Lookout = { detectors: rules.detectors, literals: !literals.empty }

  function find(text: string, before: string, known: Known = {}): readonly Span[] {
    const spans: Span[] = []
    const { detectors, literals: anyLiteral } = known.lookout ?? everything
    if (text.length >= shortestFound && detectors.length > 0) {
      const bits = known.bits ?? classesOf(text)
      for (const detector of detectors) {
        if (text.length < detector.shortest || (bits & detector.all) !== detector.all) continue
        if (detector.any !== 0 && (bits & detector.any) === 0) continue
        detector.find(
          text,
          (start, end, kind) => {
            if (kinds.has(kind)) spans.push({ start, end, kind })
            // A named secret of a kind that is off is still a named secret.
            else if (kinds.has('secret') && detector.kinds[0] === 'secret')
              spans.push({ start, end, kind: 'secret' })
          },
          before,
        )
      }
    }
    if (rules.patterns.length > 0) findPatterns(text, rules.patterns, spans)
    if (anyLiteral && text.length >= literals.shortest) literals.find(text, spans)
    return mergeSpans(spans)
  }

  /** Fields that rules select are masked in text too, where the name stands beside the value. */
  function findNamed(text: string, before: string): readonly Span[] {
    const spans = find(text, before)
    if (!rules.namesFields) return spans
    const named: Span[] = []
    const selected = (name: string): boolean => rules.field(name).selected
    findNamedValues(text, selected, (start, end) => named.push({ start, end, kind: fieldKind }))
    return named.length === 0 ? spans : mergeSpans([...spans, ...named])
  }

  const replace = (kind: string, bytes: string): string => {
    tally.hit(kind)
    return replacement(rules.wayOf(kind), { kind, bytes }, rules.hashKey)
  }

  return {
    rules,
    literals,
    shortest: Math.min(shortest, literals.shortest),
    find,
    lookOver: text => lookOver(text, rules, literals),
    findEscaped(text, before) {
      const plain = findNamed(text, before)
      if (!text.includes('\\u')) return plain
      const unescaped = unescapeJson(text)
      const behind = findNamed(unescaped.bytes, before).map(span => rawSpan(unescaped, span))
      return mergeSpans([...plain, ...behind])
    },
    kindOfField: (facts, name, value) => kindOfField(kinds, facts, { name, value }),
    replace,
    apply(text, spans, values) {
      let at = 0
      let result = ''
      for (const [index, { start, end, kind }] of spans.entries()) {
        result += text.slice(at, start) + replace(kind, values?.[index] ?? text.slice(start, end))
        at = end
      }
      return result + text.slice(at)
    },
  }
}

function lookOver(text: string, rules: Rules, literals: Literals): Lookout {
  const found: Span[] = []
  literals.find(text, found)
  return {
    detectors: rules.detectors.filter(each => each.mayHold?.(text) !== false),
    literals: found.length > 0,
  }
}

function kindOfField(
  kinds: ReadonlySet<string>,
  facts: FieldFacts,
  { name, value }: { readonly name: string; readonly value: string },
): string | undefined {
  if (facts.secret && !isPlaceholder(value)) {
    const kind = kindOfSecret(name, value)
    return facts.selected ? (kinds.has(kind) ? kind : fieldKind) : kinds.has(kind) ? kind : 'secret'
  }
  if (facts.selected && value.length > 0) return fieldKind
  if (facts.hex && hexKey.test(value)) {
    const kind = value.length === 32 ? 'datadog-api-key' : 'datadog-app-key'
    return kinds.has(kind) ? kind : fieldKind
  }
  return undefined
}

/** Where the span of an unescaped text stands in the raw one; an escape is never cut in two. */
export function rawSpan(unescaped: Unescaped, span: Span): Span {
  return { start: unescaped.origin[span.start]!, end: unescaped.origin[span.end]!, kind: span.kind }
}

/** Patterns are written for characters, so the text is shown to them as such and the ranges are counted in bytes. */
function findPatterns(bytes: string, patterns: readonly Pattern[], spans: Span[]): void {
  const decoded = fromBytes(bytes)
  // Bytes that are no UTF-8 are shown as they are, since their ranges could not be counted back.
  const text = toBytes(decoded) === bytes ? decoded : bytes
  const same = text.length === bytes.length
  for (const { name, regex } of patterns) {
    const matcher = regex.matcher(text)
    let seen = 0
    let offset = 0
    while (matcher.find()) {
      const [start, end] = [matcher.start(), matcher.end()]
      if (end === start) continue
      if (same) {
        spans.push({ start, end, kind: name })
        continue
      }
      offset += Buffer.byteLength(text.slice(seen, start))
      const length = Buffer.byteLength(text.slice(start, end))
      spans.push({ start: offset, end: offset + length, kind: name })
      offset += length
      seen = end
    }
  }
}
