/**
 * The few messages of OTLP's logs in the protobuf wire format (opentelemetry-proto 1.x: `logs/v1/logs.proto`,
 * `common/v1/common.proto`, `collector/logs/v1/logs_service.proto`). Field numbers stand beside their names.
 */
import type { Attribute, LogData, Value } from './log-data.ts'

const varintType = 0
const fixed64Type = 1
const lengthType = 2

function varint(value: number | bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function tag(field: number, type: number): Buffer {
  return varint((field << 3) | type)
}

/** A length-delimited field: a text, or a message of these parts. */
export function message(field: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([tag(field, lengthType), varint(length), ...parts])
}

function text(field: number, value: string): Buffer {
  return message(field, Buffer.from(value))
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([tag(field, varintType), varint(value)])
}

function fixed64(field: number, write: (into: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(8)
  write(bytes)
  return Buffer.concat([tag(field, fixed64Type), bytes])
}

/** The parts of an AnyValue. */
function anyValue(value: Value): Buffer {
  if (typeof value === 'string') return text(1, value)
  if (typeof value === 'boolean') return integer(2, value ? 1 : 0)
  if (typeof value === 'number') {
    // An integer that Number can't hold exactly is no integer here either.
    return Number.isSafeInteger(value) ? integer(3, value) : fixed64(4, into => into.writeDoubleLE(value))
  }
  return message(5, ...value.map(each => message(1, anyValue(each))))
}

export function keyValue(field: number, [name, value]: Attribute): Buffer {
  return message(field, text(1, name), message(2, anyValue(value)))
}

/** The content of a LogRecord. */
export function protoRecord(data: LogData): Buffer {
  return Buffer.concat([
    fixed64(1, into => into.writeBigUInt64LE(data.time)), // time_unix_nano
    integer(2, data.severity.number), // severity_number
    text(3, data.severity.text), // severity_text
    message(5, anyValue(data.body)), // body
    ...data.attributes.map(each => keyValue(6, each)), // attributes
    fixed64(11, into => into.writeBigUInt64LE(data.observed)), // observed_time_unix_nano
    text(12, data.eventName), // event_name
  ])
}

/** An ExportLogsServiceRequest of one resource and one scope. */
export function protoRequest(
  records: readonly Buffer[],
  from: { readonly resource: readonly Attribute[]; readonly scope: string; readonly version: string },
): Buffer {
  const resource = message(1, ...from.resource.map(each => keyValue(1, each)))
  const scope = message(1, text(1, from.scope), text(2, from.version))
  return message(1, resource, message(2, scope, ...records.map(each => message(2, each))))
}

/** How many records an ExportLogsServiceResponse says were rejected, and why. Throws RangeError for what is none. */
export function rejectedOf(bytes: Buffer): { readonly rejected: number; readonly message: string } {
  const partial = fieldsOf(bytes).get(1)
  if (!Buffer.isBuffer(partial)) return { rejected: 0, message: '' }
  const inner = fieldsOf(partial)
  const count = inner.get(1)
  const text = inner.get(2)
  return {
    rejected: typeof count === 'bigint' ? Number(count) : 0,
    message: Buffer.isBuffer(text) ? text.toString('utf8') : '',
  }
}

/** The last value of each field of a message; the types are the four of the wire format. */
function fieldsOf(bytes: Buffer): Map<number, bigint | Buffer> {
  const fields = new Map<number, bigint | Buffer>()
  let at = 0
  const number = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes.readUInt8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number without end')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('a field that ends after its message')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const key = Number(number())
    const type = key & 7
    if (type === varintType) fields.set(key >>> 3, number())
    else if (type === lengthType) fields.set(key >>> 3, take(Number(number())))
    else if (type === fixed64Type) take(8)
    else if (type === 5) take(4)
    else throw new RangeError('a type that is none')
  }
  return fields
}
