/** One value of a result, masked by its type and format (OIDs of `pg_type.dat`). */
import { parseUnambiguous } from '../../unambiguous-json.ts'
import type { Masker } from '../../masking/masker.ts'

export interface ValuePlan {
  /** OID of the type. */
  readonly type: number
  /** 0 text, 1 binary. */
  readonly format: number
  /** Masked whole, by the rules of this name; absent: only what is found in it. */
  readonly hides?: string | undefined
}

/** bytes are the text in both formats: char, name, text, xml, bpchar, varchar, unknown, cstring */
const textTypes: ReadonlySet<number> = new Set([18, 19, 25, 142, 1042, 1043, 705, 2275])
/** bool, int2, int4, float4, float8, oid, date, time, timestamp, timestamptz, interval, timetz, uuid, void, xid, reg* */
const harmlessTypes: ReadonlySet<number> = new Set([
  16, 21, 23, 26, 27, 28, 29, 700, 701, 1082, 1083, 1114, 1184, 1186, 1266, 2278, 2950, 3220, 5069,
])
const json = 114
const jsonb = 3802
const bytea = 17
const int8 = 20
const numeric = 1700
const longestJson = 1024 * 1024
const maxDepth = 256

/** What of a value is looked at: nothing, the text that it is, its digits, or what `maskValue` makes of its bytes. */
export type Look = 'nothing' | 'text' | 'digits' | 'bytes'

/** The same for every value of a column. What is no `bytes` may be masked by its text, as `maskValue` would. */
export function lookOf({ type, format, hides }: ValuePlan): Look {
  if (hides !== undefined) return 'bytes'
  if (harmlessTypes.has(type)) return 'nothing'
  if (textTypes.has(type)) return 'text'
  if (format !== 0 || type === json || type === jsonb || type === bytea) return 'bytes'
  return type === int8 || type === numeric ? 'digits' : 'text'
}

/**
 * The value as it may be seen: the same buffer where nothing was found, other bytes, or null where the type has no
 * place for words. A binary value of a type that is not known here is looked through as bytes and withheld whole
 * where something is found.
 */
export function maskValue(value: Buffer, plan: ValuePlan, masker: Masker): Buffer | null {
  const { type, format } = plan
  if (plan.hides !== undefined) return hidden(value, plan, masker)
  if (harmlessTypes.has(type)) return value
  if (type === json || type === jsonb) return maskedJson(value, type === jsonb && format === 1, masker)
  if (textTypes.has(type)) return replaced(value, masker)
  if (type === int8 || type === numeric) {
    const digits =
      format === 0 ? value.toString('latin1') : type === int8 ? int8Text(value) : numericText(value)
    return masker.text(digits) === digits ? value : null
  }
  if (format === 0) return type === bytea ? maskedBytea(value, masker) : replaced(value, masker)
  const text = textOf(value)
  return masker.text(text) === text ? value : null
}

function hidden(value: Buffer, { type, format, hides = '' }: ValuePlan, masker: Masker): Buffer | null {
  if (textTypes.has(type)) return Buffer.from(hiddenBy(hides, textOf(value), masker))
  if (type === json || (type === jsonb && format === 0))
    return Buffer.from(JSON.stringify(hiddenBy(hides, textOf(value), masker)))
  if (type !== jsonb) return null
  const words = JSON.stringify(hiddenBy(hides, textOf(value.subarray(1)), masker))
  return Buffer.concat([value.subarray(0, 1), Buffer.from(words)])
}

/** What stands for a whole value, in the way that the rules of this name say; `` for what has no rule of its own. */
export function hiddenBy(name: string, text: string, masker: Masker): string {
  const masked = name === '' ? '' : masker.parameter(name, text)
  return /^\[(?:masked|hash):[^[\]]*\]$/.test(masked) ? masked : '[masked:field]'
}

function replaced(value: Buffer, masker: Masker): Buffer {
  const text = textOf(value)
  const masked = masker.text(text)
  return masked === text ? value : Buffer.from(masked)
}

/** Bytes that are no UTF-8 are read one by one, so that what is ASCII in them is still found. */
function textOf(value: Buffer): string {
  const text = value.toString('utf8')
  return text.includes('\ufffd') ? value.toString('latin1') : text
}

function maskedJson(value: Buffer, versioned: boolean, masker: Masker): Buffer | null {
  const body = versioned ? value.subarray(1) : value
  const text = textOf(body)
  // What repeats a key shows all of its values to whoever reads the text.
  const read = text.length > longestJson ? undefined : parseUnambiguous(text, { maxDepth })
  let masked: string
  if (read === undefined) masked = masker.text(text)
  else {
    const changed = masker.json(read.value)
    // Numbers beyond a double would be rewritten: only what was masked is.
    masked = changed === read.value ? text : JSON.stringify(changed)
  }
  if (masked === text) return value
  const bytes = Buffer.from(masked)
  return versioned ? Buffer.concat([value.subarray(0, 1), bytes]) : bytes
}

/** `\x` and hexadecimal digits: looked through as the bytes that they stand for. */
function maskedBytea(value: Buffer, masker: Masker): Buffer | null {
  const text = value.toString('latin1')
  if (!text.startsWith('\\x')) return replaced(value, masker)
  const inside = textOf(Buffer.from(text.slice(2), 'hex'))
  return masker.text(inside) === inside && masker.text(text) === text ? value : null
}

function int8Text(value: Buffer): string {
  return value.length === 8 ? String(value.readBigInt64BE(0)) : ''
}

/** NUMERIC's binary form: digits in base 10,000 with a weight; only those before the point are read. */
function numericText(value: Buffer): string {
  if (value.length < 8) return ''
  const count = value.readUInt16BE(0)
  const weight = value.readInt16BE(2)
  let digits = ''
  for (let index = 0; index <= Math.min(weight, 64); index++) {
    const at = 8 + index * 2
    digits += String(index < count && at + 2 <= value.length ? value.readUInt16BE(at) : 0).padStart(4, '0')
  }
  return digits.replace(/^0+/, '')
}
