/** The messages that the gateway itself reads or writes, field by field. Layouts: PostgreSQL 18, "Message Formats". */
import { cstring, FrameError, headerLength, int32, message, PayloadReader } from './codec.ts'

/** Fields of an error or notice by their letter: S severity, C SQLSTATE, M message, D detail, H hint. */
export type ReportFields = ReadonlyMap<string, string>

export interface Report {
  readonly severity: 'ERROR' | 'FATAL' | 'NOTICE' | 'WARNING'
  /** SQLSTATE, five characters. */
  readonly code: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
  /** Of a mistake in the statement, in characters from 1. */
  readonly position?: number
}

export function errorResponse(report: Report): Buffer {
  return message('E', reportPayload(report))
}

export function noticeResponse(report: Report): Buffer {
  return message('N', reportPayload(report))
}

function reportPayload({ severity, code, message: text, detail, hint, position }: Report): Buffer {
  const fields: string[] = [`S${severity}`, `V${severity}`, `C${code}`, `M${text}`]
  if (detail !== undefined) fields.push(`D${detail}`)
  if (hint !== undefined) fields.push(`H${hint}`)
  if (position !== undefined) fields.push(`P${position}`)
  return Buffer.from(`${fields.map(field => field.replaceAll('\0', '')).join('\0')}\0\0`, 'utf8')
}

/** ErrorResponse or NoticeResponse: a letter and a string, until a zero. */
export function readReport(bytes: Buffer): Map<string, string> {
  const reader = new PayloadReader(bytes)
  const fields = new Map<string, string>()
  for (;;) {
    const letter = reader.byte()
    if (letter === 0) return fields
    fields.set(String.fromCharCode(letter), reader.text())
  }
}

export function writeReport(type: string, fields: ReportFields): Buffer {
  const parts = [...fields].map(([letter, text]) => cstring(letter + text))
  return message(type, ...parts, Buffer.of(0))
}

/** What a session is doing: idle, in a transaction, in a failed one. */
export type TransactionState = 'I' | 'T' | 'E'

export function readyForQuery(state: TransactionState): Buffer {
  return message('Z', Buffer.from(state))
}

export function parameterStatus(name: string, value: string): Buffer {
  return message('S', cstring(name), cstring(value))
}

export function query(text: string): Buffer {
  return message('Q', cstring(text))
}

export const sync = message('S')
export const flush = message('H')
export const terminate = message('X')
export const authenticationOk = message('R', int32(0))
export const authenticationCleartext = message('R', int32(3))
export const closeComplete = message('3')

export function copyFail(reason: string): Buffer {
  return message('f', cstring(reason))
}

export function backendKeyData(pid: number, secret: Buffer): Buffer {
  return message('K', int32(pid), secret)
}

/** NegotiateProtocolVersion: the newest minor version that is spoken here, and the options that are not known. */
export function negotiateProtocolVersion(minor: number, options: readonly string[]): Buffer {
  return message('v', int32(196608 + minor), int32(options.length), ...options.map(cstring))
}

export interface ParseMessage {
  readonly name: string
  readonly text: Buffer
  readonly types: readonly number[]
}

export function readParse(bytes: Buffer): ParseMessage {
  const reader = new PayloadReader(bytes)
  const name = reader.text()
  const text = reader.textBytes()
  const types = Array.from({ length: reader.int16() }, () => reader.uint32())
  reader.end()
  return { name, text, types }
}

export interface BindMessage {
  readonly portal: string
  readonly statement: string
  /** Per value, or one for all, or none: text. 0 text, 1 binary. */
  readonly formats: readonly number[]
  readonly values: readonly (Buffer | null)[]
  readonly resultFormats: readonly number[]
}

export function readBind(bytes: Buffer): BindMessage {
  const reader = new PayloadReader(bytes)
  const portal = reader.text()
  const statement = reader.text()
  const formats = Array.from({ length: reader.int16() }, () => reader.int16())
  const values = Array.from({ length: reader.int16() }, () => {
    const length = reader.int32()
    return length === -1 ? null : reader.bytes(length)
  })
  const resultFormats = Array.from({ length: reader.int16() }, () => reader.int16())
  reader.end()
  return { portal, statement, formats, values, resultFormats }
}

/** The format of the n-th of them: none given is text, one given is for all. */
export function formatOf(formats: readonly number[], index: number): number {
  return formats.length === 1 ? formats[0]! : (formats[index] ?? 0)
}

export function readExecute(bytes: Buffer): { readonly portal: string; readonly maxRows: number } {
  const reader = new PayloadReader(bytes)
  const portal = reader.text()
  const maxRows = reader.int32()
  reader.end()
  return { portal, maxRows }
}

/** Describe and Close: `S` a statement, `P` a portal. */
export function readTarget(bytes: Buffer): { readonly kind: 'S' | 'P'; readonly name: string } | undefined {
  const reader = new PayloadReader(bytes)
  const kind = String.fromCharCode(reader.byte())
  const name = reader.text()
  reader.end()
  return kind === 'S' || kind === 'P' ? { kind, name } : undefined
}

export interface Column {
  readonly name: string
  /** OID of the table it comes from as it is; 0: an expression. */
  readonly table: number
  readonly attribute: number
  readonly type: number
  readonly format: number
}

export function readRowDescription(bytes: Buffer): Column[] {
  const reader = new PayloadReader(bytes)
  const columns = Array.from({ length: reader.int16() }, () => {
    const name = reader.text()
    const table = reader.uint32()
    const attribute = reader.int16()
    const type = reader.uint32()
    reader.int16() // size
    reader.int32() // modifier
    return { name, table, attribute, type, format: reader.int16() }
  })
  reader.end()
  return columns
}

/**
 * Where the values of a DataRow stand in it: start and end of each in turn, -1 twice for null. Written into `ranges`.
 * Throws FrameError.
 */
export function valueRanges(bytes: Buffer, ranges: number[]): void {
  if (bytes.length < headerLength + 2) throw new FrameError('a message that ends too early')
  const count = bytes.readUInt16BE(headerLength)
  let at = headerLength + 2
  ranges.length = count * 2
  for (let index = 0; index < count; index++) {
    if (at + 4 > bytes.length) throw new FrameError('a message that ends too early')
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < -1) throw new FrameError('a negative length')
    if (length > bytes.length - at) throw new FrameError('a message that ends too early')
    ranges[index * 2] = length < 0 ? -1 : at
    if (length > 0) at += length
    ranges[index * 2 + 1] = length < 0 ? -1 : at
  }
  if (at !== bytes.length) throw new FrameError(`${bytes.length - at} bytes too many in a message`)
}

export function readDataRow(bytes: Buffer): (Buffer | null)[] {
  const ranges: number[] = []
  valueRanges(bytes, ranges)
  return Array.from({ length: ranges.length / 2 }, (_, index) => {
    const start = ranges[index * 2]!
    return start < 0 ? null : bytes.subarray(start, ranges[index * 2 + 1])
  })
}

export function dataRow(values: readonly (Buffer | null)[]): Buffer {
  let length = 2
  for (const value of values) length += 4 + (value?.length ?? 0)
  const out = Buffer.allocUnsafe(headerLength + length)
  out[0] = 0x44 // D
  out.writeUInt32BE(length + 4, 1)
  let at = out.writeUInt16BE(values.length, headerLength)
  for (const value of values) {
    at = out.writeInt32BE(value?.length ?? -1, at)
    if (value !== null) at += value.copy(out, at)
  }
  return out
}
