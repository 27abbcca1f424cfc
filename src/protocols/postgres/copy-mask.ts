/** Masks what COPY sends to the client: lines whose fields have no types, told apart by position. */
import type { Message } from './codec.ts'
import { message } from './codec.ts'
import { type StatementMask, unable } from './masks.ts'
import type { Unit } from './unit.ts'
import { hiddenBy, maskValue } from './values.ts'

const anyText = { type: 25, format: 0 }

export class CopyMask {
  readonly #mask: StatementMask
  readonly #format: string
  /** By position: the name by whose rules a field is masked whole. Undefined: not known which is which. */
  readonly #hides: readonly (string | undefined)[] | undefined
  /** Every field is masked whole. */
  readonly #all: boolean
  #skipHeader: boolean

  private constructor(of: {
    mask: StatementMask
    format: string
    hides: readonly (string | undefined)[] | undefined
    all: boolean
    header: boolean
  }) {
    this.#mask = of.mask
    this.#format = of.format
    this.#hides = of.hides
    this.#all = of.all
    this.#skipHeader = of.header
  }

  /** Undefined where there is nothing to mask. Throws `mask-unable` for what can't be looked into. */
  static async open(mask: StatementMask, unit: Unit, response: Message): Promise<CopyMask | undefined> {
    const { role } = unit.judgement
    if (!mask.active || role.kind !== 'copy') return undefined
    if (response.bytes[5] === 1 || role.special || !['text', 'csv'].includes(role.format))
      throw unable('COPY in binary form, or with delimiters of its own, can not be masked')
    const { format, header } = role
    const hides = role.table === undefined ? undefined : await mask.copyColumns(role)
    const tainted = await mask.tainted()
    const all = tainted && (hides === undefined || hides.every(each => each === undefined))
    return new CopyMask({ mask, format, hides, all, header })
  }

  /** One CopyData message: the server sends a line in each. */
  apply(bytes: Buffer): Buffer {
    const line = bytes.subarray(5)
    if (this.#skipHeader) {
      this.#skipHeader = false
      return bytes
    }
    const text = line.toString('latin1')
    const end = text.endsWith('\n') ? '\n' : ''
    const fields =
      this.#format === 'csv'
        ? csvFields(text, end.length)
        : text.slice(0, text.length - end.length).split('\t')
    if (this.#hides !== undefined && fields.length !== this.#hides.length)
      throw unable('the fields of COPY are not those that were expected')
    let changed = false
    const masked = fields.map((field, index) => {
      const out = this.#field(field, index)
      changed ||= out !== field
      return out
    })
    return changed
      ? message('d', Buffer.from(masked.join(this.#format === 'csv' ? ',' : '\t') + end, 'latin1'))
      : bytes
  }

  #field(field: string, index: number): string {
    const csv = this.#format === 'csv'
    if (csv ? field === '' : field === '\\N') return field
    const value = Buffer.from(csv ? unquoted(field) : unescaped(field), 'latin1')
    const hides = this.#all ? '' : this.#hides?.[index]
    const { masker } = this.#mask
    const masked =
      hides === undefined
        ? maskValue(value, anyText, masker!)
        : Buffer.from(hiddenBy(hides, value.toString('utf8'), masker!))
    if (masked === value || masked === null) return field
    const text = masked.toString('latin1')
    return csv ? `"${text.replaceAll('"', '""')}"` : escaped(text)
  }
}

const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescaped(field: string): string {
  return field.includes('\\')
    ? field.replaceAll(/\\([\s\S])/g, (_, each: string) => letters[each] ?? each)
    : field
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

/** The raw fields of one CSV row, quotes included. */
function csvFields(text: string, end: number): string[] {
  const fields: string[] = []
  let quoted = false
  let start = 0
  const length = text.length - end
  for (let index = 0; index < length; index++) {
    const each = text.charCodeAt(index)
    if (each === 34) quoted = !quoted
    else if (each === 44 && !quoted) {
      fields.push(text.slice(start, index))
      start = index + 1
    }
  }
  fields.push(text.slice(start, length))
  return fields
}

function unquoted(field: string): string {
  return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field
}
