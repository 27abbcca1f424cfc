/**
 * What the search tables know of an entry. Every backend takes it from here, so that the same query finds the same
 * entries in each of them. Bytes that are no JSON object have no facts and are found by their index alone.
 */

export interface EntryFacts {
  /** Milliseconds since the epoch; 0 where the entry has no time. */
  readonly time: number
  readonly kind: string
  /**
   * Id, e-mail and name of the subject and of the person it acts for; lower case, each once. First the one that the
   * subject is shown by, the others sorted.
   */
  readonly names: readonly string[]
  readonly connection: string
  readonly operation: string
  readonly outcome: string
  readonly session: string
  readonly action: string
  readonly approval: string
  /** The trace it is in; else the one its client claims. */
  readonly trace: string
  /** The different words of the entry, as `wordsOf` makes them. */
  readonly words: ReadonlySet<string>
}

const deepest = 64

/** The same in every entry, or different in every entry: nobody searches for them by word. */
const wordless = new Set(['v', 'log', 'seq', 'time', 'duration', 'upstream_duration', 'recording'])

/** Reads an entry's facts. Absent facts are empty strings. */
export function readFacts(bytes: Uint8Array): EntryFacts {
  const entry = parse(bytes)
  const subject = objectOf(entry['subject'])
  const { approval, connection, trace, claimed } = entry
  return {
    time: Date.parse(textOf(entry['time'])) || 0,
    kind: textOf(entry['kind']),
    names: namesOf(subject, objectOf(subject['on_behalf_of'])),
    connection: textOf(connection) || textOf(objectOf(connection)['name']),
    operation: textOf(entry['operation']),
    outcome: textOf(entry['outcome']),
    session: textOf(entry['session']),
    action: textOf(entry['action']),
    approval: textOf(approval) || textOf(objectOf(approval)['id']),
    trace: textOf(objectOf(trace)['trace_id']) || textOf(objectOf(objectOf(claimed)['trace'])['trace_id']),
    words: entryWords(entry),
  }
}

/** The words of a text: runs of letters, marks and digits of any script, in lower case. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
}

/** Whether `text` is as `pattern` says, in which each `*` stands for any run of characters. Linear in both. */
export function matchesGlob(pattern: string, text: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0]!
  if (parts.length === 1) return text === first
  const last = parts.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= text.length - last.length
}

type Fields = Readonly<Record<string, unknown>>

function parse(bytes: Uint8Array): Fields {
  try {
    return objectOf(
      JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')),
    )
  } catch {
    return {}
  }
}

function objectOf(value: unknown): Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function namesOf(...principals: Fields[]): string[] {
  const names = principals.flatMap(({ id, email, name }) => [textOf(id), textOf(email), textOf(name)])
  const { email, name, id } = principals[0] ?? {}
  const shown = textOf(email) || textOf(name) || textOf(id)
  const sorted = names.filter(each => each !== '').map(each => each.toLowerCase())
  return [...new Set([...(shown === '' ? [] : [shown.toLowerCase()]), ...sorted.sort()])]
}

function entryWords(entry: Fields): Set<string> {
  const words = new Set<string>()
  for (const key of Object.keys(entry)) if (!wordless.has(key)) collect(entry[key], words, 0)
  return words
}

function collect(value: unknown, words: Set<string>, depth: number): void {
  if (typeof value === 'string') addWords(value, words)
  else if (typeof value === 'number') addWords(String(value), words)
  else if (value !== null && typeof value === 'object' && depth < deepest) {
    for (const key of Object.keys(value)) collect((value as Fields)[key], words, depth + 1)
  }
}

/** Adds what `wordsOf` gives. Texts are short and many: while they are ASCII, no pattern is needed. */
function addWords(text: string, words: Set<string>): void {
  const lower = text.toLowerCase()
  let from = -1
  for (let at = 0; at < lower.length; at++) {
    const code = lower.charCodeAt(at)
    if (code > 0x7f) {
      for (const word of wordsOf(lower)) words.add(word)
      return
    }
    const within = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
    if (within && from < 0) from = at
    else if (!within && from >= 0) {
      words.add(lower.slice(from, at))
      from = -1
    }
  }
  if (from >= 0) words.add(lower.slice(from))
}
