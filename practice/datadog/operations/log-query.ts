/** A small part of Datadog's search syntax: words, `key:value`, `@attribute:value`, `-` before each, `*` at an end. */
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

/** Whether the log matches every term. */
export function matches(log: SearchedLog, query: string): boolean {
  const terms = query.match(/-?(?:[@\w.]+:)?(?:"[^"]*"|[^\s"]+)/g) ?? []
  return terms.every(term => {
    if (term === '*' || term === 'AND') return true
    const negated = term.startsWith('-')
    return holds(log, negated ? term.slice(1) : term) !== negated
  })
}

function holds(log: SearchedLog, term: string): boolean {
  const colon = term.startsWith('"') ? -1 : term.indexOf(':')
  if (colon < 0) return like(log.message, `*${unquoted(term)}*`)
  const key = term.slice(0, colon)
  const pattern = unquoted(term.slice(colon + 1))
  if (key.startsWith('@')) return like(String(valueAt(log.attributes, key.slice(1)) ?? ''), pattern)
  const own: Record<string, string> = {
    host: log.host,
    service: log.service,
    source: log.source,
    status: log.status,
  }
  if (key in own) return like(own[key]!, pattern)
  return log.tags.some(tag => like(tag, `${key}:${pattern}`))
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

function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1) : text
}

function like(value: string, pattern: string): boolean {
  const [wanted, held] = [pattern.toLowerCase(), value.toLowerCase()]
  const core = wanted.replace(/^\*/, '').replace(/\*$/, '')
  if (wanted === '*') return held !== ''
  if (wanted.startsWith('*') && wanted.endsWith('*')) return held.includes(core)
  if (wanted.startsWith('*')) return held.endsWith(core)
  return wanted.endsWith('*') ? held.startsWith(core) : held === core
}
