import { toBytes } from './bytes.ts'

/** A text with its escapes resolved, and where each of its bytes came from. */
export interface Unescaped {
  readonly bytes: string
  /** Index in the raw text of the byte at each index; one more entry for the end. */
  readonly origin: Int32Array
}

const simple: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const unit = /^[0-9a-fA-F]{4}$/

/**
 * Resolves JSON's escapes (RFC 8259 section 7) in a byte string. Surrogate pairs become one character. What is no
 * escape stays as it is.
 */
export function unescapeJson(raw: string): Unescaped {
  const build = createBuild(raw.length)
  let index = 0
  while (index < raw.length) {
    const next = raw.indexOf('\\', index)
    const plain = next < 0 ? raw.length : next
    build.plain(raw, index, plain)
    index = plain
    if (next < 0) break
    const character = raw[index + 1]
    if (character === 'u') index = takeUnit(raw, index, build)
    else if (character === undefined) {
      build.plain(raw, index, index + 1)
      index++
    } else {
      build.add(simple[character] ?? character, index)
      index += 2
    }
  }
  return build.done(raw.length)
}

function takeUnit(raw: string, index: number, build: Build): number {
  const first = raw.slice(index + 2, index + 6)
  if (!unit.test(first)) {
    build.plain(raw, index, index + 2)
    return index + 2
  }
  const high = Number.parseInt(first, 16)
  const second = raw.slice(index + 8, index + 12)
  if (high >= 0xd800 && high < 0xdc00 && raw.startsWith('\\u', index + 6) && unit.test(second)) {
    const low = Number.parseInt(second, 16)
    if (low >= 0xdc00 && low < 0xe000) {
      build.add(toBytes(String.fromCharCode(high, low)), index)
      return index + 12
    }
  }
  build.add(toBytes(String.fromCharCode(high)), index)
  return index + 6
}

/** Resolves `+` and `%XX` as in application/x-www-form-urlencoded. */
export function unescapeForm(raw: string): Unescaped {
  const build = createBuild(raw.length)
  for (let index = 0; index < raw.length; ) {
    const character = raw[index]!
    const code = character === '%' ? raw.slice(index + 1, index + 3) : ''
    if (/^[0-9a-fA-F]{2}$/.test(code)) {
      build.add(String.fromCharCode(Number.parseInt(code, 16)), index)
      index += 3
    } else {
      build.add(character === '+' ? ' ' : character, index)
      index++
    }
  }
  return build.done(raw.length)
}

interface Build {
  plain(raw: string, from: number, to: number): void
  add(bytes: string, from: number): void
  done(end: number): Unescaped
}

/** An escape never resolves to more bytes than it was written with, so the raw length is enough. */
function createBuild(length: number): Build {
  const origin = new Int32Array(length + 1)
  const pieces: string[] = []
  let size = 0
  return {
    plain(raw, from, to) {
      if (to > from) pieces.push(raw.slice(from, to))
      for (let index = from; index < to; index++) origin[size++] = index
    },
    add(bytes, from) {
      pieces.push(bytes)
      for (let index = 0; index < bytes.length; index++) origin[size++] = from
    },
    done(end) {
      origin[size] = end
      return { bytes: pieces.join(''), origin }
    },
  }
}
