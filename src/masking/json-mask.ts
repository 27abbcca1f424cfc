/**
 * Masks JSON while it streams and changes nothing else: numbers, order, white space and the escapes of strings that
 * hold nothing stay byte for byte. Several values in a row are taken as they come, which covers NDJSON. What turns
 * out not to be JSON goes on as text.
 */
import { backslash, classes, control, quote } from './detectors/characters.ts'
import { isCardNumber } from './detectors/payment-card.ts'
import { unescapeJson } from './escapes.ts'
import { type Finder, type Lookout, rawSpan } from './finder.ts'
import { descend, type PathState, selects, startPaths } from './paths.ts'
import { type FieldFacts, fieldKind } from './rules.ts'
import type { Span } from './spans.ts'
import { createTextMask } from './text-mask.ts'
import { type Transform, unable } from './transform.ts'

export interface JsonOptions {
  readonly maxBuffered: number
  /** The body is declared to be JSON: where it is not, paths can not be followed, and it is refused. */
  readonly declared?: boolean
  /** Values are on lines of their own (NDJSON): after a line that is not JSON the next one is tried again. */
  readonly lines?: boolean
}

const mostDepth = 4096
const longestScalar = 1100
/** From this length on, one look over the whole costs less than it saves on the parts. */
const worthALook = 256
const stop = quote | backslash | control

const number = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const words = new Set(['true', 'false', 'null', 'NaN', 'Infinity', '-Infinity'])
const noPaths: PathState = []
const noFacts: FieldFacts = { selected: false, hex: false, secret: false }

/** What may come next. */
type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma-or-end'

interface Level {
  readonly object: boolean
  /** A rule chose the whole container: every string and number in it is masked. */
  readonly chosen: boolean
  readonly paths: PathState
  /** The current key, which the elements of an array take over from the array. */
  name: string
  facts: FieldFacts
  index: number
}

export function createJsonMask(finder: Finder, options: JsonOptions): Transform {
  return new JsonMask(finder, options)
}

class JsonMask implements Transform {
  readonly #finder: Finder
  readonly #options: JsonOptions
  readonly #cards: boolean
  #levels: Level[] = []
  #expect: Expect = 'value'
  /** The raw text of a token that a chunk ended in. */
  #held: string[] = []
  #heldSize = 0
  #inString = false
  #escaping = false
  #bits = 0
  /** Takes over once the text is no JSON. */
  #text: Transform | undefined
  #out = ''
  #copied = 0
  /** Of the text that is gone through, for what stands in it without escapes. */
  #lookout: Lookout | undefined

  constructor(finder: Finder, options: JsonOptions) {
    this.#finder = finder
    this.#options = options
    this.#cards = finder.rules.kinds.has('payment-card')
  }

