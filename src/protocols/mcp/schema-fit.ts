/**
 * Whether a masked value still is what a tool's `outputSchema` promises. Only what the mask changed is looked at: the
 * rest is the server's word. Where the schema says more of such a place than can be told here (patterns, formats), the
 * answer is no.
 */
import { type Fields, isFields } from './rpc.ts'
import {
  areDistinct,
  deepest,
  isUntold,
  itemSchema,
  judge,
  memberSchema,
  SchemaDocument,
} from './schema-verdict.ts'

/** `before` is taken to fit. Bounded in time, whatever the schema is. */
export function stillFits(schema: unknown, before: unknown, after: unknown): boolean {
  if (!isFields(schema)) return true
  return fits(schema, { document: new SchemaDocument(schema), before, after, depth: 0 })
}

interface Place<T = unknown> {
  readonly document: SchemaDocument
  readonly before: T
  readonly after: T
  readonly depth: number
}

function fits(schema: unknown, place: Place): boolean {
  const { before, after, depth, document } = place
  if (before === after || schema === true || schema === undefined) return true
  const lists = Array.isArray(before) && Array.isArray(after)
  if (!lists && !(isFields(before) && isFields(after)))
    return judge(document, schema, { value: after, depth }) === 'yes'
  if (!isFields(schema) || depth > deepest || !document.step()) return false
  if (isUntold(document, schema, after) || Object.hasOwn(schema, 'const') || Object.hasOwn(schema, 'enum'))
    return false
  if (!fitsOthers(schema, { ...place, depth: depth + 1 })) return false
  return lists
    ? fitsList(schema, { ...place, before, after })
    : fitsObject(schema, { ...place, before: before as Fields, after: after as Fields })
}

/** The schemas that say something of the same place. */
function fitsOthers(schema: Fields, place: Place): boolean {
  const { $ref, allOf = [], anyOf, oneOf, not } = schema
  const { document, after, depth } = place
  if ($ref !== undefined) {
    const target = document.target($ref)
    if (target === undefined || !fits(target, place)) return false
  }
  if (!Array.isArray(allOf) || !allOf.every(each => fits(each, place))) return false
  if (anyOf !== undefined && !fitsAny(anyOf, place)) return false
  if (oneOf !== undefined && !fitsOne(oneOf, place)) return false
  return !Object.hasOwn(schema, 'not') || judge(document, not, { value: after, depth }) === 'no'
}

function fitsAny(schemas: unknown, place: Place): boolean {
  if (!Array.isArray(schemas)) return false
  const { document, after, depth } = place
  if (schemas.some(each => judge(document, each, { value: after, depth }) === 'yes')) return true
  const possible = fitBefore(schemas, place)
  return possible.length > 0 && possible.every(each => fits(each, place))
}

function fitsOne(schemas: unknown, place: Place): boolean {
  if (!Array.isArray(schemas)) return false
  const { document, after, depth } = place
  const verdicts = schemas.map(each => judge(document, each, { value: after, depth }))
  const at = verdicts.findIndex(each => each !== 'no')
  if (at < 0 || verdicts.some((each, i) => i !== at && each !== 'no')) return false
  if (verdicts[at] === 'yes') return true
  const possible = fitBefore(schemas, place)
  return possible.length === 1 && possible[0] === schemas[at] && fits(schemas[at], place)
}

/** One of these is what the value was before it was masked. */
function fitBefore(schemas: readonly unknown[], { document, before, depth }: Place): readonly unknown[] {
  return schemas.filter(each => judge(document, each, { value: before, depth }) !== 'no')
}

function fitsObject(schema: Fields, place: Place<Fields>): boolean {
  const names = Object.keys(place.before)
  if (names.length !== Object.keys(place.after).length) return false
  return names.every(name => {
    // A name that was masked is another member, and nobody knows what the schema says of it.
    if (!Object.hasOwn(place.after, name)) return false
    const inner = { before: place.before[name], after: place.after[name], depth: place.depth + 1 }
    return fits(memberSchema(schema, name), { ...place, ...inner })
  })
}

function fitsList(schema: Fields, place: Place<readonly unknown[]>): boolean {
  const { uniqueItems } = schema
  if (place.before.length !== place.after.length) return false
  if (uniqueItems !== undefined && uniqueItems !== false && areDistinct(place.after) !== 'yes') return false
  return place.before.every((before, i) => {
    const inner = { before, after: place.after[i], depth: place.depth + 1 }
    return fits(itemSchema(schema, i), { ...place, ...inner })
  })
}
