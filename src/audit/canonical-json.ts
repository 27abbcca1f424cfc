/** What canonical JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const deepest = 64

/**
 * RFC 8785 (JSON Canonicalization Scheme): no white space, keys sorted by UTF-16 code units (3.2.3), strings and
 * numbers as ECMAScript writes them (3.2.2). Two equal values give the same bytes in every implementation.
 *
 * Throws TypeError for what has no canonical form: undefined, functions, bigints, numbers that are not finite, lone
 * surrogates, objects that are not plain, nesting deeper than 64. Nothing is dropped and no `toJSON` is called, so
 * what is hashed is what was meant.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0)
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`)
      // JSON.stringify follows ECMAScript's Number::toString, which RFC 8785 section 3.2.2.3 demands; -0 gives 0.
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth >= deepest) throw new TypeError('nested too deeply')
      return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1)
    case 'undefined':
    case 'function':
    case 'symbol':
    case 'bigint':
      throw new TypeError(`${typeof value} has no JSON form`)
  }
}

/** Text that stands for itself: printable ASCII without quote and backslash. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

function writeString(value: string): string {
  if (plain.test(value)) return `"${value}"`
  // JSON.stringify would write a lone surrogate as an escape; RFC 8785 section 3.2.2.2 wants an error instead.
  if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form')
  return JSON.stringify(value)
}

function writeArray(values: readonly unknown[], depth: number): string {
  let text = '['
  for (let i = 0; i < values.length; i++) text += (i === 0 ? '' : ',') + write(values[i], depth)
  return `${text}]`
}

function writeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('not a plain object')
  const record = value as Readonly<Record<string, unknown>>
  const keys = Object.keys(record)
  // The default order of sort() is that of UTF-16 code units.
  if (keys.length > 1) keys.sort()
  let text = '{'
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    text += `${i === 0 ? '' : ','}${writeString(key)}:${write(record[key], depth)}`
  }
  return `${text}}`
}
