import type { Finder } from './finder.ts'
import { looksLikeJson } from './content-type.ts'
import { createJsonMask } from './json-mask.ts'
import { createTextMask } from './text-mask.ts'
import { type Transform, unable } from './transform.ts'

interface Options {
  readonly maxBuffered: number
}

interface Line {
  /** `data:` with the space that follows, or empty for any other line. */
  readonly head: string
  readonly body: string
  readonly end: string
}

const lineEnd = /\r\n|\n|\r/g

/**
 * Masks server-sent events (WHATWG HTML, section 9.2) event by event, since the `data:` lines of one event are one
 * payload: JSON where it looks like it, else text. Other lines are text. An event goes out when it is complete.
 */
export function createSseMask(finder: Finder, options: Options): Transform {
  let pieces: string[] = []
  let size = 0
  let lines: Line[] = []
  let held = 0

  function settle(): string {
    const event = lines
    lines = []
    held = 0
    const data = event.filter(line => line.head !== '')
    const payload = data.map(line => line.body).join('\n')
    const masked = data.length === 0 ? '' : maskPayload(payload, finder, options)
    let rest = masked.split('\n')
    // A value over several lines became one: what remains takes the place of the first lines.
    const fewer = rest.length !== data.length
    return event
      .map(line => {
        if (line.head === '') return maskText(line.body, finder, options) + line.end
        if (!fewer) return line.head + rest.shift()! + line.end
        const out = rest.map(each => line.head + each + line.end).join('')
        rest = []
        return out
      })
      .join('')
  }

  function takeLine(body: string, end: string): string {
    const head = /^data:? ?/.exec(body)?.[0] ?? ''
    const isData = head.startsWith('data:') || body === 'data'
    lines.push(isData ? { head, body: body.slice(head.length), end } : { head: '', body, end })
    held += body.length + end.length
    if (held > options.maxBuffered) throw unable('an event is longer than masking.max_buffered')
    return body === '' ? settle() : ''
  }

  return {
    push(chunk) {
      size += chunk.length
      if (!/[\r\n]/.test(chunk)) {
        pieces.push(chunk)
        if (size + held > options.maxBuffered) throw unable('an event is longer than masking.max_buffered')
        return ''
      }
      const text = pieces.join('') + chunk
      let out = ''
      let at = 0
      for (const match of text.matchAll(lineEnd)) {
        // The second half of a CRLF may be in the next chunk.
        if (match[0] === '\r' && match.index === text.length - 1) break
        out += takeLine(text.slice(at, match.index), match[0])
        at = match.index + match[0].length
      }
      pieces = [text.slice(at)]
      size = text.length - at
      return out
    },
    end() {
      const rest = pieces.join('')
      pieces = []
      const carriage = rest.endsWith('\r')
      const out = rest === '' ? '' : takeLine(carriage ? rest.slice(0, -1) : rest, carriage ? '\r' : '')
      return out + settle()
    },
  }
}

function maskPayload(payload: string, finder: Finder, options: Options): string {
  if (looksLikeJson(payload) !== true) return maskText(payload, finder, options)
  const mask = createJsonMask(finder, options)
  return mask.push(payload) + mask.end()
}

function maskText(text: string, finder: Finder, options: Options): string {
  if (text.length < finder.shortest) return text
  const mask = createTextMask(finder, options)
  return mask.push(text) + mask.end()
}
