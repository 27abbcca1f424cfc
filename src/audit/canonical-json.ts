import { sortByUnits } from './sort-by-units.ts'

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
/** A loop over so many characters costs less than to enter the engine of patterns. */
const short = 40

function isPlain(value: string): boolean {
  if (value.length > short) return plain.test(value)
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i)
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return false
  }
  return true
}

function writeString(value: string): string {
  if (isPlain(value)) return `"${value}"`
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
  const keys = sortByUnits(Object.keys(record), itself)
  let text = '{'
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    text += `${i === 0 ? '' : ','}${writeString(key)}:${write(record[key], depth)}`
  }
  return `${text}}`
}

function itself(key: string): string {
  return key
}
