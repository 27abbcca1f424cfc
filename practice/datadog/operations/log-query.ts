/**
 * Datadog's search syntax for logs: words and phrases of the message, `tag:value`, `@attribute:value`, `*` and `?`,
 * `AND`, `OR`, `NOT` and `-`, parentheses around terms and around values, `[1 TO 5]`, `{1 TO 5}`, `>`, `<=`. Values of
 * attributes and tags are compared as they are written, words of the message in any case.
 */
import type { Json } from '../wire.ts'

/** A log as searches see it. */
export interface SearchedLog {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly host: string
  readonly service: string
  readonly source: string
  readonly status: string
  readonly message: string
  readonly tags: readonly string[]
  readonly attributes: Json
}

const reserved: ReadonlySet<string> = new Set([
  'message',
  'ddsource',
  'ddtags',
  'hostname',
  'service',
  'status',
  'timestamp',
])

/** What was sent, as Datadog would index it. */
export function searchable(
  record: Json,
  of: { readonly id: string; readonly time: number; readonly tags?: readonly string[] },
): SearchedLog {
  const text = (name: string) => (typeof record[name] === 'string' ? record[name] : '')
  const sent = record['timestamp']
  const time = typeof sent === 'number' ? sent : Date.parse(text('timestamp')) || of.time
  const source = text('ddsource')
  const tags =
    of.tags ??
    text('ddtags')
      .split(',')
      .filter(tag => tag !== '')
  return {
    id: of.id,
    time,
    host: text('hostname'),
    service: text('service'),
    source,
    status: text('status') || 'info',
    message: text('message'),
    tags: source === '' ? tags : [...tags, `source:${source}`],
    attributes: Object.fromEntries(Object.entries(record).filter(([name]) => !reserved.has(name))),
  }
}

export type Predicate = (log: SearchedLog) => boolean

/** The query as a function. Throws SyntaxError where it is none. */
export function parseLogQuery(query: string): Predicate {
  const parser = new Parser(query)
  const predicate = parser.either()
  parser.end()
  return predicate
}

/** Whether the log is what the query asks for. */
export function matches(log: SearchedLog, query: string): boolean {
  return parseLogQuery(query)(log)
}

