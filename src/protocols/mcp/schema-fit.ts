/**
 * Whether a masked value still is what a tool's `outputSchema` promises. Only what the mask changed is looked at: the
 * rest is the server's word. Where the schema says more of such a place than can be told here (patterns, formats,
 * alternatives), the answer is no.
 */
import { type Fields, isFields } from './rpc.ts'

const deepest = 128

export function stillFits(schema: unknown, before: unknown, after: unknown): boolean {
  return isFields(schema) ? fits(schema, { root: schema, before, after, depth: 0 }) : true
}

interface Place {
  readonly root: Fields
  readonly before: unknown
  readonly after: unknown
  readonly depth: number
}

/** Keywords whose meaning for a changed value is not told here. */
const untold = [
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'if',
  'pattern',
  'format',
  'patternProperties',
  'propertyNames',
  'dependentSchemas',
  'unevaluatedProperties',
  'unevaluatedItems',
  'contains',
  'contentEncoding',
  '$dynamicRef',
]

function fits(given: unknown, place: Place): boolean {
  const { before, after, depth, root } = place
  if (before === after || given === true) return true
  if (depth > deepest || !isFields(given)) return given === undefined
  const schema = resolved(given, root)
  if (schema === undefined || untold.some(each => Object.hasOwn(schema, each))) return false
  if (Array.isArray(before) && Array.isArray(after)) return fitsList(schema, { ...place, before, after })
  if (isFields(before) && isFields(after)) return fitsObject(schema, { ...place, before, after })
  return fitsLeaf(schema, after)
}

function fitsObject(
  { properties, additionalProperties }: Fields,
  place: Place & { readonly before: Fields; readonly after: Fields },
): boolean {
  const names = Object.keys(place.before)
  if (names.length !== Object.keys(place.after).length) return false
  return names.every(name => {
    // A name that was masked is another member, and nobody knows what the schema says of it.
    if (!Object.hasOwn(place.after, name)) return false
    const own = isFields(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined
    return fits(own ?? additionalProperties, {
      ...place,
      before: place.before[name],
      after: place.after[name],
      depth: place.depth + 1,
    })
  })
}

function fitsList(
  { items, prefixItems, uniqueItems }: Fields,
  place: Place & { readonly before: readonly unknown[]; readonly after: readonly unknown[] },
): boolean {
  if (prefixItems !== undefined || uniqueItems === true) return false
  return place.before.every((before, i) =>
    fits(items, { ...place, before, after: place.after[i], depth: place.depth + 1 }),
  )
}

function fitsLeaf(schema: Fields, after: unknown): boolean {
  if (typeof after !== 'string') return false
  const { type, minLength, maxLength } = schema
  const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? ['string'] : [type]
  if (!types.includes('string')) return false
  if (Object.hasOwn(schema, 'const') && schema['const'] !== after) return false
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(after)) return false
  const length = Array.from(after).length
  return !(typeof maxLength === 'number' && length > maxLength) && !(length < Number(minLength ?? 0))
}

/** Follows references within the document; undefined for any other. */
function resolved(schema: Fields, root: Fields): Fields | undefined {
  let at = schema
  for (let hops = 0; Object.hasOwn(at, '$ref'); hops++) {
    const ref = at['$ref']
    if (hops > 16 || typeof ref !== 'string' || !/^#(\/|$)/.test(ref)) return undefined
    let found: unknown = root
    for (const part of ref.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
      found = isFields(found) && Object.hasOwn(found, name) ? found[name] : undefined
    }
    if (!isFields(found)) return undefined
    at = found
  }
  return at
}
