/** Values that never pass, whatever the profile: the secrets of the lease (P4). */
import { toBytes } from './bytes.ts'
import type { Span } from './spans.ts'

export const literalKind = 'credential'

/** Shorter values are no secrets, and would be found in everything. */
const shortestSecret = 4
const shortestEncoded = 8

export interface Literals {
  readonly empty: boolean
  readonly shortest: number
  readonly longest: number
  /** Every form of every value in the text. */
  find(text: string, spans: Span[]): void
  /** The length of the longest end of the text with which a form may begin, 0 for none. */
  pending(text: string): number
}

/**
 * Each value is looked for as it is, as JSON writes it (also with the escapes of Go, PHP and Python), percent-encoded,
 * in hexadecimal, and inside base64 at any of its three offsets.
 */
export function compileLiterals(secrets: readonly string[]): Literals {
  const forms = [...new Set(secrets.filter(each => each.length >= shortestSecret).flatMap(formsOf))].filter(
    each => each.length >= shortestSecret,
  )
  const longest = Math.max(0, ...forms.map(form => form.length))
  return {
    empty: forms.length === 0,
    shortest: forms.length === 0 ? Infinity : Math.min(...forms.map(form => form.length)),
    longest,
    find(text, spans) {
      for (const form of forms)
        for (let start = text.indexOf(form); start >= 0; start = text.indexOf(form, start + form.length))
          spans.push({ start, end: start + form.length, kind: literalKind })
    },
    pending(text) {
      const from = Math.max(0, text.length - longest + 1)
      for (let index = from; index < text.length; index++) {
        const rest = text.slice(index)
        if (forms.some(form => form.length > rest.length && form.startsWith(rest))) return rest.length
      }
      return 0
    },
  }
}

export const noLiterals: Literals = compileLiterals([])

function formsOf(secret: string): readonly string[] {
  const bytes = toBytes(secret)
  const json = JSON.stringify(secret).slice(1, -1)
  const ascii = json.replace(/[^\0-\x7f]/g, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const html = ascii.replace(/[<>&'+]/g, each => `\\u00${each.charCodeAt(0).toString(16)}`)
  const percent = percentEncoded(bytes)
  const forms = [
    bytes,
    toBytes(json),
    toBytes(json).replaceAll('/', '\\/'),
    ascii,
    ascii.replaceAll('/', '\\/'),
    html,
    html.replace(/\\u00../g, each => `\\u00${each.slice(4).toUpperCase()}`),
    percent,
    percent.replace(/%../g, each => each.toLowerCase()),
    percent.replaceAll('%20', '+'),
  ]
  if (bytes.length >= shortestEncoded) forms.push(...base64Forms(bytes), ...hexForms(bytes))
  if (/^[0-9a-fA-F]+$/.test(bytes)) forms.push(bytes.toLowerCase(), bytes.toUpperCase())
  return forms
}

function percentEncoded(bytes: string): string {
  return bytes.replace(
    /[^A-Za-z0-9._~-]/g,
    each => `%${each.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

function hexForms(bytes: string): readonly string[] {
  const hex = Buffer.from(bytes, 'latin1').toString('hex')
  return [hex, hex.toUpperCase()]
}

/** The characters that depend on the value alone, for the value at each offset within three bytes. */
function base64Forms(bytes: string): readonly string[] {
  return [0, 1, 2].flatMap(offset => {
    const text = Buffer.from('\0'.repeat(offset) + bytes, 'latin1').toString('base64')
    const from = [0, 2, 3][offset]!
    const to = Math.floor(((offset + bytes.length) * 8) / 6)
    const stable = text.slice(from, to)
    return [
      stable,
      stable.replaceAll('+', '-').replaceAll('/', '_'),
      stable.replaceAll('+', '%2B').replaceAll('/', '%2F'),
    ]
  })
}
