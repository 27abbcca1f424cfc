/** Character classes as bits: what a text holds is known from one cheap pass, which rules most detectors out. */
export const digit = 1
export const upper = 1 << 1
export const lower = 1 << 2
export const at = 1 << 3
export const colon = 1 << 4
export const equals = 1 << 5
export const dash = 1 << 6
export const dot = 1 << 7
export const underscore = 1 << 8
export const plus = 1 << 9
export const tilde = 1 << 10
export const slash = 1 << 11
export const greater = 1 << 12
export const percent = 1 << 13
export const space = 1 << 14
export const quote = 1 << 15
export const backslash = 1 << 16
export const control = 1 << 17
export const high = 1 << 18
export const bracket = 1 << 19

const single: Record<string, number> = {
  '@': at,
  ':': colon,
  '=': equals,
  '-': dash,
  '.': dot,
  _: underscore,
  '+': plus,
  '~': tilde,
  '/': slash,
  '>': greater,
  '%': percent,
  ' ': space,
  '"': quote,
  '\\': backslash,
  '(': bracket,
}

/** The class of each byte. */
export const classes: Uint32Array = new Uint32Array(256).map((_, code) => {
  const character = String.fromCharCode(code)
  if (code < 0x20) return control
  if (code >= 0x80) return high
  if (character >= '0' && character <= '9') return digit
  if (character >= 'A' && character <= 'Z') return upper
  if (character >= 'a' && character <= 'z') return lower
  return single[character] ?? 0
})

export const alphanumeric = digit | upper | lower

/** The class of the byte at `index`, 0 outside the text. */
export function classAt(text: string, index: number): number {
  return index >= 0 && index < text.length ? classes[text.charCodeAt(index)]! : 0
}

export function isAlphanumericAt(text: string, index: number): boolean {
  return (classAt(text, index) & alphanumeric) !== 0
}

/** Every class that the text holds. */
export function classesOf(text: string): number {
  let bits = 0
  for (let index = 0; index < text.length; index++) bits |= classes[text.charCodeAt(index)]!
  return bits
}

/** A set of bytes, to be asked by code. */
export type Alphabet = Uint8Array

export function alphabet(characters: RegExp): Alphabet {
  return new Uint8Array(256).map((_, code) => (characters.test(String.fromCharCode(code)) ? 1 : 0))
}

/** The end of the run of these bytes that starts at `from`, looking no further than `limit`. */
export function endOfRun(text: string, from: number, options: { of: Alphabet; limit?: number }): number {
  const limit = Math.min(text.length, options.limit ?? text.length)
  let index = from
  while (index < limit && options.of[text.charCodeAt(index)] === 1) index++
  return index
}

export const hexadecimal: Alphabet = alphabet(/[0-9a-fA-F]/)
export const base64url: Alphabet = alphabet(/[A-Za-z0-9_-]/)
