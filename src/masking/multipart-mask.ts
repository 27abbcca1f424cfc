import { toBytes } from './bytes.ts'
import type { Finder } from './finder.ts'
import { fieldKind } from './rules.ts'
import { type Transform, unable } from './transform.ts'

export interface MultipartOptions {
  readonly boundary: string
  readonly maxBuffered: number
  /** The mask for a part of this content type; undefined where the part names none. */
  partMask(type: string | undefined): Transform
}

const longestHead = 16 * 1024

/**
 * Masks multipart bodies (RFC 2046 section 5.1, RFC 7578) part by part, each by its own type. A part whose field a
 * rule names is masked whole. Delimiters, heads and line breaks stay as they are.
 */
export function createMultipartMask(finder: Finder, options: MultipartOptions): Transform {
  if (options.boundary === '' || options.boundary.length > 200)
    throw unable('a multipart body without a boundary')
  return new MultipartMask(finder, options)
}

class MultipartMask implements Transform {
  readonly #finder: Finder
  readonly #options: MultipartOptions
  readonly #delimiter: string
  /** The first delimiter needs no line break before it: one is put there, and taken away again. */
  #text = '\n'
  #first = true
  #state: 'preamble' | 'head' | 'body' | 'epilogue' = 'preamble'
  #part: Transform

  constructor(finder: Finder, options: MultipartOptions) {
    this.#finder = finder
    this.#options = options
    this.#delimiter = `\n--${toBytes(options.boundary)}`
    this.#part = options.partMask('text/plain')
  }

  push(chunk: string): string {
    this.#text += chunk
    return this.#advance(false)
  }

  end(): string {
    const out = this.#advance(true) + this.#part.end()
    return this.#first ? out.slice(1) : out
  }

  #advance(last: boolean): string {
    let out = ''
    for (let next = this.#step(last); next !== undefined; next = this.#step(last)) out += next
    if (!this.#first || out === '') return out
    this.#first = false
    return out.slice(1)
  }

  #step(last: boolean): string | undefined {
    if (this.#state === 'head') return this.#takeHead(last)
    if (this.#state === 'epilogue') return this.#takeAll()
    return this.#takeBody(last)
  }

  /** Up to the next delimiter and past it, or all that can be no delimiter. */
  #takeBody(last: boolean): string | undefined {
    const text = this.#text
    const at = text.indexOf(this.#delimiter)
    if (at < 0) {
      if (last) return this.#takeAll()
      const safe = text.length - this.#delimiter.length - 1
      if (safe <= 0) return undefined
      this.#text = text.slice(safe)
      return this.#part.push(text.slice(0, safe))
    }
    const after = at + this.#delimiter.length
    if (text.length < after + 2 && !last) return undefined
    const closing = text.startsWith('--', after)
    const line = text.indexOf('\n', after)
    if (line < 0 && !closing && !last) {
      if (text.length - after > longestHead) throw unable('a multipart body that can not be read')
      return undefined
    }
    const content = text.slice(0, text[at - 1] === '\r' ? at - 1 : at)
    const end = closing ? after + 2 : line < 0 ? text.length : line + 1
    const out = this.#part.push(content) + this.#part.end() + text.slice(content.length, end)
    this.#text = text.slice(end)
    this.#state = closing ? 'epilogue' : 'head'
    // What stands between parts is shown to nobody by most readers, but it is text all the same.
    this.#part = this.#options.partMask('text/plain')
    return out
  }

  #takeHead(last: boolean): string | undefined {
    const end = /^\r?\n|\r?\n\r?\n/.exec(this.#text)
    if (end === null) {
      if (this.#text.length > longestHead) throw unable('the head of a part is too long')
      return last ? this.#takeAll() : undefined
    }
    const head = this.#text.slice(0, end.index)
    this.#text = this.#text.slice(end.index + end[0].length)
    this.#part = this.#partFor(head)
    this.#state = 'body'
    return this.#finder.apply(head, this.#finder.findEscaped(head, '')) + end[0]
  }

  #partFor(head: string): Transform {
    const transfer = field(head, 'content-transfer-encoding').toLowerCase()
    if (!['', '7bit', '8bit', 'binary'].includes(transfer)) throw unable('a part in a transfer encoding')
    if (!['', 'identity'].includes(field(head, 'content-encoding').toLowerCase()))
      throw unable('an encoded part')
    const disposition = field(head, 'content-disposition')
    const name = /;\s*name="?([^";]*)/i.exec(disposition)?.[1] ?? ''
    const { rules } = this.#finder
    if (name !== '' && (rules.parameter(name) || rules.field(name).selected || rules.field(name).secret))
      return wholePart(this.#finder, { name, maxBuffered: this.#options.maxBuffered })
    const type = field(head, 'content-type')
    if (type !== '') return this.#options.partMask(type)
    return this.#options.partMask(/;\s*filename/i.test(disposition) ? undefined : 'text/plain')
  }

  #takeAll(): string | undefined {
    if (this.#text === '') return undefined
    const text = this.#text
    this.#text = ''
    return this.#part.push(text)
  }
}

function field(head: string, name: string): string {
  const line = head
    .split(/\r?\n(?![ \t])/)
    .find(each => each.slice(0, name.length + 1).toLowerCase() === `${name}:`)
  return line?.slice(name.length + 1).trim() ?? ''
}

/** Keeps the part back and puts a mask in its place. */
function wholePart(finder: Finder, of: { readonly name: string; readonly maxBuffered: number }): Transform {
  const pieces: string[] = []
  let size = 0
  return {
    push(chunk) {
      pieces.push(chunk)
      size += chunk.length
      if (size > of.maxBuffered) throw unable('a form field is longer than masking.max_buffered')
      return ''
    },
    end() {
      const value = pieces.splice(0).join('')
      if (value === '') return ''
      const kind = finder.kindOfField(finder.rules.field(of.name), of.name, value) ?? fieldKind
      return finder.replace(kind, value)
    },
  }
}