  push(chunk: string): string {
    if (this.#options.lines !== true) return this.#take(chunk)
    // Line by line: each line that is no JSON ends with its line break.
    let out = ''
    for (let from = 0; from < chunk.length; ) {
      const line = chunk.indexOf('\n', from) + 1
      const to = line === 0 ? chunk.length : line
      out += this.#take(from === 0 && to === chunk.length ? chunk : chunk.slice(from, to))
      from = to
    }
    return out
  }

  #take(chunk: string): string {
    if (this.#text !== undefined) return this.#pushText(this.#text, chunk)
    let text = chunk
    if (this.#inString) {
      const end = this.#endOfString(chunk, 0)
      if (end === -1) return this.#hold(chunk)
      text = this.#release() + chunk
      // What was held is known to hold no end of the string.
      return this.#run(text, end === -2 ? -2 : end + text.length - chunk.length)
    }
    if (this.#held.length > 0) text = this.#release() + chunk
    return this.#run(text, undefined)
  }

  end(): string {
    const rest = this.#release()
    if (this.#text !== undefined) return this.#text.end()
    if (rest === '') return ''
    if (!this.#inString) {
      const out = this.#run(`${rest}\n`, undefined)
      return (this.#text === undefined ? out : out + (this.#text as Transform).end()).slice(0, -1)
    }
    // A string without an end: its content may still be a secret.
    const text = createTextMask(this.#finder, this.#textOptions())
    return text.push(rest) + text.end()
  }

  #pushText(text: Transform, chunk: string): string {
    const line = this.#options.lines === true ? chunk.indexOf('\n') + 1 : 0
    if (line === 0) return text.push(chunk)
    const out = text.push(chunk.slice(0, line)) + text.end()
    this.#text = undefined
    this.#levels = []
    this.#expect = 'value'
    return line === chunk.length ? out : out + this.#take(chunk.slice(line))
  }

  #hold(chunk: string): string {
    this.#held.push(chunk)
    this.#heldSize += chunk.length
    if (this.#heldSize > this.#options.maxBuffered)
      throw unable('a JSON string is longer than masking.max_buffered')
    return ''
  }

  #release(): string {
    const text = this.#held.length === 1 ? this.#held[0]! : this.#held.join('')
    this.#held = []
    this.#heldSize = 0
    return text
  }

  /** Goes through the text; `end` is the end of the string that it begins with, where that is known. */
  #run(text: string, end: number | undefined): string {
    this.#out = ''
    this.#copied = 0
    this.#lookout = text.length < worthALook ? undefined : this.#finder.lookOver(text)
    let index = 0
    if (end !== undefined) {
      this.#inString = false
      if (end === -2) return this.#giveUp(text, 0)
      this.#string(text, 0, end)
      index = end
    }
    while (index < text.length && this.#text === undefined) {
      const code = text.charCodeAt(index)
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) index++
      else if (code === 0x22) {
        if (this.#expect === 'colon' || this.#expect === 'comma-or-end') return this.#giveUp(text, index)
        this.#bits = 0
        this.#escaping = false
        const close = this.#endOfString(text, index + 1)
        if (close === -2) return this.#giveUp(text, index)
        if (close === -1) {
          this.#inString = true
          return this.#flushTo(text, index)
        }
        this.#string(text, index, close)
        index = close
      } else if (this.#punctuation(code)) index++
      else {
        const next = this.#scalar(text, index)
        if (next === -1) return this.#flushTo(text, index)
        if (next === -2) return this.#giveUp(text, index)
        index = next
      }
    }
    return this.#finish(text)
  }

  #finish(text: string): string {
    return this.#copied === 0 ? text : this.#out + text.slice(this.#copied)
  }

  #flushTo(text: string, index: number): string {
    const out = this.#out + text.slice(this.#copied, index)
    this.#hold(text.slice(index))
    return out
  }

  /** The index after the closing quote, -1 where the text ends first, -2 where no JSON string goes on like this. */
  #endOfString(text: string, from: number): number {
    let bits = this.#bits
    let index = from
    if (this.#escaping && index < text.length) {
      this.#escaping = false
      index++
    }
    for (; index < text.length; index++) {
      const each = classes[text.charCodeAt(index)]!
      bits |= each
      if ((each & stop) === 0) continue
      if ((each & quote) !== 0) {
        this.#bits = bits
        return index + 1
      }
      if ((each & control) !== 0) return -2
      index++
    }
    this.#escaping = index > text.length
    this.#bits = bits
    return -1
  }

  /** Structure. False where the byte is none, or comes at the wrong place. */
  #punctuation(code: number): boolean {
    const level = this.#levels.at(-1)
    switch (code) {
      case 0x7b: // {
      case 0x5b: // [
        if (this.#expect !== 'value' && this.#expect !== 'value-or-end') return false
        this.#open(code === 0x7b)
        return true
      case 0x7d: // }
      case 0x5d: // ]
        if (level?.object !== (code === 0x7d)) return false
        if (
          this.#expect !== 'comma-or-end' &&
          this.#expect !== (level.object ? 'key-or-end' : 'value-or-end')
        )
          return false
        this.#levels.pop()
        this.#ended()
        return true
      case 0x3a: // :
        if (this.#expect !== 'colon') return false
        this.#expect = 'value'
        return true
      case 0x2c: // ,
        if (this.#expect !== 'comma-or-end' || level === undefined) return false
        level.index++
        this.#expect = level.object ? 'key' : 'value'
        return true
      default:
        return false
    }
  }

  #open(object: boolean): void {
    const parent = this.#levels.at(-1)
    if (this.#levels.length >= mostDepth) throw unable('the JSON is nested too deep')
    const paths = this.#pathsHere(parent)
    this.#levels.push({
      object,
      chosen: this.#isChosen(parent, paths),
      paths,
      name: object ? '' : (parent?.name ?? ''),
      facts: object ? noFacts : (parent?.facts ?? noFacts),
      index: 0,
    })
    this.#expect = object ? 'key-or-end' : 'value-or-end'
  }