const anything: Predicate = () => true
/** What a word or value ends at. */
const wordPattern = /(?:\\.|[^\s()"\\])+/y

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  either(): Predicate {
    const parts = [this.#all()]
    while (this.#word('OR')) parts.push(this.#all())
    return parts.length === 1 ? parts[0]! : log => parts.some(part => part(log))
  }

  end(): void {
    this.#space()
    if (this.#at < this.#text.length) throw new SyntaxError(`unexpected ${this.#text.slice(this.#at)}`)
  }

  #all(): Predicate {
    const parts: Predicate[] = []
    for (;;) {
      this.#space()
      const next = this.#text[this.#at]
      if (next === undefined || next === ')' || this.#ahead('OR')) break
      if (this.#word('AND')) continue
      parts.push(this.#one())
    }
    if (parts.length === 0) return anything
    return parts.length === 1 ? parts[0]! : log => parts.every(part => part(log))
  }

  #one(): Predicate {
    if (this.#take('-') || this.#word('NOT')) {
      this.#space()
      const inner = this.#one()
      return log => !inner(log)
    }
    if (this.#take('(')) return this.#grouped(() => this.either())
    const key = this.#match(/[@\w./-]+:/y)?.slice(0, -1)
    if (key === undefined) return freeText(this.#value())
    const of = valuesOf(key)
    if (this.#take('(')) return this.#grouped(() => this.#values(of))
    return this.#comparison(of)
  }

  #grouped<T>(read: () => T): T {
    if (++this.#depth > 100) throw new SyntaxError('too deep')
    const inner = read()
    this.#space()
    if (!this.#take(')')) throw new SyntaxError('a parenthesis is not closed')
    this.#depth--
    return inner
  }

  /** `(a OR b)` after a key. */
  #values(of: Values): Predicate {
    const parts: Predicate[] = []
    do {
      this.#space()
      parts.push(this.#comparison(of))
    } while (this.#word('OR'))
    return log => parts.some(part => part(log))
  }

  #comparison(of: Values): Predicate {
    const range = this.#match(/[[{]\s*\S+\s+TO\s+[^\s\]}]+\s*[\]}]/y)
    if (range !== undefined) return ranged(of, range)
    const sign = this.#match(/>=|<=|>|</y)
    const wanted = this.#value()
    if (sign !== undefined) return compared(of, sign, wanted.text)
    return log => of(log).some(value => wanted.is(value))
  }

  #value(): Pattern {
    const quoted = this.#match(/"(?:\\.|[^"\\])*"/y)
    if (quoted !== undefined) return exactly(quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1'))
    const word = this.#match(wordPattern)
    if (word === undefined) throw new SyntaxError(`a value is missing at ${this.#at}`)
    return pattern(word)
  }

  #word(word: string): boolean {
    this.#space()
    if (!this.#ahead(word)) return false
    this.#at += word.length
    return true
  }

  #ahead(word: string): boolean {
    const after = this.#text[this.#at + word.length]
    return this.#text.startsWith(word, this.#at) && (after === undefined || /[\s()]/.test(after))
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #space(): void {
    this.#match(/\s*/y)
  }
}

interface Pattern {
  readonly text: string
  is(value: string): boolean
}

function exactly(text: string): Pattern {
  return { text, is: value => value === text }
}

/** A word with `*` for any characters and `?` for one, unless they are escaped. */
function pattern(word: string): Pattern {
  if (word === '*') return { text: word, is: value => value !== '' }
  const parts: readonly string[] = word.match(/\\.|\*|\?|[^\\*?]+|\\$/g) ?? []
  const plain = (part: string) => part.replace(/^\\(.)/, '$1')
  if (!parts.includes('*') && !parts.includes('?')) return exactly(parts.map(plain).join(''))
  const source = parts.map(part =>
    part === '*' ? '.*' : part === '?' ? '.' : plain(part).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  )
  const whole = new RegExp(`^${source.join('')}$`, 's')
  return { text: word, is: value => whole.test(value) }
}

function freeText({ text }: Pattern): Predicate {
  if (text === '*') return anything
  const inside = pattern(`*${text.toLowerCase()}*`)
  return log => inside.is(log.message.toLowerCase())
}

function compared(of: Values, sign: string, text: string): Predicate {
  const limit = Number(text)
  const holds: Readonly<Record<string, (value: number) => boolean>> = {
    '>': value => value > limit,
    '>=': value => value >= limit,
    '<': value => value < limit,
    '<=': value => value <= limit,
  }
  return log => of(log).some(value => value !== '' && holds[sign]!(Number(value)))
}

function ranged(of: Values, range: string): Predicate {
  const [low, high] = range
    .slice(1, -1)
    .trim()
    .split(/\s+TO\s+/) as [string, string]
  const from = low === '*' ? anything : compared(of, range.startsWith('[') ? '>=' : '>', low)
  const to = high === '*' ? anything : compared(of, range.endsWith(']') ? '<=' : '<', high)
  return log => from(log) && to(log)
}

/** What a log has under a key: none, one, or several where it is a list or a tag. */
export type Values = (log: SearchedLog) => readonly string[]

export function valuesOf(key: string): Values {
  if (key.startsWith('@')) {
    const path = key.slice(1)
    return log => texts(valueAt(log.attributes, path))
  }
  if (key === 'host' || key === 'service' || key === 'source' || key === 'status') return log => [log[key]]
  const prefix = `${key.toLowerCase()}:`
  return log =>
    log.tags
      .map(tag => tag.toLowerCase())
      .filter(tag => tag.startsWith(prefix))
      .map(tag => tag.slice(prefix.length))
}

function texts(value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value.flatMap(texts)
  return typeof value === 'object' ? [] : [String(value)]
}

/** The value at a dotted path. */
export function valueAt(from: Json, path: string): unknown {
  let value: unknown = from
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Json)[name]
  }
  return value
}
