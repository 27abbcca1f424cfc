import { type BodyLimits, run } from './run.ts'
import { type Coder, codersOf, createDecoding } from './decode.ts'
import { unescapeJson } from './escapes.ts'
import { rawSpan } from './finder.ts'
import { type Literals, literalKind } from './literals.ts'
import type { ContentMeta, MaskedBody } from './masker.ts'
import { mergeSpans, type Span } from './spans.ts'
import type { Tally } from './tally.ts'
import { type Transform, unable } from './transform.ts'

/**
 * Puts as many bytes in a literal's place as it had, so that lengths still hold. Holds back only an end with which
 * a literal may begin.
 */
export function createLiteralMask(literals: Literals, tally: Tally): Transform {
  let held = ''
  const take = (text: string, cut: number): string => {
    let at = 0
    let out = ''
    for (const { start, end } of findLiterals(literals, text)) {
      tally.hit(literalKind)
      out += text.slice(at, start) + sameLength(end - start)
      at = end
    }
    const from = Math.max(at, cut)
    held = text.slice(from)
    return at === 0 ? text.slice(0, from) : out + text.slice(at, from)
  }
  return {
    push(chunk) {
      const text = held === '' ? chunk : held + chunk
      return take(text, text.length - pendingLiteral(literals, text))
    },
    end: () => take(held, held.length),
  }
}

/** Every form of every value, also where all of it or a part is written in JSON's escapes. */
function findLiterals(literals: Literals, text: string): readonly Span[] {
  const spans: Span[] = []
  literals.find(text, spans)
  if (!text.includes('\\u')) return mergeSpans(spans)
  const unescaped = unescapeJson(text)
  const behind: Span[] = []
  literals.find(unescaped.bytes, behind)
  return mergeSpans([...spans, ...behind.map(span => rawSpan(unescaped, span))])
}

/** Of the longest escape of one byte. */
const escapeLength = 6

/** The length of the longest end of the text with which a value may begin, escaped or not. */
function pendingLiteral(literals: Literals, text: string): number {
  const plain = literals.pending(text)
  const end = text.slice(-(literals.longest + 1) * escapeLength)
  if (!end.includes('\\')) return plain
  const open = openEscapeLength(end)
  const unescaped = unescapeJson(end.slice(0, end.length - open))
  const behind = literals.pending(unescaped.bytes)
  const from = unescaped.origin[unescaped.bytes.length - behind]!
  return Math.max(plain, end.length - from)
}

/** The length of an escape that the text ends in the middle of. */
function openEscapeLength(text: string): number {
  const unit = /u[0-9a-fA-F]{0,3}$/.exec(text)?.[0].length ?? 0
  let from = text.length - unit
  while (from > 0 && text[from - 1] === '\\') from--
  const backslashes = text.length - unit - from
  return backslashes % 2 === 1 ? unit + 1 : 0
}

function sameLength(length: number): string {
  return `[masked:${literalKind}]`.padEnd(length, '*').slice(0, length)
}

/**
 * No profile, only values that must never pass. Bodies stay what they are: an identity body keeps its length, and an
 * encoded one its very bytes, while a decoded copy runs ahead and is searched. A value found in an encoded body cuts
 * it with `mask-unable`: to take the value out, the whole would have to be encoded anew, and its length, its digest
 * and its entity tag would be those of another body.
 */
export function guardBody(
  body: AsyncIterable<Buffer>,
  meta: ContentMeta,
  by: { readonly literals: Literals; readonly tally: Tally; readonly limits: BodyLimits },
): MaskedBody {
  const coders = codersOf(meta.encodings)
  const guarded =
    coders.length === 0 ? run(body, createLiteralMask(by.literals, by.tally)) : searched(body, by, coders)
  return { body: guarded, encodings: meta.encodings, altered: false, report: () => by.tally.report() }
}

/**
 * Each chunk goes on once all that it decodes to was searched. Where that ends in what may be the beginning of a
 * value, the chunk waits for the next one.
 */
async function* searched(
  body: AsyncIterable<Buffer>,
  by: { readonly literals: Literals; readonly limits: BodyLimits },
  coders: readonly Coder[],
): AsyncGenerator<Buffer> {
  const { literals, limits } = by
  const decoding = createDecoding(coders, limits)
  const waiting: Buffer[] = []
  let size = 0
  let tail = ''

  async function search(decoded: AsyncGenerator<Buffer>): Promise<void> {
    for await (const chunk of decoded) {
      const text = tail + chunk.toString('latin1')
      if (findLiterals(literals, text).length > 0)
        throw unable('a compressed answer holds a credential of the gateway')
      tail = text.slice(-(literals.longest + 1) * escapeLength)
    }
  }

  try {
    for await (const chunk of body) {
      await search(decoding.push(chunk))
      waiting.push(chunk)
      size += chunk.length
      if (pendingLiteral(literals, tail) === 0) {
        yield* waiting.splice(0)
        size = 0
      } else if (size > limits.maxBuffered) throw unable('too much of a compressed answer has to wait')
    }
    await search(decoding.end())
    yield* waiting
  } finally {
    decoding.close()
  }
}
