/** Bodies on their way through the mask: what to look into, how to get there, and what to refuse. */
import type { Finder } from './finder.ts'
import {
  type ContentType,
  isAsciiBased,
  looksLikeJson,
  looksTextual,
  parseContentType,
  shapeOf,
} from './content-type.ts'
import { codersOf, decode } from './decode.ts'
import { type BodyLimits, run } from './run.ts'
import { createFormMask } from './form-mask.ts'
import { createJsonMask } from './json-mask.ts'
import { createLiteralMask } from './literal-mask.ts'
import type { ContentMeta, MaskedBody } from './masker.ts'
import { createMultipartMask } from './multipart-mask.ts'
import { createSseMask } from './sse-mask.ts'
import type { Tally } from './tally.ts'
import { createTextMask } from './text-mask.ts'
import { type Transform, unable } from './transform.ts'

/** Masks a body by profile rules. Throws `mask-unable` at once where type or encoding rule it out. */
export function maskBody(
  body: AsyncIterable<Buffer>,
  meta: ContentMeta,
  by: { readonly finder: Finder; readonly tally: Tally; readonly limits: BodyLimits },
): MaskedBody {
  const coders = codersOf(meta.encodings)
  const type = parseContentType(meta.type)
  const plain = coders.length === 0 ? body : decode(body, coders, by.limits)
  const transform = transformFor(type, by)
  return {
    body: run(plain, transform),
    encodings: [],
    altered: true,
    report: () => by.tally.report(),
  }
}

type By = {
  readonly finder: Finder
  readonly tally: Tally
  readonly limits: BodyLimits
  /** How many multipart bodies this one is inside. */
  readonly depth?: number
}

const mostDepth = 3

function transformFor(type: ContentType, by: By): Transform {
  const { depth = 0 } = by
  if (depth > mostDepth) throw unable('multipart bodies inside each other are too deep')
  const shape = shapeOf(type)
  if (shape === 'binary') return binary(type, by)
  if (!isAsciiBased(type.charset)) throw unable('a charset that can not be looked into')
  switch (shape) {
    case 'form':
      return createFormMask(by.finder, by.limits)
    case 'multipart':
      return createMultipartMask(by.finder, {
        boundary: type.boundary,
        maxBuffered: by.limits.maxBuffered,
        partMask: part => transformFor(parseContentType(part), { ...by, depth: depth + 1 }),
      })
    case 'json':
    case 'ndjson':
    case 'sse':
    case 'text':
    case 'unknown':
      return sniffing(by, shape)
  }
}

function binary(type: ContentType, { finder, tally }: By): Transform {
  if (finder.rules.binary === 'pass') return createLiteralMask(finder.literals, tally)
  const what = type.essence === '' ? 'a body' : `a body of type ${type.essence.slice(0, 64)}`
  throw unable(`${what} can not be looked into; a mask profile with \`binary: pass\` would let it by`)
}

const mostBlank = 1024
const utf8Mark = '\xef\xbb\xbf'

/** Decides by the first bytes: text in UTF-16 or UTF-32 is refused, JSON under another name is taken as JSON. */
function sniffing(by: By, shape: 'json' | 'ndjson' | 'sse' | 'text' | 'unknown'): Transform {
  const { finder, limits } = by
  let head = ''
  let chosen: Transform | undefined

  function choose(last: boolean): Transform | undefined {
    if (head.length < 4 && !last) return undefined
    if (/^(?:\xfe\xff|\xff\xfe)/.test(head) || (shape !== 'unknown' && head.slice(0, 4).includes('\0')))
      throw unable('text in UTF-16 or UTF-32 is not looked into')
    if (shape === 'unknown' && !looksTextual(head))
      return binary({ essence: '', charset: '', boundary: '' }, by)
    if (shape === 'json' || shape === 'ndjson')
      return createJsonMask(finder, { ...limits, declared: true, lines: shape === 'ndjson' })
    if (shape === 'sse') return createSseMask(finder, limits)
    const json = looksLikeJson(head)
    if (json === undefined && !last && head.length < mostBlank) return undefined
    // After that much white space JSON is tried, and goes on as text where it is none.
    return json !== false ? createJsonMask(finder, limits) : createTextMask(finder, limits)
  }

  function begin(last: boolean): string {
    chosen = choose(last)
    if (chosen === undefined) return ''
    // A byte order mark is no part of the JSON.
    const mark = head.startsWith(utf8Mark) ? utf8Mark : ''
    const text = head
    head = ''
    const out = chosen.push(mark === '' ? text : text.slice(3))
    return mark === '' ? out : mark + out
  }

  return {
    push(text) {
      if (chosen !== undefined) return chosen.push(text)
      head = head === '' ? text : head + text
      return begin(false)
    },
    end() {
      const out = chosen === undefined ? begin(true) : ''
      return out + chosen!.end()
    },
  }
}
