/**
 * Whether a value fits a JSON Schema (2020-12), told as far as it can be: what a pattern, a format or a keyword that is
 * not looked at here would say is unknown. No code is made of a schema and no expression of it is run, since it is the
 * word of a server; what is looked at is bounded whatever the schema refers to.
 */
import { type Fields, isFields } from './rpc.ts'

export type Verdict = 'yes' | 'no' | 'unknown'

export const deepest = 128
/** Pairs of a schema and a value that are looked at for one result: some milliseconds. */
const mostSteps = 200_000
const mostHops = 16

/** Keywords whose meaning is not told here, by the kind of value that they say something of. */
const untold = {
  any: ['if', '$dynamicRef', '$recursiveRef', '$id', 'id', 'nullable'],
  string: ['pattern', 'format', 'contentEncoding', 'contentMediaType', 'contentSchema'],
  number: ['format', 'multipleOf'],
  object: [
    'patternProperties',
    'propertyNames',
    'dependentSchemas',
    'dependentRequired',
    'dependencies',
    'unevaluatedProperties',
  ],
  array: ['unevaluatedItems', 'contains', 'additionalItems'],
} as const

/** A schema with what its references lead to, and how much of it may still be looked at. */
export class SchemaDocument {
  readonly root: Fields
  #steps = mostSteps

  constructor(root: Fields) {
    this.root = root
  }

  /** False once enough was looked at. */
  step(): boolean {
    return this.#steps-- > 0
  }

  /** What a reference within the document leads to; undefined for any other. */
  target(ref: unknown): unknown {
    let at: unknown = { $ref: ref }
    for (let hops = 0; isFields(at) && Object.hasOwn(at, '$ref'); hops++) {
      const alone = hops === 0 || Object.keys(at).length === 1
      if (!alone) return at
      if (hops > mostHops) return undefined
      at = this.#pointed(at['$ref'])
    }
    return at
  }

  /** RFC 6901, as the fragment of an address. */
  #pointed(ref: unknown): unknown {
    if (typeof ref !== 'string' || !/^#(?:\/|$)/.test(ref)) return undefined
    let found: unknown = this.root
    for (const part of ref.split('/').slice(1)) {
      const name = unescaped(part)
      if (name === undefined || typeof found !== 'object' || found === null || !Object.hasOwn(found, name))
        return undefined
      found = (found as Fields)[name]
    }
    return found
  }
}

function unescaped(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return undefined
  }
}

/** Whether the schema says something of such a value that is not told here. */
export function isUntold(document: SchemaDocument, schema: Fields, value: unknown): boolean {
  const has = (each: string): boolean => Object.hasOwn(schema, each)
  if (untold.any.some(each => has(each) && !(schema === document.root && each.endsWith('id')))) return true
  const kind = kindOf(value)
  return kind === 'string' || kind === 'number' || kind === 'object' || kind === 'array'
    ? untold[kind].some(has)
    : false
}

/** Never throws. `depth`: how far in the whole this value is. */
export function judge(
  document: SchemaDocument,
  schema: unknown,
  { value, depth }: { readonly value: unknown; readonly depth: number },
): Verdict {
  if (schema === true || schema === undefined) return 'yes'
  if (schema === false) return 'no'
  if (!isFields(schema) || depth > deepest || !document.step()) return 'unknown'
  const below = (each: unknown, of: unknown = value): Verdict =>
    judge(document, each, { value: of, depth: depth + 1 })
  return every(parts(document, { schema, value, below }))
}

type Below = (schema: unknown, value?: unknown) => Verdict

function* parts(
  document: SchemaDocument,
  { schema, value, below }: { readonly schema: Fields; readonly value: unknown; readonly below: Below },
): Generator<Verdict> {
  yield ofType(schema['type'], value)
  if (Object.hasOwn(schema, 'const')) yield isOneOf([schema['const']], value)
  if (schema['enum'] !== undefined) yield isOneOf(schema['enum'], value)
  if (isUntold(document, schema, value)) yield 'unknown'
  yield ofSize(schema, value)
  if (Object.hasOwn(schema, '$ref')) {
    const target = document.target(schema['$ref'])
    yield target === undefined ? 'unknown' : below(target)
  }
  const { allOf, anyOf, oneOf } = schema
  if (allOf !== undefined) yield Array.isArray(allOf) ? every(allOf.map(each => below(each))) : 'unknown'
  if (anyOf !== undefined) yield Array.isArray(anyOf) ? some(anyOf.map(each => below(each))) : 'unknown'
  if (oneOf !== undefined) yield Array.isArray(oneOf) ? one(oneOf.map(each => below(each))) : 'unknown'
  if (Object.hasOwn(schema, 'not')) yield opposite(below(schema['not']))
  if (Array.isArray(value)) yield* ofItems(schema, value, below)
  else if (isFields(value)) yield* ofMembers(schema, value, below)
}

