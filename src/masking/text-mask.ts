/**
 * Masks text of any kind. Nothing that a detector finds crosses a line break, private keys apart, so whole lines go
 * out as they come. A line that is very long goes out at a space with enough behind it to see every value that
 * begins before.
 */
import type { Finder } from './finder.ts'
import type { Span } from './spans.ts'
import { type Transform, unable } from './transform.ts'

const longLine = 64 * 1024
/** More than any value with spaces in it can be long. */
const lookAhead = 4096 + 256
const lookBehind = 256

export interface TextOptions {
  readonly maxBuffered: number
  /** What went out just before, which may say what follows is. */
  readonly before?: string
}

export function createTextMask(finder: Finder, options: TextOptions): Transform {
  let pieces: string[] = []
  let size = 0
  let context = options.before ?? ''
  /** No try before this size, so that what is held is not read again with every small chunk. */
  let nextTry = 0

  function take(text: string, cut: number, spans: readonly Span[]): string {
    const out = finder.apply(
      text.slice(0, cut),
      spans.filter(span => span.end <= cut),
    )
    context =
      text[cut - 1] === '\n'
        ? ''
        : (context + text.slice(Math.max(0, cut - lookBehind), cut)).slice(-lookBehind)
    return out
  }

  /** Spans of the text, seen behind its context. */
  function look(text: string): readonly Span[] {
    if (context === '') return finder.findEscaped(text, '')
    const shift = context.length
    return finder
      .findEscaped(context + text, '')
      .filter(span => span.end > shift)
      .map(span => ({ ...span, start: Math.max(0, span.start - shift), end: span.end - shift }))
  }

  function settle(): string {
    const text = pieces.join('')
    const spans = look(text)
    let cut = cutOf(text)
    const pending = finder.literals.pending(text)
    if (pending > 0) cut = Math.min(cut, text.length - pending)
    const crossing = spans.find(
      span => span.start < cut && span.end >= cut && (span.end > cut || text.length === cut),
    )
    if (crossing !== undefined) cut = crossing.end < text.length ? crossing.end : crossing.start
    const out = cut > 0 ? take(text, cut, spans) : ''
    pieces = cut < text.length ? [text.slice(Math.max(0, cut))] : []
    size = text.length - Math.max(0, cut)
    nextTry = crossing !== undefined || cut <= 0 ? size * 2 : 0
    if (size > options.maxBuffered) throw unable('a line or value is longer than masking.max_buffered')
    return out
  }

  return {
    push(chunk) {
      if (chunk.includes('\0')) throw unable('what is declared as text holds binary data')
      pieces.push(chunk)
      size += chunk.length
      const due = size >= nextTry || chunk.includes('-----END')
      const ready = chunk.includes('\n') || size > longLine
      return (due && ready) || size > options.maxBuffered ? settle() : ''
    },
    end() {
      const text = pieces.join('')
      pieces = []
      return take(text, text.length, look(text))
    },
  }
}

/** Where the text may be cut: after its last line break, or at a space far enough from the end; 0: nowhere. */
function cutOf(text: string): number {
  const line = text.lastIndexOf('\n') + 1
  if (line > 0 && text.length - line <= longLine) return line
  for (let index = text.length - lookAhead; index > line; index--) {
    const code = text.charCodeAt(index)
    if (code === 32 || code === 9) return index
  }
  return line
}