  #pathsHere(parent: Level | undefined): PathState {
    const { paths } = this.#finder.rules
    if (paths.length === 0) return noPaths
    if (parent === undefined) return startPaths(paths)
    return descend(paths, parent.paths, parent.object ? parent.name : String(parent.index))
  }

  #isChosen(parent: Level | undefined, paths: PathState): boolean {
    if (parent === undefined) return false
    return parent.chosen || parent.facts.selected || selects(this.#finder.rules.paths, paths)
  }

  #ended(): void {
    this.#expect = this.#levels.length === 0 ? 'value' : 'comma-or-end'
  }

  /** A whole string, quotes included: a key where one may stand, else a value. */
  #string(text: string, start: number, end: number): void {
    const escaped = (this.#bits & backslash) !== 0
    const bits = this.#bits & ~quote
    const level = this.#levels.at(-1)
    const isKey = this.#expect === 'key' || this.#expect === 'key-or-end'
    if (isKey) {
      const raw = text.slice(start + 1, end - 1)
      const name = escaped ? unescapeJson(raw).bytes : raw
      level!.name = name
      level!.facts = this.#finder.rules.field(name)
      this.#expect = 'colon'
    } else this.#ended()
    const facts = isKey || level === undefined ? noFacts : level.facts
    const chosen = !isKey && this.#isChosen(level, this.#pathsHere(level))
    const named = facts.selected || facts.secret || facts.hex
    if (end - start - 2 < this.#finder.shortest && !named && !chosen) return
    this.#inspect(text, { start: start + 1, end: end - 1, bits, escaped, isKey, chosen, facts })
  }

  #inspect(
    text: string,
    at: {
      start: number
      end: number
      bits: number
      escaped: boolean
      isKey: boolean
      chosen: boolean
      facts: FieldFacts
    },
  ): void {
    const raw = text.slice(at.start, at.end)
    const unescaped = at.escaped ? unescapeJson(raw) : undefined
    const value = unescaped?.bytes ?? raw
    const name = at.isKey ? '' : (this.#levels.at(-1)?.name ?? '')
    const kind = at.chosen && value !== '' ? fieldKind : this.#finder.kindOfField(at.facts, name, value)
    if (kind !== undefined) {
      this.#replace(text, at, this.#finder.replace(kind, value))
      return
    }
    const known = at.escaped ? undefined : { bits: at.bits, lookout: this.#lookout }
    const spans = this.#finder.find(value, name, known)
    if (spans.length === 0) return
    const masked =
      unescaped === undefined
        ? this.#finder.apply(raw, spans)
        : this.#finder.apply(
            raw,
            spans.map(span => rawSpan(unescaped, span)),
            spans.map(span => value.slice(span.start, span.end)),
          )
    this.#replace(text, at, masked)
  }

  #replace(text: string, range: { start: number; end: number }, by: string): void {
    this.#out += text.slice(this.#copied, range.start) + by
    this.#copied = range.end
  }

  /** A number or word: the index after it, -1 where the text ends in it, -2 where it is neither. */
  #scalar(text: string, start: number): number {
    if (this.#expect !== 'value' && this.#expect !== 'value-or-end') return -2
    let end = start
    let digits = true
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end)
      if (code >= 0x30 && code <= 0x39) continue
      // White space, comma, brackets and quotes end it.
      if (code <= 0x22 || code === 0x2c || code === 0x5d || code === 0x7d || code === 0x5b || code === 0x7b)
        break
      digits = false
    }
    if (end === start || end - start > longestScalar) return -2
    if (end === text.length) return -1
    const token = text.slice(start, end)
    if (!digits && !words.has(token) && !number.test(token)) return -2
    const level = this.#levels.at(-1)
    this.#ended()
    if (words.has(token)) return end
    const kind = this.#kindOfNumber(level, token)
    if (kind !== undefined) this.#replace(text, { start, end }, `"${this.#finder.replace(kind, token)}"`)
    return end
  }

  #kindOfNumber(level: Level | undefined, token: string): string | undefined {
    if (level !== undefined && this.#isChosen(level, this.#pathsHere(level))) return fieldKind
    if (level?.facts.secret === true) return 'secret'
    // Ids and times have 13 and 17 to 19 digits too often.
    if (this.#cards && token.length >= 14 && token.length <= 16 && isCardNumber(token, false))
      return 'payment-card'
    if (token.length < this.#finder.literals.shortest || this.#lookout?.literals === false) return undefined
    const spans: Span[] = []
    this.#finder.literals.find(token, spans)
    return spans[0]?.kind
  }

  /** No JSON from here on: the rest is masked as text, and knows the key that it may be the value of. */
  #giveUp(text: string, index: number): string {
    if (this.#options.declared === true && this.#finder.rules.paths.length > 0)
      throw unable('the JSON is not valid, so the paths of a mask can not be followed')
    const out = this.#out + text.slice(this.#copied, index)
    const mask = createTextMask(this.#finder, this.#textOptions())
    this.#text = mask
    return out + this.#pushText(mask, text.slice(index))
  }

  #textOptions(): { maxBuffered: number; before: string } {
    const name = this.#levels.at(-1)?.name ?? ''
    const before = name === '' || this.#expect !== 'value' ? '' : `"${name}": `
    return { maxBuffered: this.#options.maxBuffered, before }
  }
}