function* ofItems(schema: Fields, value: readonly unknown[], below: Below): Generator<Verdict> {
  const { uniqueItems } = schema
  if (uniqueItems !== undefined && uniqueItems !== false) yield areDistinct(value)
  for (const [i, each] of value.entries()) {
    const of = itemSchema(schema, i)
    if (of !== undefined) yield below(of, each)
  }
}

function* ofMembers(schema: Fields, value: Fields, below: Below): Generator<Verdict> {
  const { required } = schema
  if (Array.isArray(required))
    yield required.every(name => typeof name === 'string' && Object.hasOwn(value, name)) ? 'yes' : 'no'
  for (const [name, each] of Object.entries(value)) {
    const of = memberSchema(schema, name)
    if (of !== undefined) yield below(of, each)
  }
}

/** What a schema says of the member of this name, and of the item at this place; undefined: nothing. */
export function memberSchema({ properties, additionalProperties }: Fields, name: string): unknown {
  return isFields(properties) && Object.hasOwn(properties, name) ? properties[name] : additionalProperties
}

export function itemSchema({ items, prefixItems }: Fields, i: number): unknown {
  return Array.isArray(prefixItems) && i < prefixItems.length ? prefixItems[i] : items
}

/** Of texts, numbers and the like; whether two objects are the same is not told. */
export function areDistinct(value: readonly unknown[]): Verdict {
  if (value.length < 2) return 'yes'
  if (value.some(each => typeof each === 'object' && each !== null)) return 'unknown'
  return new Set(value.map(plain)).size === value.length ? 'yes' : 'no'
}

function ofType(type: unknown, value: unknown): Verdict {
  if (type === undefined) return 'yes'
  const kind = kindOf(value)
  const types: readonly unknown[] = Array.isArray(type) ? (type as unknown[]) : [type]
  if (types.includes(kind)) return 'yes'
  return kind === 'number' && types.includes('integer') && isInteger(value) ? 'yes' : 'no'
}

function isOneOf(given: unknown, value: unknown): Verdict {
  if (!Array.isArray(given)) return 'unknown'
  const isPlain = (each: unknown): boolean => typeof each !== 'object' || each === null
  if (!isPlain(value)) return given.every(isPlain) ? 'no' : 'unknown'
  return given.some(each => isPlain(each) && plain(each) === plain(value)) ? 'yes' : 'no'
}

const sizes = {
  string: ['minLength', 'maxLength'],
  array: ['minItems', 'maxItems'],
  object: ['minProperties', 'maxProperties'],
} as const

function ofSize(schema: Fields, value: unknown): Verdict {
  const kind = kindOf(value)
  if (kind === 'number') return ofRange(schema, Number(value))
  if (kind !== 'string' && kind !== 'array' && kind !== 'object') return 'yes'
  const [least, most] = sizes[kind]
  if (schema[least] === undefined && schema[most] === undefined) return 'yes'
  const size =
    typeof value === 'string' ? codePoints(value) : Array.isArray(value) ? value.length : sizeOf(value)
  return within(size, schema[least], schema[most])
}

function ofRange({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Fields, value: number): Verdict {
  return every([
    within(value, minimum, maximum),
    within(value, exclusiveMinimum, exclusiveMaximum),
    value === exclusiveMinimum || value === exclusiveMaximum ? 'no' : 'yes',
  ])
}

function within(value: number, least: unknown = -Infinity, most: unknown = Infinity): Verdict {
  if (typeof least !== 'number' || typeof most !== 'number') return 'unknown'
  return value >= least && value <= most ? 'yes' : 'no'
}

function sizeOf(value: unknown): number {
  return isFields(value) ? Object.keys(value).length : 0
}

/** The unit of `minLength` and `maxLength`. */
function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

function kindOf(value: unknown): 'null' | 'array' | 'object' | 'string' | 'number' | 'boolean' | 'none' {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  const type = typeof value
  if (type === 'bigint') return 'number'
  return type === 'object' || type === 'string' || type === 'number' || type === 'boolean' ? type : 'none'
}

function isInteger(value: unknown): boolean {
  return typeof value === 'bigint' || Number.isInteger(value)
}

/** A client reads each number as a double. */
function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

/** Where one part says no, what is unknown does not matter. */
function every(verdicts: Iterable<Verdict>): Verdict {
  let found: Verdict = 'yes'
  for (const each of verdicts) {
    if (each === 'no') return 'no'
    if (each === 'unknown') found = 'unknown'
  }
  return found
}

function some(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('yes')) return 'yes'
  return verdicts.includes('unknown') ? 'unknown' : 'no'
}

function one(verdicts: readonly Verdict[]): Verdict {
  const fitting = verdicts.filter(each => each === 'yes').length
  if (fitting > 1) return 'no'
  if (verdicts.includes('unknown')) return 'unknown'
  return fitting === 1 ? 'yes' : 'no'
}

function opposite(verdict: Verdict): Verdict {
  return verdict === 'unknown' ? verdict : verdict === 'yes' ? 'no' : 'yes'
}
