/**
 * The engine works on "byte strings": one character per byte of the UTF-8 text. They cut anywhere without harm, keep
 * bytes that are not valid UTF-8 as they are, and V8 stores and searches them at one byte per character.
 */

const ascii = /^[\0-\x7f]*$/

export function toBytes(text: string): string {
  return ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

export function fromBytes(bytes: string): string {
  return ascii.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}
