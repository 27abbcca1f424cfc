import { unescapeForm } from './escapes.ts'
import { type Finder, rawSpan } from './finder.ts'
import { fieldKind } from './rules.ts'
import { type Transform, unable } from './transform.ts'

/**
 * Masks application/x-www-form-urlencoded pair by pair. Values are looked at decoded; a masked one is written
 * percent-encoded, and everything else stays as it was written.
 */
export function createFormMask(finder: Finder, options: { readonly maxBuffered: number }): Transform {
  let pieces: string[] = []
  let size = 0

  function pair(raw: string): string {
    const equals = raw.indexOf('=')
    if (equals < 0) return part(raw, '')
    const name = unescapeForm(raw.slice(0, equals)).bytes
    return `${part(raw.slice(0, equals), '')}=${value(raw.slice(equals + 1), name)}`
  }

  function value(raw: string, name: string): string {
    const { bytes } = unescapeForm(raw)
    const chosen = bytes !== '' && finder.rules.parameter(name)
    const kind = finder.kindOfField(finder.rules.field(name), name, bytes) ?? (chosen ? fieldKind : undefined)
    return kind === undefined ? part(raw, name) : encodeURIComponent(finder.replace(kind, bytes))
  }

  function part(raw: string, name: string): string {
    if (raw.length < finder.shortest) return raw
    const unescaped = unescapeForm(raw)
    const found = finder.find(unescaped.bytes, name)
    let at = 0
    let out = ''
    for (const span of found) {
      const { start, end } = rawSpan(unescaped, span)
      const bytes = unescaped.bytes.slice(span.start, span.end)
      out += raw.slice(at, start) + encodeURIComponent(finder.replace(span.kind, bytes))
      at = end
    }
    return out + raw.slice(at)
  }

  return {
    push(chunk) {
      const last = chunk.lastIndexOf('&')
      size += chunk.length
      if (last < 0) {
        pieces.push(chunk)
        if (size > options.maxBuffered) throw unable('a form field is longer than masking.max_buffered')
        return ''
      }
      const whole = pieces.join('') + chunk.slice(0, last)
      pieces = [chunk.slice(last + 1)]
      size = chunk.length - last - 1
      return `${whole.split('&').map(pair).join('&')}&`
    },
    end() {
      const rest = pieces.join('')
      pieces = []
      return pair(rest)
    },
  }
}
