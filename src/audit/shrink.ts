import type { Json } from './canonical-json.ts'

type Fields = Record<string, Json>

/** What an entry keeps longest: who, what, on which resource, with which end. The rest is a protocol's own facts. */
export const coreKeys: ReadonlySet<string> = new Set([
  'action',
  'altered',
  'approval',
  'bytes_in',
  'bytes_out',
  'client',
  'connection',
  'decision',
  'digest',
  'duration',
  'error',
  'intent',
  'kind',
  'known',
  'log',
  'masked',
  'operation',
  'outcome',
  'reason',
  'recording',
  'resource',
  'risk',
  'session',
  'subject',
  'time',
  'truncated',
  'upstream_duration',
  'v',
])

/**
 * Makes an entry's fields fit, as measured by `fits`, and marks them `truncated: true`. In this order: long strings
 * and arrays of the protocol's facts are cut, then cut harder, then those facts go, largest first; then the strings
 * of the core are cut. An ending is never lost for its size.
 */
export function shrink(fields: Fields, fits: (fields: Fields) => boolean): Fields {
  let current: Fields = { ...fields, truncated: true }
  for (const limit of [1024, 128]) {
    current = cutFields(current, limit, key => !coreKeys.has(key))
    if (fits(current)) return current
  }
  const facts = Object.keys(current).filter(key => !coreKeys.has(key))
  const sizes = new Map(facts.map(key => [key, JSON.stringify(current[key]).length]))
  for (const key of facts.sort((a, b) => sizes.get(b)! - sizes.get(a)!)) {
    delete current[key]
    if (fits(current)) return current
  }
  for (const limit of [512, 64]) {
    current = cutFields(current, limit, key => coreKeys.has(key) && key !== 'log')
    if (fits(current)) return current
  }
  const { approval: _approval, masked: _masked, ...bare } = current
  return bare
}

function cutFields(fields: Fields, limit: number, chosen: (key: string) => boolean): Fields {
  const out: Fields = {}
  for (const [key, value] of Object.entries(fields)) out[key] = chosen(key) ? cut(value, limit, 0) : value
  return out
}

function cut(value: Json, limit: number, depth: number): Json {
  if (typeof value === 'string') return value.length <= limit ? value : cutString(value, limit)
  if (value === null || typeof value !== 'object') return value
  if (depth >= 6) return '…'
  const many = Math.max(4, limit / 16)
  if (Array.isArray(value)) return value.slice(0, many).map((each: Json) => cut(each, limit, depth + 1))
  const out: Fields = {}
  for (const [key, each] of Object.entries(value).slice(0, many)) {
    out[cutString(key, limit)] = cut(each, limit, depth + 1)
  }
  return out
}

function cutString(value: string, limit: number): string {
  if (value.length <= limit) return value
  const end = /[\uD800-\uDBFF]/.test(value[limit - 1]!) ? limit - 1 : limit
  return `${value.slice(0, end)}…`
}
